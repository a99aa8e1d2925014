//! The paths that are tested, one row each, known before the first pair.
//!
//! Their number divides the error rate (compare N-3), so it is frozen. A row is every place where
//! two answers can differ on their own: leaves, and of lists, maps, messages and oneofs the
//! presence, length or case. A type that is entered already is not entered again, and what lies
//! under `Any`, `Struct` or an unknown field is tested as its parent.

use std::collections::{BTreeMap, VecDeque};

use tandem_contract::{Cardinality, Contract, Kind, MessageId, WellKnown};

/// One tested path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub u32);

/// Rows of one answer type, at most: types that fan out can have more paths than anybody reads.
/// Beyond it a message is one row.
const ROWS_MOST: usize = 4_096;

/// All tested paths of one answer type.
#[derive(Debug, Clone)]
pub struct Rows {
    names: Vec<Box<str>>,
    nodes: Vec<Node>,
    trailers: BTreeMap<Box<str>, RowId>,
}

/// One message on the way.
#[derive(Debug, Clone, Default)]
struct Node {
    /// By place of the field: its row, and the node of its message if that was entered.
    fields: BTreeMap<usize, (RowId, Option<usize>)>,
    /// By place of the oneof.
    oneofs: BTreeMap<u32, RowId>,
}

/// A place in the tree of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) row: RowId,
    /// `None` below what is tested as one.
    node: Option<usize>,
}

struct Pending {
    node: usize,
    message: MessageId,
    path: String,
    entered: Vec<MessageId>,
}

impl Rows {
    /// The status code.
    pub const CODE: RowId = RowId(0);
    /// The details of an error.
    pub const DETAILS: RowId = RowId(1);
    /// The bounds of a comparison.
    pub const COST: RowId = RowId(2);
    /// The number of messages, unknown fields of the answer itself, bytes that are no message.
    pub const MESSAGE: RowId = RowId(3);

    pub(super) fn new(contract: &Contract, message: MessageId, trailers: &[Box<str>]) -> Rows {
        let fixed = ["<code>", "<details>", "<cost>", "<message>"];
        let mut rows = Rows {
            names: fixed.iter().map(|name| (*name).into()).collect(),
            nodes: vec![Node::default()],
            trailers: BTreeMap::new(),
        };
        for name in trailers {
            let row = rows.add(format!("<trailers>.{name}"));
            rows.trailers.insert(name.clone(), row);
        }
        // Level by level, so that the bound cuts off what lies deepest.
        let root = Pending { node: 0, message, path: String::new(), entered: vec![message] };
        let mut pending = VecDeque::from([root]);
        while let Some(next) = pending.pop_front() {
            rows.expand(contract, next, &mut pending);
        }
        rows
    }

    fn add(&mut self, name: String) -> RowId {
        self.names.push(name.into());
        RowId(self.names.len() as u32 - 1)
    }

    fn expand(&mut self, contract: &Contract, from: Pending, pending: &mut VecDeque<Pending>) {
        let message = contract.message(from.message);
        if self.names.len() + message.fields.len() + message.oneofs.len() > ROWS_MOST {
            return;
        }
        let name = |name: &str, end| match from.path.as_str() {
            "" => format!("{name}{end}"),
            path => format!("{path}.{name}{end}"),
        };
        for (place, oneof) in (0..).zip(&message.oneofs) {
            let row = self.add(name(oneof, ""));
            self.nodes[from.node].oneofs.insert(place, row);
        }
        for (place, field) in message.fields.iter().enumerate() {
            let end = match field.cardinality {
                Cardinality::Singular => "",
                Cardinality::Repeated => "[]",
                Cardinality::Map => "{}",
            };
            let path = name(&field.name, end);
            let row = self.add(path.clone());
            let below = below(contract, field.cardinality, field.kind)
                .filter(|below| !from.entered.contains(below));
            let node = below.map(|message| {
                self.nodes.push(Node::default());
                let node = self.nodes.len() - 1;
                let entered = from.entered.iter().copied().chain([message]).collect();
                pending.push_back(Pending { node, message, path, entered });
                node
            });
            self.nodes[from.node].fields.insert(place, (row, node));
        }
    }

    /// How many there are: m of compare N-3.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Never: the status is always a row.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// As reports print it: `orders[].price`.
    pub fn name(&self, row: RowId) -> &str {
        self.names.get(row.0 as usize).map_or("", |name| name)
    }

    /// The row of a path as it is printed.
    pub fn named(&self, path: &str) -> Option<RowId> {
        let place = self.names.iter().position(|name| &**name == path)?;
        Some(RowId(place as u32))
    }

    /// The rows at a path and below it, its brackets left out or not; all rows of the message for
    /// the empty one.
    pub fn below(&self, path: &str) -> Vec<RowId> {
        let bare = |path: &str| path.replace("[]", "").replace("{}", "");
        let above = bare(path);
        let is_below = |name: &str| {
            above.is_empty()
                || bare(name)
                    .strip_prefix(above.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let rows = (0..).zip(&self.names).filter(|(_, name)| is_below(name));
        rows.map(|(row, _)| RowId(row)).collect()
    }

    pub(super) fn trailer(&self, name: &str) -> Option<RowId> {
        self.trailers.get(name).copied()
    }

    pub(super) fn root(&self) -> At {
        At { row: Rows::MESSAGE, node: Some(0) }
    }

    pub(super) fn field(&self, at: At, place: usize) -> At {
        match at.node.and_then(|node| self.nodes[node].fields.get(&place)) {
            Some((row, node)) => At { row: *row, node: *node },
            None => At { node: None, ..at },
        }
    }

    pub(super) fn oneof(&self, at: At, oneof: u32) -> RowId {
        at.node.and_then(|node| self.nodes[node].oneofs.get(&oneof)).map_or(at.row, |row| *row)
    }
}

impl At {
    /// All below is tested as one row.
    pub(super) fn settled(row: RowId) -> At {
        At { row, node: None }
    }
}

/// The message whose fields have rows of their own below a field.
fn below(contract: &Contract, cardinality: Cardinality, kind: Kind) -> Option<MessageId> {
    let id = kind.message()?;
    let id = match cardinality {
        Cardinality::Map => contract.message(id).field_numbered(2)?.1.kind.message()?,
        Cardinality::Singular | Cardinality::Repeated => id,
    };
    match contract.message(id).well_known {
        WellKnown::No | WellKnown::HttpBody => Some(id),
        WellKnown::Any
        | WellKnown::Timestamp
        | WellKnown::Duration
        | WellKnown::FieldMask
        | WellKnown::Struct
        | WellKnown::Value
        | WellKnown::ListValue
        | WellKnown::Empty
        | WellKnown::Wrapper => None,
    }
}
