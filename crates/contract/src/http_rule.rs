//! `google.api.http` rules: as they are written, and as they are served.
//!
//! A [`RuleText`] comes from an annotation (`option`) or from a team's configuration; held against
//! the types of a contract it becomes an [`HttpRule`], or a list of all that is wrong with it. A
//! rule that cannot be served is left out and named, the method's other rules stay (protocols
//! P-15). No text can stop the process: everything is bounded before it is read.
//!
//! Not here: what a whole contract does with rules (`Contract::with_rules`, `source`).

mod configured;
mod grammar;
mod option;
pub mod path;
mod template;
pub mod trie;

use std::fmt;

pub use self::configured::ConfiguredFault;
pub(crate) use self::template::Segment;
pub use self::template::{Template, TemplateSegment, Variable};
use crate::types::{FieldPath, Message, MessageId, follow};

/// Bytes of a custom kind, at most.
const KIND_BYTES_MOST: usize = 24;

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
    /// The method of `custom { kind: … }`; one that has a key of its own is that one.
    ///
    /// # Errors
    /// No token of HTTP, or a method that is never served (protocols H-2).
    pub fn of_kind(kind: &str) -> Result<HttpMethod, RuleFault> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let fault = |place, what, fix| Err(RuleFault::at(RulePart::Kind, kind, place, what, fix));
        match kind {
            "*" => Ok(HttpMethod::Any),
            "GET" => Ok(HttpMethod::Get),
            "PUT" => Ok(HttpMethod::Put),
            "POST" => Ok(HttpMethod::Post),
            "DELETE" => Ok(HttpMethod::Delete),
            "PATCH" => Ok(HttpMethod::Patch),
            "" => fault(0, "custom without a kind".to_owned(), "name an HTTP method"),
            "CONNECT" | "TRACE" => {
                fault(0, format!("custom kind `{kind}` is never served"), "use another method")
            }
            _ => match kind.bytes().position(|byte| !token(byte)) {
                Some(place) => {
                    fault(place, format!("custom kind `{kind}` is no HTTP method"), "use a token")
                }
                None if kind.len() > KIND_BYTES_MOST => {
                    let what = format!("a custom kind has more than {KIND_BYTES_MOST} bytes");
                    fault(KIND_BYTES_MOST, what, "use a shorter one")
                }
                None => Ok(HttpMethod::Custom(kind.into())),
            },
        }
    }

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

/// A rule as it is written, before it is held against the types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    pub http_method: HttpMethod,
    pub template: String,
    /// Empty for none.
    pub body: String,
    /// Empty for the whole message.
    pub response_body: String,
}

/// The part of a rule that a fault is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RulePart {
    /// No text of the rule alone.
    Whole,
    Template,
    /// `custom { kind: … }`
    Kind,
    Body,
    ResponseBody,
}

/// One thing that is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    pub part: RulePart,
    /// Place in the text of the part, in characters from 1; `None` for the whole rule.
    pub column: Option<usize>,
    /// Names the text.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl RuleFault {
    fn whole(what: impl Into<String>, fix: impl Into<String>) -> RuleFault {
        RuleFault { part: RulePart::Whole, column: None, what: what.into(), fix: fix.into() }
    }

    /// A fault at the byte `place` of the part's `text`.
    fn at(
        part: RulePart,
        text: &str,
        place: usize,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> RuleFault {
        let column = text.char_indices().take_while(|(at, _)| *at < place).count() + 1;
        RuleFault { part, column: Some(column), what: what.into(), fix: fix.into() }
    }
}

/// Column, what is wrong, what to do.
type LeftOut = (Option<usize>, String, String);

/// The rules that a serialized `google.protobuf.MethodOptions` annotates, and all that was left
/// out of them.
pub(crate) fn of_options(
    options: &[u8],
    messages: &[Message],
    input: MessageId,
    output: MessageId,
) -> (Vec<HttpRule>, Vec<LeftOut>) {
    let (texts, mut faults) = option::rules_of(options);
    let mut rules = Vec::new();
    for text in texts {
        match text.compile(messages, input, output) {
            Ok(rule) => rules.push(rule),
            Err(more) => faults.extend(more),
        }
    }
    let faults =
        faults.into_iter().map(|RuleFault { part: _, column, what, fix }| (column, what, fix));
    (rules, faults.collect())
}

impl RuleText {
    /// The rule for a method from `input` to `output`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn compile(
        &self,
        messages: &[Message],
        input: MessageId,
        output: MessageId,
    ) -> Result<HttpRule, Vec<RuleFault>> {
        let RuleText { http_method, template, body, response_body } = self;
        let mut faults = Vec::new();
        let template = template::parse(template, messages, input, &mut faults);
        let body = noted(body_binding(body, messages, input), &mut faults);
        let response_body = noted(answer_field(response_body, messages, output), &mut faults);
        match (template, body, response_body) {
            (Some((template, variables)), Some(body), Some(response_body)) if faults.is_empty() => {
                let http_method = http_method.clone();
                Ok(HttpRule { http_method, template, variables, body, response_body })
            }
            _ => Err(faults),
        }
    }
}

fn noted<T>(read: Result<T, RuleFault>, faults: &mut Vec<RuleFault>) -> Option<T> {
    read.map_err(|fault| faults.push(fault)).ok()
}

fn body_binding(
    text: &str,
    messages: &[Message],
    input: MessageId,
) -> Result<BodyBinding, RuleFault> {
    match text {
        "" => Ok(BodyBinding::None),
        "*" => Ok(BodyBinding::Whole),
        field => match field.find('.') {
            Some(dot) => Err(RuleFault::at(
                RulePart::Body,
                field,
                dot,
                format!("body `{field}` is not a field of the request itself"),
                "name a top-level field, or `*`",
            )),
            None => follow(messages, input, field).map(BodyBinding::Field).map_err(|unknown| {
                let what = format!("body: {}", unknown.what);
                RuleFault::at(RulePart::Body, field, unknown.place, what, "name a field, or `*`")
            }),
        },
    }
}

fn answer_field(
    text: &str,
    messages: &[Message],
    output: MessageId,
) -> Result<Option<FieldPath>, RuleFault> {
    if text.is_empty() {
        return Ok(None);
    }
    follow(messages, output, text).map(Some).map_err(|unknown| {
        let what = format!("response_body: {}", unknown.what);
        RuleFault::at(RulePart::ResponseBody, text, unknown.place, what, "name a field")
    })
}
