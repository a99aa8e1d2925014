//! One HTTP rule compiled for binding: what its path sets, what of a body must be looked at,
//! where body and answer stand.
//!
//! Made once, off the request path, and kept by whoever holds the rule.
//!
//! Not here: binding itself (`body`, `query`, `patch`).

use std::collections::BTreeMap;

use tandem_contract::{
    BodyBinding, Cardinality, Contract, Field, FieldPath, HttpRule, Kind, MessageId, WellKnown,
};

use super::taken::{Source, Taken};
use super::text::{Step, field_of};
use crate::fault::Fault;

/// A rule, ready to bind requests and to write answers.
#[derive(Debug)]
pub struct RulePlan {
    pub(super) input: MessageId,
    pub(super) output: MessageId,
    /// In the order of the template.
    pub(super) variables: Vec<FieldPath>,
    /// What the variables set; or why they cannot stand beside each other.
    pub(super) taken: Result<Taken, Fault>,
    pub(super) body: BodyPlan,
    /// What a body must not say beside the path; empty where it cannot.
    pub(super) watch: Watch,
    /// Steps of the mask that a PATCH fills, and the type of the body that it speaks of (I-7).
    pub(super) mask: Option<(Step, MessageId)>,
    pub(super) answer: AnswerPlan,
}

/// Where the body of a request goes.
#[derive(Debug)]
pub(super) enum BodyPlan {
    None,
    /// It is the request, as JSON.
    Whole,
    /// It is the request, which is a `google.api.HttpBody`.
    WholeRaw,
    /// It is a field of the request.
    Field {
        step: Step,
        name: Box<str>,
        raw: bool,
        /// `null` is a value of the field: `google.protobuf.Value` and `NullValue`.
        null: bool,
    },
}

/// What the body of an answer is.
#[derive(Debug)]
pub(super) enum AnswerPlan {
    Whole,
    Field(FieldPath),
    /// The bytes of the `google.api.HttpBody` at these steps, which may be none.
    Raw(Vec<Step>),
}

impl RulePlan {
    /// Compiles `rule` of a method from `input` to `output`.
    ///
    /// # Panics
    /// When rule and types are not of `contract`.
    pub fn new(
        contract: &Contract,
        rule: &HttpRule,
        input: MessageId,
        output: MessageId,
    ) -> RulePlan {
        let variables: Vec<FieldPath> =
            rule.variables.iter().map(|variable| variable.path.clone()).collect();
        let body = body_plan(contract, rule, input);
        let mut watch = Watch::default();
        for (number, variable) in variables.iter().enumerate() {
            watch.add(contract, &variable.steps, number);
        }
        match &body {
            BodyPlan::None => watch = Watch::default(),
            BodyPlan::Whole | BodyPlan::WholeRaw => {}
            BodyPlan::Field { step, .. } => {
                let number = field_of(contract, *step).number;
                watch.fields.retain(|found, _| *found == number);
            }
        }
        let mask = mask_of(contract, &body, input, &variables);
        let answer = match &rule.response_body {
            None if is_raw(contract, output) => AnswerPlan::Raw(Vec::new()),
            None => AnswerPlan::Whole,
            Some(path) if raw_field(contract, path.last(contract)) => {
                AnswerPlan::Raw(path.steps.clone())
            }
            Some(path) => AnswerPlan::Field(path.clone()),
        };
        let taken = taken_by(contract, &variables);
        RulePlan { input, output, variables, taken, body, watch, mask, answer }
    }

    /// Whether the body of a request may be of any media type: it goes into a
    /// `google.api.HttpBody` (protocols I-5, I-8).
    pub fn takes_raw(&self) -> bool {
        matches!(self.body, BodyPlan::WholeRaw | BodyPlan::Field { raw: true, .. })
    }

    /// Whether the rule takes a body at all.
    pub fn takes_body(&self) -> bool {
        !matches!(self.body, BodyPlan::None)
    }

    /// Whether the JSON of one body may itself be a list, so that a list of bodies must be told
    /// from it by one more pair of brackets (protocols S-9).
    pub fn body_may_be_list(&self, contract: &Contract) -> bool {
        let is_list = |id: MessageId| {
            matches!(contract.message(id).well_known, WellKnown::Value | WellKnown::ListValue)
        };
        match &self.body {
            BodyPlan::None | BodyPlan::WholeRaw => false,
            BodyPlan::Whole => is_list(self.input),
            BodyPlan::Field { step, .. } => {
                let field = field_of(contract, *step);
                field.cardinality == Cardinality::Repeated
                    || field.kind.message().is_some_and(is_list)
            }
        }
    }

    /// Whether the answer is a `google.api.HttpBody`, which is no JSON (protocols A-3).
    pub fn answers_raw(&self) -> bool {
        matches!(self.answer, AnswerPlan::Raw(_))
    }
}

fn taken_by(contract: &Contract, variables: &[FieldPath]) -> Result<Taken, Fault> {
    let mut taken = Taken::new();
    for variable in variables {
        taken
            .claim(contract, &variable.steps, Source::Path)
            .map_err(|fault| fault.within(&variable.text))?;
    }
    Ok(taken)
}

fn body_plan(contract: &Contract, rule: &HttpRule, input: MessageId) -> BodyPlan {
    match &rule.body {
        BodyBinding::None => BodyPlan::None,
        BodyBinding::Whole if is_raw(contract, input) => BodyPlan::WholeRaw,
        BodyBinding::Whole => BodyPlan::Whole,
        BodyBinding::Field(path) => {
            let field = path.last(contract);
            let null = field.cardinality == Cardinality::Singular
                && match field.kind {
                    Kind::Message(id) | Kind::Group(id) => {
                        contract.message(id).well_known == WellKnown::Value
                    }
                    Kind::Enum(id) => {
                        &*contract.enumeration(id).full_name == "google.protobuf.NullValue"
                    }
                    _ => false,
                };
            BodyPlan::Field {
                step: *path.steps.last().expect("a path has at least one step"),
                name: field.json_name.clone(),
                raw: raw_field(contract, field),
                null,
            }
        }
    }
}

fn raw_field(contract: &Contract, field: &Field) -> bool {
    field.cardinality == Cardinality::Singular
        && field.kind.message().is_some_and(|id| is_raw(contract, id))
}

/// Whether the message is a `google.api.HttpBody` that holds what that one holds.
fn is_raw(contract: &Contract, id: MessageId) -> bool {
    let message = contract.message(id);
    let holds = |number, kind| {
        message.field_numbered(number).is_some_and(|(_, field)| {
            field.kind == kind && field.cardinality == Cardinality::Singular
        })
    };
    message.well_known == WellKnown::HttpBody && holds(1, Kind::String) && holds(2, Kind::Bytes)
}

/// The one mask beside a body that is a message, where the path does not set it (protocols I-7).
fn mask_of(
    contract: &Contract,
    body: &BodyPlan,
    input: MessageId,
    variables: &[FieldPath],
) -> Option<(Step, MessageId)> {
    let BodyPlan::Field { step, .. } = body else { return None };
    let field = field_of(contract, *step);
    let message = field.kind.message()?;
    if field.cardinality != Cardinality::Singular
        || contract.message(message).well_known != WellKnown::No
    {
        return None;
    }
    let mut masks = contract.message(input).fields.iter().enumerate().filter(|(_, field)| {
        field.cardinality == Cardinality::Singular
            && field
                .kind
                .message()
                .is_some_and(|id| contract.message(id).well_known == WellKnown::FieldMask)
    });
    let (Some((index, mask)), None) = (masks.next(), masks.next()) else { return None };
    let step = (input, index);
    let by_path = variables.iter().any(|variable| variable.steps.first() == Some(&step));
    (mask.oneof.is_none() && !by_path).then_some((step, message))
}

/// The fields of a body that matter beside the path: by number what they mean, level by level.
///
/// The table is as wide as the oneofs of the rule are; the scan of a body looks up each field
/// once, however wide it is.
#[derive(Debug, Default)]
pub(super) struct Watch {
    fields: BTreeMap<u32, Watched>,
}

#[derive(Debug)]
pub(super) enum Watched {
    /// The variable with this number sets it: it may only repeat that.
    Variable(usize),
    /// A parent of variables.
    Parent(Watch),
    /// A member of a oneof of which the variable sets another one.
    Sibling { message: MessageId, oneof: u32, variable: usize },
}

impl Watch {
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub(super) fn find(&self, number: u32) -> Option<&Watched> {
        self.fields.get(&number)
    }

    fn add(&mut self, contract: &Contract, steps: &[Step], variable: usize) {
        let [step, below @ ..] = steps else { return };
        let message = contract.message(step.0);
        let field = &message.fields[step.1];
        if let Some(oneof) = field.oneof {
            for other in &message.fields {
                if other.oneof == Some(oneof) && other.number != field.number {
                    let sibling = Watched::Sibling { message: step.0, oneof, variable };
                    self.fields.entry(other.number).or_insert(sibling);
                }
            }
        }
        if below.is_empty() {
            self.fields.insert(field.number, Watched::Variable(variable));
            return;
        }
        let parent =
            self.fields.entry(field.number).or_insert_with(|| Watched::Parent(Watch::default()));
        // Where it is something else, the variables exclude each other and no request is bound.
        if let Watched::Parent(watch) = parent {
            watch.add(contract, below, variable);
        }
    }
}
