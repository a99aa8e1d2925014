//! Shares of principals, as `tandem/settings/v1/settings.proto` defines them.

/// Whether something that is switched on for `per_mille` of all principals is on for this one.
/// Growing the share never switches it off for anybody.
///
/// `setting` is the full name of the settings message, a dot, and the field's name.
pub fn is_on(per_mille: u32, setting: &str, principal: &str) -> bool {
    number(setting, principal) < u64::from(per_mille)
}

/// The steady number of a principal, 0 to 999.
fn number(setting: &str, principal: &str) -> u64 {
    let bytes = setting.bytes().chain([0]).chain(principal.bytes());
    let mut x = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        x = (x ^ (x >> 33)).wrapping_mul(factor);
    }
    (x ^ (x >> 33)) % 1000
}
