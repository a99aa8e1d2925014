//! `google.api.http` rules: read from options, checked against the types.
//!
//! The grammar of templates is a library's; what a template may bind, and how texts are matched,
//! is ours (`http_rule::trie`). A rule that cannot be served is left out and named, the method's
//! other rules stay (protocols P-15).
//!
//! Source: google/api/http.proto; extension 72295728 of `google.protobuf.MethodOptions`, read
//! from the option's bytes because servers often reflect without `annotations.proto`.

pub mod path;
pub mod trie;

use std::fmt;

use http_path_template::{Grammar, PathTemplate, Segment as Parsed};

use crate::fields::{self, Field as Wire};
use crate::types::{Cardinality, FieldPath, Message, MessageId, follow};

/// Number of the extension `google.api.http`.
const HTTP_OPTION: u32 = 72_295_728;
/// Additional bindings of one method, at most.
const BINDINGS_MOST: usize = 100;
/// Bytes of one template, at most; a target cannot be longer.
const TEMPLATE_BYTES_MOST: usize = 8 * 1024;
/// Segments of one template, at most: as many as a target may have (security LI-8).
const SEGMENTS_MOST: usize = 64;

/// One way to call a method by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRule {
    pub http_method: HttpMethod,
    pub template: Template,
    /// What the template binds, in its order.
    pub variables: Vec<Variable>,
    pub body: BodyBinding,
    /// The field of the answer that is the body; `None` for the whole message.
    pub response_body: Option<FieldPath>,
}

/// The HTTP method of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpMethod {
    Get,
    Put,
    Post,
    Delete,
    Patch,
    /// `custom { kind: … }`
    Custom(Box<str>),
    /// `custom { kind: "*" }`: any method.
    Any,
}

impl HttpMethod {
    /// The method's name; `*` for any.
    pub fn name(&self) -> &str {
        match self {
            HttpMethod::Get => "GET",
            HttpMethod::Put => "PUT",
            HttpMethod::Post => "POST",
            HttpMethod::Delete => "DELETE",
            HttpMethod::Patch => "PATCH",
            HttpMethod::Custom(kind) => kind,
            HttpMethod::Any => "*",
        }
    }
}

impl fmt::Display for HttpMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Where the HTTP body goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyBinding {
    /// Nowhere: the request has none.
    None,
    /// `body: "*"`: it is the message, but for what the path binds.
    Whole,
    /// `body: "field"`: a field of the message itself.
    Field(FieldPath),
}

impl BodyBinding {
    /// As it is written in the rule; empty for none.
    pub fn text(&self) -> &str {
        match self {
            BodyBinding::None => "",
            BodyBinding::Whole => "*",
            BodyBinding::Field(path) => &path.text,
        }
    }
}

/// A variable of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub path: FieldPath,
    /// Segments that it captures: from the first, up to and without the second. The second is
    /// `None` when it ends in `**` and so captures to the path's end.
    pub(crate) first: usize,
    pub(crate) end: Option<usize>,
}

/// A template without its variables: what a path must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) verb: Option<Box<str>>,
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

    /// The text behind the last colon, where the template has one.
    pub fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
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

/// Column, what is wrong, what to do.
type RuleFault = (Option<usize>, String, String);

/// The rules in a serialized `google.protobuf.MethodOptions`, and what was left out.
pub(crate) fn of_options(
    options: &[u8],
    messages: &[Message],
    input: MessageId,
    output: MessageId,
) -> (Vec<HttpRule>, Vec<RuleFault>) {
    let mut rules = Vec::new();
    let mut faults = Vec::new();
    // Of an option given twice the last one counts.
    let option = fields::each(options)
        .map_while(Result::ok)
        .filter(|field| field.number == HTTP_OPTION)
        .last();
    let Some(option) = option else { return (rules, faults) };
    let mut bindings = vec![option.bytes];
    for field in fields::each(option.bytes).map_while(Result::ok) {
        if field.number != ADDITIONAL_BINDINGS {
            continue;
        }
        if bindings.len() > BINDINGS_MOST {
            faults.push(simple(format!("more than {BINDINGS_MOST} bindings"), "write fewer"));
            break;
        }
        let deeper = fields::each(field.bytes)
            .map_while(Result::ok)
            .any(|inner| inner.number == ADDITIONAL_BINDINGS);
        if deeper {
            faults.push(simple(
                "additional_bindings inside additional_bindings",
                "put all bindings beside each other, one level deep",
            ));
        }
        bindings.push(field.bytes);
    }
    for binding in bindings {
        match rule(binding, messages, input, output) {
            Ok(Some(rule)) => rules.push(rule),
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
    }
    (rules, faults)
}

const ADDITIONAL_BINDINGS: u32 = 11;

fn simple(what: impl Into<String>, fix: impl Into<String>) -> RuleFault {
    (None, what.into(), fix.into())
}

/// `None` for a rule without a pattern, which binds nothing.
fn rule(
    binding: &[u8],
    messages: &[Message],
    input: MessageId,
    output: MessageId,
) -> Result<Option<HttpRule>, RuleFault> {
    let mut pattern: Option<(HttpMethod, String)> = None;
    let mut body = String::new();
    let mut response_body = String::new();
    for field in fields::each(binding) {
        let Wire { number, bytes, .. } =
            field.map_err(|what| simple(format!("the rule cannot be read: {what}"), "rebuild"))?;
        let text = || {
            String::from_utf8(bytes.to_vec())
                .map_err(|_error| simple("the rule holds text that is no UTF-8", "rebuild"))
        };
        match number {
            2 => pattern = Some((HttpMethod::Get, text()?)),
            3 => pattern = Some((HttpMethod::Put, text()?)),
            4 => pattern = Some((HttpMethod::Post, text()?)),
            5 => pattern = Some((HttpMethod::Delete, text()?)),
            6 => pattern = Some((HttpMethod::Patch, text()?)),
            7 => body = text()?,
            8 => {
                let kind = fields::first_text(bytes, 1).unwrap_or_default();
                pattern = Some((custom(&kind)?, fields::first_text(bytes, 2).unwrap_or_default()));
            }
            12 => response_body = text()?,
            _ => {}
        }
    }
    let Some((http_method, text)) = pattern else { return Ok(None) };
    let (template, variables) = template(&text, messages, input)?;
    let body = match body.as_str() {
        "" => BodyBinding::None,
        "*" => BodyBinding::Whole,
        field if field.contains('.') => {
            return Err(simple(
                format!("body `{field}` is not a field of the request itself"),
                "name a top-level field, or `*`",
            ));
        }
        field => BodyBinding::Field(
            follow(messages, input, field)
                .map_err(|what| simple(format!("body: {what}"), "name a field, or `*`"))?,
        ),
    };
    let response_body = match response_body.as_str() {
        "" => None,
        field => Some(
            follow(messages, output, field)
                .map_err(|what| simple(format!("response_body: {what}"), "name a field"))?,
        ),
    };
    Ok(Some(HttpRule { http_method, template, variables, body, response_body }))
}

fn custom(kind: &str) -> Result<HttpMethod, RuleFault> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match kind {
        "*" => Ok(HttpMethod::Any),
        "" => Err(simple("custom without a kind", "name an HTTP method")),
        "CONNECT" | "TRACE" => {
            Err(simple(format!("custom kind `{kind}` is never served"), "use another method"))
        }
        kind if kind.len() <= 24 && kind.bytes().all(token) => Ok(HttpMethod::Custom(kind.into())),
        kind => Err(simple(format!("custom kind `{kind}` is no HTTP method"), "use a token")),
    }
}

fn template(
    text: &str,
    messages: &[Message],
    input: MessageId,
) -> Result<(Template, Vec<Variable>), RuleFault> {
    if text.len() > TEMPLATE_BYTES_MOST {
        return Err(simple(
            format!("the template has more than {TEMPLATE_BYTES_MOST} bytes"),
            "shorten it",
        ));
    }
    let parsed = PathTemplate::parse(text, Grammar::default()).map_err(|error| {
        simple(
            format!("template `{text}`: {error}"),
            "see google/api/http.proto, \"Path template syntax\"",
        )
    })?;
    let column = |part: &str| {
        // Parts are slices of the text.
        let offset = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
        offset.filter(|offset| *offset < text.len()).map(|offset| offset + 1)
    };
    let mut segments = Vec::new();
    let mut variables: Vec<Variable> = Vec::new();
    for part in parsed.segments() {
        match part {
            Parsed::Variable(variable) => {
                let name = variable.field_path();
                let at = column(name);
                let first = segments.len();
                let mut end = None;
                for part in variable.segments() {
                    segments.push(segment(&part).map_err(|what| (at, what, String::new()))?);
                    end = Some(segments.len());
                }
                if segments.last() == Some(&Segment::Rest) {
                    end = None;
                }
                let path = follow(messages, input, name).map_err(|what| {
                    (at, format!("template `{text}`: {what}"), "name a field".to_owned())
                })?;
                check_variable(&path, messages)
                    .map_err(|(what, fix)| (at, format!("template `{text}`: {what}"), fix))?;
                if variables.iter().any(|other| other.path.steps == path.steps) {
                    return Err((
                        at,
                        format!("template `{text}` binds `{name}` twice"),
                        "bind each field once".into(),
                    ));
                }
                variables.push(Variable { path, first, end });
            }
            part => segments.push(segment(part).map_err(|what| simple(what, ""))?),
        }
    }
    if segments.len() > SEGMENTS_MOST {
        return Err(simple(
            format!("template `{text}` has more than {SEGMENTS_MOST} segments"),
            "shorten it",
        ));
    }
    if let Some(place) = segments.iter().position(|segment| *segment == Segment::Rest)
        && place + 1 != segments.len()
    {
        return Err(simple(
            format!("template `{text}`: `**` is not the last segment"),
            "`**` may only be last",
        ));
    }
    let verb = parsed.verb().map(Into::into);
    Ok((Template { text: text.into(), segments, verb }, variables))
}

fn segment(parsed: &Parsed<'_>) -> Result<Segment, String> {
    match parsed {
        Parsed::Literal(text) => path::decode_segment(text)
            .map(|text| Segment::Literal(text.into()))
            .map_err(|fault| format!("literal `{text}`: {fault}")),
        Parsed::Single => Ok(Segment::One),
        Parsed::Rest => Ok(Segment::Rest),
        // The grammar of google.api.http has no others (the library's enum may grow).
        _ => Err("a segment that google.api.http does not know".into()),
    }
}

/// A path can say one scalar: no lists, maps or messages, but the messages whose JSON is a string.
fn check_variable(path: &FieldPath, messages: &[Message]) -> Result<(), (String, String)> {
    use crate::types::WellKnown;
    let (message, index) = *path.steps.last().expect("a path has at least one step");
    let field = &messages[message.0 as usize].fields[index];
    let what = match (field.cardinality, field.kind.message()) {
        (Cardinality::Singular, None) => return Ok(()),
        (Cardinality::Singular, Some(id)) => match messages[id.0 as usize].well_known {
            WellKnown::Wrapper
            | WellKnown::Timestamp
            | WellKnown::Duration
            | WellKnown::FieldMask => return Ok(()),
            _ => "a message",
        },
        (Cardinality::Repeated, _) => "a list",
        (Cardinality::Map, _) => "a map",
    };
    Err((
        format!("`{}` is {what}, which a path cannot say", path.text),
        "bind a scalar field".into(),
    ))
}
