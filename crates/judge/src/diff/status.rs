//! The parts of an answer around its messages: code, details, trailers, the number of messages.
//!
//! The code first (compare J-1). Text of errors is noise by nature and is not looked at; of an
//! `ErrorInfo` reason and domain count; other details count whole. Trailers count by name.

use std::borrow::Cow;

use tandem_contract::{Behavior, Cardinality, Field, Kind, MessageId, Presence, fields};
use tandem_transcode::view::Value;

use super::path::{Step, key_text};
use super::rows::{At, Rows};
use super::walk::{Walk, Way};
use super::{What, sample};
use crate::pair::Answer;

const NOT_FOUND: u32 = 5;

/// One detail of an error: the name of its type, its bytes.
type Detail<'a> = (String, &'a [u8]);

impl<'d> Walk<'d> {
    pub(super) fn answers(&mut self, one: &Answer<'_>, other: &Answer<'_>) {
        let way = self.way();
        self.diff.cut = one.cut || other.cut;
        if self.diff.cut {
            // What the caller did not wait for is not known of either side.
            let shorter = one.messages.len().min(other.messages.len());
            self.diff.fields_compared = true;
            return self.messages(&one.messages[..shorter], &other.messages[..shorter], way);
        }
        if one.code != other.code {
            let lawful = way.present_or_absent()
                && [(one.code, other.code), (other.code, one.code)].contains(&(0, NOT_FOUND));
            if !lawful {
                let shown = [one, other].map(|answer| Some(answer.code.to_string()));
                self.step(Step::Name("<code>".into()), |walk| {
                    walk.differs_in(Rows::CODE, way, What::Code, || shown.into());
                });
            }
            return;
        }
        if one.code != 0 {
            self.details(one.details, other.details, way);
        }
        self.trailers(one, other, way);
        self.diff.fields_compared = true;
        self.messages(one.messages, other.messages, way);
    }

    fn messages(&mut self, one: &[&[u8]], other: &[&[u8]], way: Way<'d>) {
        let id = self.differ.message;
        // A unary answer is no list; the path of its fields shows no index.
        if let ([one], [other]) = (one, other) {
            return self.message(id, one, other, way);
        }
        if one == other {
            return;
        }
        let (one, other) = (values(id, one), values(id, other));
        let field = stream_field(id);
        self.list(&field, &one, &other, way);
    }

    fn details(&mut self, one: &[u8], other: &[u8], way: Way<'d>) {
        if one == other {
            return;
        }
        let way = Way { at: At::settled(Rows::DETAILS), ..way };
        let (Some(ones), Some(others)) = (details_of(one), details_of(other)) else {
            return self.step(Step::Name("<details>".into()), |walk| {
                walk.differs(way, What::Unreadable, || (None, None));
            });
        };
        self.step(Step::Name("<details>".into()), |walk| {
            let names = |details: &[Detail<'_>]| -> Vec<String> {
                details.iter().map(|(name, _)| name.clone()).collect()
            };
            if names(&ones) != names(&others) {
                let text = |details: &[Detail<'_>]| Some(sample::cut(names(details).join(" ")));
                walk.differs(way, What::Details, || (text(&ones), text(&others)));
                return;
            }
            for ((name, one), (_, other)) in ones.iter().zip(&others) {
                let label = format!("[{}]", key_text(name.as_bytes()));
                walk.step(Step::Name(label.into()), |walk| walk.detail(name, one, other, way));
            }
        });
    }

    fn detail(&mut self, name: &str, one: &[u8], other: &[u8], way: Way<'d>) {
        if one == other || !self.spend(1) {
            return;
        }
        if name == "google.rpc.ErrorInfo" {
            for (number, part) in [(1, "reason"), (2, "domain")] {
                let (left, right) =
                    (fields::first_text(one, number), fields::first_text(other, number));
                if left != right {
                    self.step(Step::Name(part.into()), |walk| {
                        walk.differs(way, What::Details, || {
                            (left.map(sample::cut), right.map(sample::cut))
                        });
                    });
                }
            }
            return;
        }
        match self.differ.plans.contract().message_named(name) {
            Some(id) => self.message(id, one, other, way),
            None => {
                let shown = [one, other].map(|bytes| Some(sample::hex(bytes)));
                self.differs(way, What::Details, || shown.into());
            }
        }
    }

    fn trailers(&mut self, one: &Answer<'_>, other: &Answer<'_>, way: Way<'d>) {
        for name in self.differ.rules.trailers() {
            let values = |answer: &Answer<'_>| -> Vec<String> {
                let found = answer.trailers.iter().filter(|(found, _)| **found == **name);
                found.map(|(_, value)| key_text(value).into_string()).collect()
            };
            let raw = |answer: &Answer<'_>| -> Vec<Vec<u8>> {
                let found = answer.trailers.iter().filter(|(found, _)| **found == **name);
                found.map(|(_, value)| value.to_vec()).collect()
            };
            let Some(row) = self.differ.rows.trailer(name) else { continue };
            if raw(one) != raw(other) {
                let text = |answer| Some(sample::cut(values(answer).join(", ")));
                self.step(Step::Name(format!("<trailers>.{name}").into()), |walk| {
                    walk.differs_in(row, way, What::Trailer, || (text(one), text(other)));
                });
            }
        }
    }
}

/// The details of a `google.rpc.Status`, without those that are text for people.
fn details_of(status: &[u8]) -> Option<Vec<Detail<'_>>> {
    let mut details = Vec::new();
    for field in fields::each(status) {
        let field = field.ok()?;
        if field.number != 3 {
            continue;
        }
        let (mut name, mut contents) = (String::new(), &b""[..]);
        for part in fields::each(field.bytes) {
            let part = part.ok()?;
            match part.number {
                1 => name = String::from_utf8_lossy(part.bytes).into_owned(),
                2 => contents = part.bytes,
                _ => {}
            }
        }
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        if !matches!(name.as_str(), "google.rpc.LocalizedMessage" | "google.rpc.DebugInfo") {
            details.push((name, contents));
        }
    }
    Some(details)
}

fn values<'m>(id: MessageId, messages: &[&'m [u8]]) -> Vec<Value<'m>> {
    messages.iter().map(|message| Value::Message(id, Cow::Borrowed(message))).collect()
}

/// The messages of a stream, as the elements of a list that the contract has no field for.
fn stream_field(id: MessageId) -> Field {
    Field {
        name: "<message>".into(),
        json_name: "<message>".into(),
        number: 1,
        kind: Kind::Message(id),
        cardinality: Cardinality::Repeated,
        presence: Presence::Implicit,
        oneof: None,
        packed: false,
        utf8: true,
        default: None,
        extension: false,
        redact: false,
        rules: None,
        behavior: Behavior::default(),
        deprecated: false,
    }
}
