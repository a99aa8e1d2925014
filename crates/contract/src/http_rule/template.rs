//! A template held against the request's type: what a path must look like, and what it binds.
//!
//! What may stand in a template is the grammar's business (`grammar`); what it may bind is settled
//! here: singular scalars, and the messages whose JSON is a string, each once (protocols P-11).

use super::grammar::{self, Part};
use super::path::decode_literal;
use super::{RuleFault, RulePart};
use crate::types::{Cardinality, FieldPath, Message, MessageId, WellKnown, follow};

/// Bytes of one template, at most; a target cannot be longer.
const TEMPLATE_BYTES_MOST: usize = 8 * 1024;
/// Segments of one template, at most: as many as a target may have (security LI-8).
const SEGMENTS_MOST: usize = 64;

/// A variable of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub path: FieldPath,
    /// Segments that it captures: from the first, up to and without the second. The second is
    /// `None` when it ends in `**` and so captures to the path's end.
    pub(crate) first: usize,
    pub(crate) end: Option<usize>,
}

impl Variable {
    /// Where its segments stand among those of the template.
    pub fn positions(&self, template: &Template) -> std::ops::Range<usize> {
        self.first..self.end.unwrap_or(template.segments.len())
    }

    /// The segments of the template that the variable captures.
    pub fn segments<'a>(
        &self,
        template: &'a Template,
    ) -> impl Iterator<Item = TemplateSegment<'a>> + use<'a> {
        let count = self.end.map_or(usize::MAX, |end| end - self.first);
        template.segments().skip(self.first).take(count)
    }
}

/// A template without its variables: what a path must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    pub(crate) segments: Vec<Segment>,
    verb: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// Percent-decoded.
    Literal(Box<str>),
    /// `*`: exactly one segment.
    One,
    /// `**`: any number, also none; always last.
    Rest,
}

impl Template {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What each segment of a path must be, variables resolved; literals decoded.
    pub fn segments(&self) -> impl Iterator<Item = TemplateSegment<'_>> {
        self.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => TemplateSegment::Literal(text),
            Segment::One => TemplateSegment::One,
            Segment::Rest => TemplateSegment::Rest,
        })
    }

    /// The text behind the last colon, decoded, where the template has one.
    pub fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }

    /// The only path that matches, decoded; `None` where several do.
    pub fn only_path(&self) -> Option<String> {
        let mut path = String::new();
        for segment in self.segments() {
            let TemplateSegment::Literal(text) = segment else { return None };
            path.push('/');
            path.push_str(text);
        }
        if let Some(verb) = self.verb() {
            path.push(':');
            path.push_str(verb);
        }
        Some(path)
    }
}

/// One segment of a template as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateSegment<'a> {
    Literal(&'a str),
    /// `*`: exactly one segment.
    One,
    /// `**`: any number, also none; always last.
    Rest,
}

/// The template and its variables; `None` where it could not be read, with the reasons noted.
pub(super) fn parse(
    text: &str,
    messages: &[Message],
    input: MessageId,
    faults: &mut Vec<RuleFault>,
) -> Option<(Template, Vec<Variable>)> {
    let mut fault = |place: usize, what: String, fix: &str| {
        let what = format!("template `{text}`: {what}");
        faults.push(RuleFault::at(RulePart::Template, text, place, what, fix));
    };
    if text.len() > TEMPLATE_BYTES_MOST {
        let what = format!("a template has more than {TEMPLATE_BYTES_MOST} bytes");
        let fix = "shorten it";
        faults.push(RuleFault::at(RulePart::Template, text, TEMPLATE_BYTES_MOST, what, fix));
        return None;
    }
    let parsed = match grammar::parse(text) {
        Ok(parsed) => parsed,
        Err((place, what)) => {
            fault(place, what, "see google/api/http.proto, \"Path template syntax\"");
            return None;
        }
    };
    let mut segments = Vec::new();
    let mut variables: Vec<Variable> = Vec::new();
    for part in parsed.parts {
        match part {
            Part::Literal(place, literal) => match decode_literal(literal) {
                Ok(literal) => segments.push(Segment::Literal(literal.into())),
                Err(why) => {
                    let what = format!("no path matches the literal `{literal}`: {why}");
                    fault(place, what, "write it without the escape");
                }
            },
            Part::One => segments.push(Segment::One),
            Part::Rest => segments.push(Segment::Rest),
            Part::Variable { place, name, count } => match follow(messages, input, name) {
                Err(unknown) => fault(place + unknown.place, unknown.what, "name a field"),
                Ok(path) => match may_bind(&path, &variables, messages) {
                    Err((what, fix)) => fault(place, what, fix),
                    Ok(()) => {
                        let first = segments.len();
                        let end = count.map(|count| first + count);
                        variables.push(Variable { path, first, end });
                    }
                },
            },
        }
    }
    let verb = parsed.verb.and_then(|(place, verb)| match decode_literal(verb) {
        Ok(verb) => Some(verb.into()),
        Err(why) => {
            let what = format!("no path matches the verb `{verb}`: {why}");
            fault(place, what, "write it without the escape");
            None
        }
    });
    if segments.len() > SEGMENTS_MOST {
        fault(0, format!("it has more than {SEGMENTS_MOST} segments"), "shorten it");
    }
    Some((Template { text: text.into(), segments, verb }, variables))
}

/// A path can say one scalar: no lists, maps or messages, but the messages whose JSON is a string;
/// each field once, and of a oneof one member.
fn may_bind(
    path: &FieldPath,
    bound: &[Variable],
    messages: &[Message],
) -> Result<(), (String, &'static str)> {
    let (message, index) = path.last_step();
    let field = &messages[message.0 as usize].fields[index];
    let what = match (field.cardinality, field.kind.message()) {
        (Cardinality::Singular, None) => None,
        (Cardinality::Singular, Some(id)) => match messages[id.0 as usize].well_known {
            WellKnown::Wrapper
            | WellKnown::Timestamp
            | WellKnown::Duration
            | WellKnown::FieldMask => None,
            _ => Some("a message"),
        },
        (Cardinality::Repeated, _) => Some("a list"),
        (Cardinality::Map, _) => Some("a map"),
    };
    let name = &path.text;
    if let Some(what) = what {
        return Err((
            format!("`{name}` is {what}, which a path cannot say"),
            "bind a scalar field",
        ));
    }
    // A field, and a part of it, are one field twice.
    let again = bound.iter().any(|other| {
        other.path.steps.starts_with(&path.steps) || path.steps.starts_with(&other.path.steps)
    });
    if again {
        return Err((format!("`{name}` is bound twice"), "bind each field once"));
    }
    // Along two paths the first step that differs is where one oneof can be meant twice.
    let rival = bound.iter().find(|other| {
        let steps = path.steps.iter().zip(&other.path.steps);
        steps.into_iter().find(|(one, other)| one != other).is_some_and(|(one, other)| {
            let oneof = |(message, index): &(MessageId, usize)| {
                messages[message.0 as usize].fields[*index].oneof
            };
            one.0 == other.0 && oneof(one).is_some() && oneof(one) == oneof(other)
        })
    });
    match rival {
        Some(other) => Err((
            format!("`{name}` and `{}` are members of one oneof", other.path.text),
            "bind one of them",
        )),
        None => Ok(()),
    }
}
