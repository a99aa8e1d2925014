//! The keys `rest`, `json` and `http` of a team's file (experience §6).
//!
//! Not here: whether rules fit the contract (`check`).

use tandem_contract::{HttpMethod, RuleText};

use super::Known::{Instead, Later, Now};
use super::{At, Known, Layer, Reading};
use crate::document::{
    EncodedSlash, ErrorDetails, HeadHold, JsonDefaults, JsonEnums, JsonInt64, JsonNames,
    JsonSwitches, PatchMask, PathSwitches, RestSwitches, StreamEnvelope, StreamFraming,
    TrailingSlash, UnaskedBody, Unknown,
};
use crate::problem::{Problem, Tnd};
use crate::source::Value;

/// Switches of protocols §14, and what else stands under `rest`, that this build does not have.
const LATER: [&str; 14] = [
    "profile",
    "error_shape",
    "binding_conflict",
    "repeated_scalar_query",
    "bool_words",
    "plus_in_query",
    "request_type_check",
    "wrong_method",
    "metadata_prefix",
    "request_metadata",
    "status_headers",
    "rest_timeout_header",
    "method_override",
    "forms",
];

/// `rest.rpc_paths`, and the switches.
pub(super) fn rest(
    reading: &mut Reading,
    at: &At<'_>,
    layer: Layer,
) -> (Option<bool>, RestSwitches) {
    const NOW: [&str; 12] = [
        "rpc_paths",
        "encoded_slash",
        "trailing_slash",
        "unknown_query",
        "unknown_json_field",
        "body_without_rule",
        "patch_mask",
        "stream_framing",
        "stream_envelope",
        "sse_id_field",
        "head_hold",
        "error_details",
    ];
    const UNKNOWN: [(&str, Unknown); 2] =
        [("refuse", Unknown::Refuse), ("ignore", Unknown::Ignore)];
    let in_json = "write it under `json`, beside `rest`";
    let known: Vec<Known> = NOW
        .into_iter()
        .map(Now)
        .chain(LATER.map(Later))
        .chain([Instead("defaults", in_json)])
        .collect();
    let fields = reading.fields(at, &known);
    let rpc_paths = fields.get("rpc_paths").and_then(|at| match layer {
        Layer::Defaults => reading.boolean(at),
        Layer::Service | Layer::Method => {
            reading.later(at, "write it under `defaults`: it holds for the whole namespace");
            None
        }
    });
    let encoded_slash = fields.get("encoded_slash").and_then(|at| {
        reading.word(at, &[("refuse", EncodedSlash::Refuse), ("decode", EncodedSlash::Decode)])
    });
    let trailing_slash = fields.get("trailing_slash").and_then(|at| {
        reading.word(at, &[("404", TrailingSlash::NotFound), ("redirect", TrailingSlash::Redirect)])
    });
    let unknown_query = fields.get("unknown_query").and_then(|at| reading.word(at, &UNKNOWN));
    let unknown_json_field =
        fields.get("unknown_json_field").and_then(|at| reading.word(at, &UNKNOWN));
    let body_without_rule = fields.get("body_without_rule").and_then(|at| {
        reading.word(at, &[("refuse", UnaskedBody::Refuse), ("ignore", UnaskedBody::Ignore)])
    });
    let patch_mask = fields
        .get("patch_mask")
        .and_then(|at| reading.word(at, &[("fill", PatchMask::Fill), ("leave", PatchMask::Leave)]));
    let stream_framing = fields.get("stream_framing").and_then(|at| {
        let words = [
            ("array", StreamFraming::Array),
            ("ndjson", StreamFraming::Ndjson),
            ("sse", StreamFraming::Sse),
        ];
        reading.word(at, &words)
    });
    let stream_envelope = fields.get("stream_envelope").and_then(|at| {
        let words = [("bare", StreamEnvelope::Bare), ("result_error", StreamEnvelope::ResultError)];
        reading.word(at, &words)
    });
    let sse_id_field = fields.get("sse_id_field").and_then(|at| reading.text(at)).map(Box::from);
    let head_hold = fields.get("head_hold").and_then(|at| reading.duration(at, "1ms", "60s"));
    let error_details = fields.get("error_details").and_then(|at| {
        reading.word(at, &[("safe", ErrorDetails::Safe), ("all", ErrorDetails::All)])
    });
    let switches = RestSwitches {
        paths: PathSwitches {
            encoded_slash: encoded_slash.unwrap_or_default(),
            trailing_slash: trailing_slash.unwrap_or_default(),
        },
        unknown_query: unknown_query.unwrap_or_default(),
        unknown_json_field: unknown_json_field.unwrap_or_default(),
        body_without_rule: body_without_rule.unwrap_or_default(),
        patch_mask: patch_mask.unwrap_or_default(),
        stream_framing: stream_framing.unwrap_or_default(),
        stream_envelope: stream_envelope.unwrap_or_default(),
        sse_id_field,
        head_hold: head_hold.map(HeadHold).unwrap_or_default(),
        error_details: error_details.unwrap_or_default(),
    };
    (rpc_paths, switches)
}

pub(super) fn json(reading: &mut Reading, at: &At<'_>) -> JsonSwitches {
    let fields = reading.fields(at, &[Now("defaults"), Now("enums"), Now("names"), Now("int64")]);
    let defaults = fields.get("defaults").and_then(|at| {
        reading.word(at, &[("omit", JsonDefaults::Omit), ("emit", JsonDefaults::Emit)])
    });
    let enums = fields.get("enums").and_then(|at| {
        reading.word(at, &[("name", JsonEnums::Name), ("number", JsonEnums::Number)])
    });
    let names = fields
        .get("names")
        .and_then(|at| reading.word(at, &[("json", JsonNames::Json), ("proto", JsonNames::Proto)]));
    let int64 = fields.get("int64").and_then(|at| {
        reading.word(at, &[("string", JsonInt64::String), ("number", JsonInt64::Number)])
    });
    JsonSwitches {
        defaults: defaults.unwrap_or_default(),
        enums: enums.unwrap_or_default(),
        names: names.unwrap_or_default(),
        int64: int64.unwrap_or_default(),
    }
}

/// Rules of one method: as many as an annotation may have (`additional_bindings` counted).
const RULES_MAX: usize = 101;

/// `http`: a list of rules, or one; they stand in the place of the annotations (protocols P-14).
pub(super) fn http(reading: &mut Reading, at: &At<'_>, layer: Layer) -> Option<Vec<RuleText>> {
    if layer != Layer::Method {
        let problem = Problem::error(Tnd::WrongType, "`http` belongs to one method")
            .here("these rules would be those of many")
            .fix("write it under `package.Service/Method`");
        reading.problem(at, problem);
        return None;
    }
    match &at.node.value {
        Value::Map(_) => Some(rule(reading, at).into_iter().collect()),
        Value::List(items) if items.len() > RULES_MAX => {
            let problem = Problem::error(Tnd::OverLimit, "a method has too many rules")
                .here(format!("{} are written, {RULES_MAX} are allowed", items.len()))
                .fix("write fewer");
            reading.problem(at, problem);
            None
        }
        Value::List(_) => Some(reading.list(at, rule)),
        _ => {
            let example = "write `[{ get: /v1/TEMPLATE }]`, or `[]` for a method without REST";
            reading.wrong(at, "is a list of rules", example);
            None
        }
    }
}

fn rule(reading: &mut Reading, at: &At<'_>) -> Option<RuleText> {
    const PATTERNS: [(&str, HttpMethod); 5] = [
        ("get", HttpMethod::Get),
        ("put", HttpMethod::Put),
        ("post", HttpMethod::Post),
        ("delete", HttpMethod::Delete),
        ("patch", HttpMethod::Patch),
    ];
    let known: Vec<Known> = PATTERNS
        .iter()
        .map(|(name, _)| Now(name))
        .chain([
            Now("custom"),
            Now("body"),
            Now("response_body"),
            Instead("selector", "take it out: the key above names the method"),
            Instead("additional_bindings", "write each as one more rule of the list"),
        ])
        .collect();
    let fields = reading.fields(at, &known);
    let mut patterns = Vec::new();
    for (name, http_method) in PATTERNS {
        let Some(at) = fields.get(name) else { continue };
        patterns.push((*at, reading.text(at).map(|template| (http_method, template.to_owned()))));
    }
    if let Some(at) = fields.get("custom") {
        patterns.push((*at, custom(reading, at)));
    }
    let mut text = |name: &str| match fields.get(name) {
        Some(at) => reading.text(at).unwrap_or_default().to_owned(),
        None => String::new(),
    };
    let (body, response_body) = (text("body"), text("response_body"));
    let mut patterns = patterns.into_iter();
    let Some((_, pattern)) = patterns.next() else {
        if matches!(at.node.value, Value::Map(_)) {
            let fix = "write one of `get`, `put`, `post`, `delete`, `patch` and `custom`";
            let what = "a rule says no HTTP method and path";
            reading.problem(at, Problem::error(Tnd::MissingKey, what).fix(fix));
        }
        return None;
    };
    for (at, _) in patterns {
        let problem = Problem::error(Tnd::WrongType, "a rule has two patterns")
            .here("one is written above")
            .fix("make a rule of its own for each");
        reading.problem(&at, problem);
    }
    let (http_method, template) = pattern?;
    Some(RuleText { http_method, template, body, response_body })
}

fn custom(reading: &mut Reading, at: &At<'_>) -> Option<(HttpMethod, String)> {
    let fields = reading.fields(at, &[Now("kind"), Now("path")]);
    for (name, fix) in [("kind", "write `kind: METHOD`"), ("path", "write `path: /v1/TEMPLATE`")] {
        if fields.get(name).is_none() && matches!(at.node.value, Value::Map(_)) {
            reading.missing(at, name, fix);
        }
    }
    let path = fields.get("path").and_then(|at| reading.text(at)).map(str::to_owned);
    let at = fields.get("kind")?;
    let kind = reading.text(at)?;
    match HttpMethod::of_kind(kind) {
        Ok(kind @ (HttpMethod::Custom(_) | HttpMethod::Any)) => Some((kind, path?)),
        Ok(known) => {
            let name = known.name().to_ascii_lowercase();
            let problem = Problem::error(Tnd::WrongType, format!("`{kind}` has a key of its own"))
                .fix(format!("write `{name}: TEMPLATE` instead of `custom`"));
            reading.problem(at, problem);
            None
        }
        Err(fault) => {
            let problem = Problem::error(Tnd::WrongType, fault.what).fix(fault.fix);
            reading.problem(at, problem);
            None
        }
    }
}
