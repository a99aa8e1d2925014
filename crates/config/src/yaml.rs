//! YAML (and so JSON) to a tree with places, within the budget of security LI-33.
//!
//! [`parse`] is the only function that knows the YAML library. The library stops at its first
//! fault; faults of meaning are found on the tree, all at once. Doubled keys are passed through
//! for that reason: `read` refuses each of them.
//!
//! Not here: what keys mean.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::source::{Key, Node, Value};

/// Bytes of one file (security LI-33).
pub(crate) const INPUT_BYTES_MAX: usize = 1024 * 1024;
/// Levels of nesting.
pub(crate) const DEPTH_MAX: usize = 32;
/// Scalars, lists and maps of a file, those behind aliases included.
pub(crate) const NODES_MAX: usize = 100_000;
/// `*name` in a file.
pub(crate) const ALIASES_MAX: usize = 100;
/// Events that aliases may repeat.
pub(crate) const REPLAYED_EVENTS_MAX: usize = 10_000;

/// Why a text is no tree.
#[derive(Debug)]
pub(crate) struct YamlFault {
    pub(crate) kind: YamlFaultKind,
    pub(crate) span: Range<usize>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum YamlFaultKind {
    /// Above a row of security LI-33; says which.
    OverBudget(String),
    /// `<<`.
    MergeKey,
    /// Anything else; says what.
    Broken(String),
}

/// The one place of serde-saphyr.
///
/// Not more than [`INPUT_BYTES_MAX`] may be given; `files` sees to it.
pub(crate) fn parse(text: &str) -> Result<Node, YamlFault> {
    use serde_saphyr::budget::BudgetBreach;
    use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
    use serde_saphyr::{Error, Spanned, alias_limits, budget, options};

    /// A value on its way into a [`Node`].
    struct Tree(Node);
    struct Raw(Value);
    struct RawKey(String);

    thread_local! {
        /// The library counts the nodes of the text; those that aliases repeat count here.
        static NODES: Cell<usize> = const { Cell::new(0) };
    }
    const TOO_MANY_NODES: &str = "too many nodes";

    impl<'de> Deserialize<'de> for Tree {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
            let nodes = NODES.get() + 1;
            NODES.set(nodes);
            if nodes > NODES_MAX {
                return Err(serde::de::Error::custom(TOO_MANY_NODES));
            }
            let Spanned { value: Raw(value), referenced, .. } = Spanned::deserialize(deserializer)?;
            Ok(Tree(Node { span: bytes(referenced), value }))
        }
    }

    impl<'de> Deserialize<'de> for Raw {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
            struct Visit;
            impl<'de> Visitor<'de> for Visit {
                type Value = Raw;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a value")
                }
                fn visit_unit<E>(self) -> Result<Raw, E> {
                    Ok(Raw(Value::Null))
                }
                fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                    Ok(Raw(Value::Bool(value)))
                }
                fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                    Ok(Raw(Value::Integer(value.into())))
                }
                fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                    Ok(Raw(Value::Integer(value.into())))
                }
                fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                    Ok(Raw(Value::Float(value)))
                }
                fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
                    Ok(Raw(Value::Text(value.to_owned())))
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
                    let mut list = Vec::new();
                    while let Some(Tree(node)) = items.next_element()? {
                        list.push(node);
                    }
                    Ok(Raw(Value::List(list)))
                }
                fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
                    let mut map = Vec::new();
                    while let Some(key) = entries.next_key::<Spanned<RawKey>>()? {
                        let Spanned { value: RawKey(text), referenced, .. } = key;
                        let Tree(node) = entries.next_value()?;
                        map.push((Key { text, span: bytes(referenced) }, node));
                    }
                    Ok(Raw(Value::Map(map)))
                }
            }
            deserializer.deserialize_any(Visit)
        }
    }

    impl<'de> Deserialize<'de> for RawKey {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawKey, D::Error> {
            String::deserialize(deserializer).map(RawKey)
        }
    }

    fn bytes(location: serde_saphyr::Location) -> Range<usize> {
        let span = location.span();
        let start = span.byte_offset().unwrap_or(0) as usize;
        start..start + span.byte_len().unwrap_or(0) as usize
    }

    let options = options! {
        budget: budget! {
            max_reader_input_bytes: Some(INPUT_BYTES_MAX),
            max_events: 2 * NODES_MAX + 16,
            max_aliases: ALIASES_MAX,
            // One anchor may be used as often as all of them together.
            enforce_alias_anchor_ratio: false,
            max_anchors: ALIASES_MAX,
            max_recorded_anchor_events: REPLAYED_EVENTS_MAX,
            max_recorded_anchor_bytes: INPUT_BYTES_MAX,
            max_depth: DEPTH_MAX,
            max_documents: 1,
            max_nodes: NODES_MAX,
            max_total_scalar_bytes: INPUT_BYTES_MAX,
            max_merge_keys: 0,
            simple_key_max_lookahead: 1024,
            flow_nesting_limit: DEPTH_MAX + 1,
        },
        alias_limits: alias_limits! {
            max_total_replayed_events: REPLAYED_EVENTS_MAX,
            max_replay_stack_depth: DEPTH_MAX,
            max_alias_expansions_per_anchor: ALIASES_MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
    };

    NODES.set(0);
    let error = match serde_saphyr::from_str_with_options::<Tree>(text, options) {
        Ok(Tree(node)) => return Ok(node),
        Err(error) => error,
    };
    let span = error.location().map_or(0..0, |location| match location.span().byte_offset() {
        Some(_) => bytes(location),
        None => byte_of(text, location.line(), location.column()),
    });
    let mut inner = error.without_snippet();
    while let Error::AliasError { error, .. } = inner {
        inner = error.without_snippet();
    }
    let kind = match inner {
        Error::Budget { breach, .. } => YamlFaultKind::OverBudget(match breach {
            BudgetBreach::Depth { .. } => format!("{DEPTH_MAX} levels of nesting"),
            BudgetBreach::Aliases { .. } | BudgetBreach::AliasAnchorRatio { .. } => {
                format!("{ALIASES_MAX} aliases")
            }
            BudgetBreach::Anchors { .. } => format!("{ALIASES_MAX} anchors"),
            BudgetBreach::RecordedAnchorEvents { .. }
            | BudgetBreach::RecordedAnchorBytes { .. } => {
                format!("{REPLAYED_EVENTS_MAX} values behind anchors")
            }
            BudgetBreach::Documents { .. } => "one document in a file".to_owned(),
            BudgetBreach::MergeKeys { .. } => {
                return Err(YamlFault { kind: YamlFaultKind::MergeKey, span });
            }
            _ => format!("{NODES_MAX} values"),
        }),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            YamlFaultKind::OverBudget(format!("{REPLAYED_EVENTS_MAX} values behind aliases"))
        }
        Error::MultipleDocuments { .. } => {
            YamlFaultKind::OverBudget("one document in a file".to_owned())
        }
        Error::MergeKeyNotAllowed { .. } => YamlFaultKind::MergeKey,
        Error::Message { msg, .. } if msg.contains(TOO_MANY_NODES) => {
            YamlFaultKind::OverBudget(format!("{NODES_MAX} values"))
        }
        other => {
            // The frame shows the position.
            let message = other.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message);
            YamlFaultKind::Broken(message.to_owned())
        }
    };
    Err(YamlFault { kind, span })
}

/// The byte at a line and column, both from 1; the last byte where the text is shorter.
fn byte_of(text: &str, line: u64, column: u64) -> Range<usize> {
    let mut start = 0;
    for _ in 1..line {
        match text[start..].find('\n') {
            Some(end) => start += end + 1,
            None => break,
        }
    }
    let rest = &text[start..];
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let offset = rest.char_indices().nth(column).map_or(rest.len(), |(offset, _)| offset);
    start + offset..start + offset
}
