//! Protobuf bytes, written from the front or from the inside out.
//!
//! Source: Protocol Buffers, "Encoding".

pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn put_tag(number: u32, wire_type: u8, out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3 | u64::from(wire_type), out);
}

pub fn put_number(number: u32, value: u64, out: &mut Vec<u8>) {
    put_tag(number, 0, out);
    put_varint(value, out);
}

pub fn put_double(number: u32, value: f64, out: &mut Vec<u8>) {
    put_tag(number, 1, out);
    out.extend_from_slice(&value.to_le_bytes());
}

pub fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_tag(number, 2, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A message that grows from the inside out, so that 10⁵ levels take time in proportion to their
/// bytes.
#[derive(Default)]
pub struct Inward {
    /// Last byte first.
    front: Vec<u8>,
    back: Vec<u8>,
}

impl Inward {
    /// Puts `bytes` before what is there.
    pub fn before(&mut self, bytes: &[u8]) -> &mut Inward {
        self.front.extend(bytes.iter().rev());
        self
    }

    /// Puts `bytes` behind what is there.
    pub fn after(&mut self, bytes: &[u8]) -> &mut Inward {
        self.back.extend_from_slice(bytes);
        self
    }

    /// Makes all that is there the value of field `number`.
    pub fn wrap(&mut self, number: u32) -> &mut Inward {
        let mut head = Vec::new();
        put_tag(number, 2, &mut head);
        put_varint((self.front.len() + self.back.len()) as u64, &mut head);
        self.before(&head)
    }

    pub fn into_bytes(mut self) -> Vec<u8> {
        self.front.reverse();
        self.front.extend(self.back);
        self.front
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_inside_out_and_from_the_front_are_the_same() {
        let mut inner = Vec::new();
        put_number(2, 300, &mut inner);
        let mut outer = Vec::new();
        put_number(1, 7, &mut outer);
        put_bytes(3, &inner, &mut outer);
        put_number(4, 1, &mut outer);

        let mut inward = Inward::default();
        inward.before(&[0x10, 0xac, 0x02]).wrap(3).before(&[0x08, 7]).after(&[0x20, 1]);
        assert_eq!(inward.into_bytes(), outer);
    }
}
