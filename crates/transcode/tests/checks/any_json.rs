//! `Any` from strangers, deep and false: a fault or text, never an abort, on a stack of 2 MiB.
//!
//! The first byte says how many `Any` are put around the rest of the input, which is taken for
//! JSON text and for protobuf bytes of an `Any`.

use super::shared::plans;

/// `Any` around the input for each unit of its first byte.
const LEVELS_A_UNIT: usize = 4;

/// Fails when what was taken cannot be written.
pub(crate) fn check(data: &[u8]) {
    let Some((units, rest)) = data.split_first() else { return };
    let levels = usize::from(*units) * LEVELS_A_UNIT;
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn_scoped(scope, || both_ways(rest, levels))
            .expect("a thread")
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn both_ways(inner: &[u8], levels: usize) {
    use tandem_transcode::{JsonOptions, Limits, json_from_wire, wire_from_json};
    let limits = Limits::default();
    let id = plans().contract().message_named("google.protobuf.Any").expect("it is there");
    let open = b"{\"@type\":\"x/google.protobuf.Any\",\"value\":";
    let mut text = open.repeat(levels);
    text.extend_from_slice(inner);
    text.extend(std::iter::repeat_n(b'}', levels));
    for ignore_unknown in [false, true] {
        let options = JsonOptions { ignore_unknown, ..JsonOptions::default() };
        if let Ok(wire) = wire_from_json(plans(), id, &text, &options, &limits) {
            json_from_wire(plans(), id, &wire, &options, &limits).expect("it was taken");
        }
    }

    let mut wire = inner.to_vec();
    for _ in 0..levels {
        let value = std::mem::take(&mut wire);
        tandem_contract::fields::put_bytes(1, b"x/google.protobuf.Any", &mut wire);
        tandem_contract::fields::put_bytes(2, &value, &mut wire);
    }
    let options = JsonOptions::default();
    if let Ok(json) = json_from_wire(plans(), id, &wire, &options, &limits) {
        assert!(json.len() <= (16 * wire.len()).max(1 << 20) + 4096);
        // What was kept unread, or is known only as bytes, is refused when it comes back.
        let _read_or_refused = wire_from_json(plans(), id, &json, &options, &limits);
    }
}
