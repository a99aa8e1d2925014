//! Counts what stands in a file descriptor before the library reads it.
//!
//! Two bytes of a descriptor can become hundreds in memory, so the bytes alone are no bound. Here
//! they are looked through once, nothing is allocated, and counters decide (protocols X-1,
//! security CF-7).
//!
//! Not here: what the descriptors mean (`build`).

use crate::fields::{self, Field};

/// Messages of a contract, map entries included (security CF-7).
pub(crate) const MESSAGES_MOST: usize = 20_000;
/// Fields, enum values, methods and extensions of a contract together.
pub(crate) const ITEMS_MOST: usize = 250_000;
/// Everything that a file, message, enum or service holds, one by one.
const NODES_MOST: usize = 1_000_000;
/// Options, each counted with the parts of its value that stand in one level.
const OPTIONS_MOST: usize = 2_000_000;
/// Messages inside messages. The library reads 100 levels, of which options take some.
pub(crate) const DEPTH_MOST: usize = 60;

/// What the files of one contract have used up so far.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    messages: usize,
    items: usize,
    nodes: usize,
    options: usize,
}

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Overrun {
    /// It is no file descriptor.
    Malformed(&'static str),
    /// This file alone goes too deep.
    Depth,
    /// The contract as a whole is too large.
    Size(String),
}

#[derive(Clone, Copy)]
enum Level {
    File,
    Message(usize),
    Enum,
    Service,
    /// A field, value or method: of interest are its options.
    Item(u32),
    Options,
}

impl Budget {
    /// Counts a serialized `FileDescriptorProto`.
    pub(crate) fn file(&mut self, bytes: &[u8]) -> Result<(), Overrun> {
        self.level(bytes, Level::File)
    }

    /// Recursion is bounded by `DEPTH_MOST` and the three levels below a message.
    fn level(&mut self, bytes: &[u8], level: Level) -> Result<(), Overrun> {
        for field in fields::each(bytes) {
            let Field { number, bytes, .. } = field.map_err(Overrun::Malformed)?;
            let inner = match (level, number) {
                (Level::File, 4) => Some(Level::Message(1)),
                (Level::Message(DEPTH_MOST), 3) => return Err(Overrun::Depth),
                (Level::Message(depth), 3) => Some(Level::Message(depth + 1)),
                (Level::File, 5) | (Level::Message(_), 4) => Some(Level::Enum),
                (Level::File, 6) => Some(Level::Service),
                (Level::File, 7) | (Level::Message(_), 2 | 6) => Some(Level::Item(8)),
                (Level::Enum, 2) => Some(Level::Item(3)),
                (Level::Service, 2) => Some(Level::Item(4)),
                (Level::File, 8) | (Level::Message(_), 7) | (Level::Enum | Level::Service, 3) => {
                    Some(Level::Options)
                }
                (Level::Item(options), number) if number == options => Some(Level::Options),
                _ => None,
            };
            let (count, most, what) = match (level, inner) {
                (Level::Options | Level::Item(_), _) => {
                    (&mut self.options, OPTIONS_MOST, "options")
                }
                (_, Some(Level::Message(_))) => (&mut self.messages, MESSAGES_MOST, "messages"),
                (_, Some(Level::Item(_))) => (&mut self.items, ITEMS_MOST, "fields and methods"),
                _ => (&mut self.nodes, NODES_MOST, "parts"),
            };
            *count += 1;
            if *count > most {
                return Err(Overrun::Size(format!("more than {most} {what}")));
            }
            if let Some(inner) = inner {
                self.level(bytes, inner)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::put_bytes;

    fn file_of(number: u32, content: &[u8], times: usize) -> Vec<u8> {
        let mut file = Vec::new();
        for _ in 0..times {
            put_bytes(number, content, &mut file);
        }
        file
    }

    fn nested(depth: usize) -> Vec<u8> {
        let mut message = Vec::new();
        for _ in 1..depth {
            let mut outer = Vec::new();
            put_bytes(3, &message, &mut outer);
            message = outer;
        }
        file_of(4, &message, 1)
    }

    #[test]
    fn security_cf_7_messages_are_counted_over_all_files() {
        let mut budget = Budget::default();
        assert_eq!(budget.file(&file_of(4, b"", MESSAGES_MOST - 1)), Ok(()));
        assert_eq!(budget.file(&file_of(4, b"", 1)), Ok(()));
        let over = Overrun::Size("more than 20000 messages".into());
        assert_eq!(budget.file(&file_of(4, b"", 1)), Err(over));
    }

    #[test]
    fn security_cf_7_every_kind_of_part_is_counted() {
        let in_message =
            |number, content: &[u8], times| file_of(4, &file_of(number, content, times), 1);
        let in_enum = |number, times| file_of(5, &file_of(number, b"", times), 1);
        let in_service = |number, times| file_of(6, &file_of(number, b"", times), 1);
        for fine in [
            file_of(3, b"", NODES_MOST),
            in_message(2, b"", ITEMS_MOST),
            file_of(8, &file_of(999, b"", OPTIONS_MOST), 1),
        ] {
            assert_eq!(Budget::default().file(&fine), Ok(()));
        }
        for over in [
            file_of(3, b"", NODES_MOST + 1),
            file_of(7, b"", ITEMS_MOST + 1),
            in_message(2, b"", ITEMS_MOST + 1),
            in_message(6, b"", ITEMS_MOST + 1),
            in_message(8, b"", NODES_MOST + 1),
            in_message(10, b"", NODES_MOST + 1),
            in_enum(2, ITEMS_MOST + 1),
            in_enum(5, NODES_MOST + 1),
            in_service(2, ITEMS_MOST + 1),
            file_of(8, &file_of(999, b"", OPTIONS_MOST + 1), 1),
            in_message(2, &file_of(8, &file_of(999, b"", OPTIONS_MOST), 1), 1),
        ] {
            assert!(matches!(Budget::default().file(&over), Err(Overrun::Size(_))));
        }
    }

    #[test]
    fn messages_nest_to_a_limit() {
        assert_eq!(Budget::default().file(&nested(DEPTH_MOST)), Ok(()));
        assert_eq!(Budget::default().file(&nested(DEPTH_MOST + 1)), Err(Overrun::Depth));
    }
}
