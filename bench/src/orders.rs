//! The messages that are carried, their contract, and the little that is read of them here.

use std::path::Path;

use bytes::{BufMut as _, Bytes, BytesMut};
use tandem_bench_payload::order::{Order, Words};
use tandem_bench_payload::text::Form;

pub(crate) use tandem_bench_payload::order::Size;

use crate::process::Outcome;

pub(crate) const ECHO: &str = "/tandem.bench.v1.Orders/Echo";
pub(crate) const WATCH: &str = "/tandem.bench.v1.Orders/Watch";

/// Orders of the three sizes, as they go over the wire.
#[derive(Clone)]
pub(crate) struct Orders([Made; 3]);

#[derive(Clone)]
struct Made {
    framed: Bytes,
    json: Bytes,
}

impl Orders {
    pub(crate) fn new() -> Orders {
        Orders([Size::Small, Size::Medium, Size::Large].map(|size| {
            let order = Order::new(size, Words::Plain);
            Made { framed: frame(&order.wire()), json: order.json(Form::Compact).into() }
        }))
    }

    /// A gRPC message: the order behind its five bytes.
    pub(crate) fn framed(&self, size: Size) -> Bytes {
        self.0[size as usize].framed.clone()
    }

    pub(crate) fn json(&self, size: Size) -> Bytes {
        self.0[size as usize].json.clone()
    }
}

pub(crate) fn name(size: Size) -> &'static str {
    match size {
        Size::Small => "small",
        Size::Medium => "medium",
        Size::Large => "large",
    }
}

fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.extend_from_slice(message);
    framed.freeze()
}

/// A `WatchRequest` behind its five bytes; a `count` of 0 asks for a stream without an end.
pub(crate) fn watch(size: Size, count: u32) -> Bytes {
    let name = name(size);
    let mut message = vec![0x0a, name.len() as u8];
    message.extend_from_slice(name.as_bytes());
    if count > 0 {
        message.push(0x10);
        let mut rest = count;
        while rest >= 0x80 {
            message.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        message.push(rest as u8);
    }
    frame(&message)
}

/// What a `WatchRequest` behind its five bytes asks for; gateways may write it as they like.
pub(crate) fn read_watch(framed: &[u8]) -> Option<(Size, u32)> {
    let mut rest = framed.get(5..)?.iter().copied();
    let (mut size, mut count) = (None, 0);
    while let Some(tag) = rest.next() {
        match tag {
            0x0a => {
                let bytes = rest.next()?;
                let name: Vec<u8> = rest.by_ref().take(bytes.into()).collect();
                size = [Size::Small, Size::Medium, Size::Large]
                    .into_iter()
                    .find(|size| name == self::name(*size).as_bytes());
            }
            0x10 => {
                count = 0;
                for shift in (0..32).step_by(7) {
                    let byte = rest.next()?;
                    count |= u32::from(byte & 0x7f) << shift;
                    if byte < 0x80 {
                        break;
                    }
                }
            }
            _ => return None,
        }
    }
    Some((size?, count))
}

/// Writes the descriptors of the contract, with all that it imports.
pub(crate) fn write_descriptors(root: &Path, to: &Path) -> Outcome<()> {
    let folders = ["bench/proto", "bench/codec/proto", "proto"].map(|folder| root.join(folder));
    let mut compiler = protox::Compiler::new(folders)?;
    compiler.include_imports(true);
    compiler.open_file("orders.proto")?;
    Ok(std::fs::write(to, compiler.encode_file_descriptor_set())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_what_is_read() {
        for size in [Size::Small, Size::Medium, Size::Large] {
            for count in [0, 1, 100, 127, 128, 10_000, 1 << 30] {
                assert_eq!(read_watch(&watch(size, count)), Some((size, count)));
            }
        }
        assert_eq!(read_watch(&watch(Size::Small, 300)[..9]), None);
        assert_eq!(read_watch(b""), None);
    }
}
