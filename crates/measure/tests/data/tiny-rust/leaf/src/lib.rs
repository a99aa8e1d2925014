/// The first byte, without a look at the length.
pub fn first(bytes: &[u8; 4]) -> u8 {
    // SAFETY: four bytes have a first one.
    unsafe { *bytes.get_unchecked(0) }
}
