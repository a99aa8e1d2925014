//! What bounds a conversion, and what may be chosen about it.

/// Bounds of one conversion; the defaults are those of the product (security, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Objects and lists inside each other in JSON text (LI-12).
    pub json_depth: u32,
    /// Values in one JSON text, object keys counted with their values (LI-15).
    pub json_nodes: u32,
    /// Messages inside each other on the wire: one counter through messages, groups, map
    /// entries and the contents of `Any`, never begun again (LI-13).
    pub wire_depth: u32,
    /// `Any` inside `Any` (LI-14).
    pub any_depth: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { json_depth: 48, json_nodes: 100_000, wire_depth: 100, any_depth: 32 }
    }
}

impl Limits {
    /// Bytes of JSON that one message may become: 16 times its own, at least 1 MiB and at most
    /// 64 MiB (LI-16).
    pub(crate) fn json_bytes_max(wire_bytes: usize) -> usize {
        wire_bytes.saturating_mul(16).clamp(1 << 20, 64 << 20)
    }
}

/// How JSON is read and written (protocols J-17); all off is ProtoJSON's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonOptions {
    /// Unknown keys and unknown enum names are dropped instead of refused (I-4, J-12).
    pub ignore_unknown: bool,
    /// Fields without presence are written even when they hold their default.
    pub emit_defaults: bool,
    /// Enums are written by number.
    pub enum_numbers: bool,
    /// Fields are written by the names of the file.
    pub proto_names: bool,
    /// 64-bit integers are written as numbers where a double holds them exactly.
    pub int64_numbers: bool,
}
