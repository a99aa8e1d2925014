//! Which fields of a request are set, and by whom: nothing is bound twice (protocols B-2, B-3,
//!
//!
//! A tree of fields with one node a step. A claim walks its own steps and looks up each in a
//! sorted table, so a query costs in proportion to its own length, whatever stands in the body
//! and however wide a oneof is.
//!
//! Not here: what a body sets, which is found by one scan of its bytes (`body`).

use std::collections::BTreeMap;

use tandem_contract::{Cardinality, Contract, MessageId};

use super::text::{Step, field_of};
use crate::fault::Fault;

/// Who has set a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Path,
    Query,
}

/// The fields that are set so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken {
    /// A node and the index of a field below it → the field's node.
    nodes: BTreeMap<(u32, usize), u32>,
    /// A node and a oneof of its message → the index of the member that is set.
    members: BTreeMap<(u32, u32), usize>,
    /// By node: who has set the whole field. Of the request itself and of parents nobody.
    setters: Vec<Option<Source>>,
}

/// The node of the request itself.
const ROOT: u32 = 0;

impl Taken {
    pub(super) fn new() -> Taken {
        Taken { setters: vec![None], ..Taken::default() }
    }

    /// Sets the field at the end of `steps`.
    ///
    /// # Errors
    /// When it, a parent or a part of it is set already, or another member of a oneof on the way.
    pub(super) fn claim(
        &mut self,
        contract: &Contract,
        steps: &[Step],
        source: Source,
    ) -> Result<(), Fault> {
        let mut node = ROOT;
        for step in steps {
            if let Some(setter) = self.setters[node as usize] {
                return Err(twice(setter));
            }
            let field = field_of(contract, *step);
            if let Some(oneof) = field.oneof
                && *self.members.entry((node, oneof)).or_insert(step.1) != step.1
            {
                return Err(second_member(contract, step.0, oneof));
            }
            let next = self.setters.len() as u32;
            node = *self.nodes.entry((node, step.1)).or_insert(next);
            if node == next {
                self.setters.push(None);
            }
        }
        let repeated = steps
            .last()
            .is_some_and(|step| field_of(contract, *step).cardinality == Cardinality::Repeated);
        match self.setters[node as usize] {
            // A list takes one value more.
            Some(Source::Query) if repeated && source == Source::Query => return Ok(()),
            Some(setter) => return Err(twice(setter)),
            None => {}
        }
        if let Some(part) = self.part_of(node) {
            return Err(twice(part));
        }
        self.setters[node as usize] = Some(source);
        Ok(())
    }

    /// Notes that the body sets a field of the request itself, which may be a member of a oneof.
    pub(super) fn body_sets(&mut self, contract: &Contract, step: Step) {
        if let Some(oneof) = field_of(contract, step).oneof {
            self.members.insert((ROOT, oneof), step.1);
        }
    }

    /// Who has set the field at the end of `steps`, a parent or a part of it.
    pub(super) fn setter(&self, steps: &[Step]) -> Option<Source> {
        let mut node = ROOT;
        for step in steps {
            if let Some(setter) = self.setters[node as usize] {
                return Some(setter);
            }
            node = *self.nodes.get(&(node, step.1))?;
        }
        self.setters[node as usize].or_else(|| self.part_of(node))
    }

    /// Who has set a field below `node`. The first one below each node leads to one that is set:
    /// nodes are only made on the way to one.
    fn part_of(&self, node: u32) -> Option<Source> {
        let mut node = node;
        loop {
            let (_, child) = self.nodes.range((node, 0)..=(node, usize::MAX)).next()?;
            if let Some(setter) = self.setters[*child as usize] {
                return Some(setter);
            }
            node = *child;
        }
    }
}

fn twice(setter: Source) -> Fault {
    Fault::caller(match setter {
        Source::Path => "the path has set it already",
        Source::Query => "it is given twice",
    })
}

/// The refusal of a oneof's second member (protocols B-3).
pub(super) fn second_member(contract: &Contract, id: MessageId, oneof: u32) -> Fault {
    let name = &contract.message(id).oneofs[oneof as usize];
    Fault::caller(format!("a second member of the oneof `{name}`"))
}
