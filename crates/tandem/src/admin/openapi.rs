//! The OpenAPI document of the admin API, made from its table.
//!
//! Not here: the paths (`table`).

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Map, Value, json};
use tandem_config::access::Allowed;

use super::table::{ROUTES, Right, Route};

/// The schemas, by name: written by hand beside the handlers that take and give them, held against
/// real answers by `tests/admin`.
const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// OpenAPI 3.1.
pub(crate) fn document() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let name = route.method.as_str().to_ascii_lowercase();
        paths.entry(route.path).or_default().insert(name, operation(route));
    }
    let schemas: Value = serde_json::from_str(SCHEMAS).expect("a file of this crate");
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tandem admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Namespaces, settings, members, audit. Fields are only ever added.",
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": "__Host-tandem" },
            },
        },
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn operation(route: &Route) -> Value {
    let mut parameters = Vec::new();
    for part in route.path.split('/').filter_map(|part| part.strip_prefix('{')) {
        let name = part.trim_end_matches('}');
        let schema = match name {
            "number" => json!({ "type": "integer", "minimum": 1 }),
            "namespace" => json!({ "type": "string", "pattern": "^[a-z0-9-]{1,63}$" }),
            _ => json!({ "type": "string" }),
        };
        parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
    }
    if route.conditional {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": false,
            "description": "What the change was made from: \"7\" is version 7, \"0\" none; drafts \
                            have tags of their own, and `If-None-Match: *` where there was none.",
            "schema": { "type": "string" },
        }));
    }
    for name in query(route.path) {
        parameters.push(json!({
            "name": name, "in": "query", "required": false, "schema": { "type": "string" },
        }));
    }
    let mut responses = Map::new();
    match route.gives {
        None => responses.insert("204".into(), json!({ "description": "Done." })),
        Some("Events") => responses.insert(
            "200".into(),
            json!({
                "description": "Events, as long as the reader stays.",
                "content": { "text/event-stream": { "schema": { "type": "string" } } },
            }),
        ),
        Some("DescriptorSet") => responses.insert(
            "200".into(),
            json!({
                "description": "A google.protobuf.FileDescriptorSet.",
                "content": { "application/x-protobuf": {} },
            }),
        ),
        Some(name) => responses.insert(
            "200".into(),
            json!({
                "description": "Done.",
                "content": { "application/json": { "schema": reference(name) } },
            }),
        ),
    };
    responses.insert(
        "default".into(),
        json!({
            "description": "A refusal.",
            "content": { "application/json": { "schema": reference("Refusal") } },
        }),
    );
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "description": needs(route.right),
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(name) = route.takes {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": reference(name) } },
        });
    }
    if route.right == Right::Open {
        operation["security"] = json!([]);
    }
    operation
}

fn query(path: &str) -> &'static [&'static str] {
    match path.rsplit('/').next() {
        Some("audit") => &["before", "most"],
        Some("verify") => &["head"],
        Some("differences") => &["path", "samples"],
        _ => &[],
    }
}

/// `get_namespaces_namespace_versions`.
fn operation_id(route: &Route) -> String {
    let words: String = route
        .path
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
        .collect();
    let method = if route.method == Method::GET { "get" } else { route.method.as_str() };
    format!("{}{}", method.to_ascii_lowercase(), words.replace("__", "_").trim_end_matches('_'))
}

fn needs(right: Right) -> String {
    let action = match right {
        Right::Open => return "Anybody may ask.".to_owned(),
        Right::Visitor => {
            return "Whoever signed in; what he may not see is left out.".to_owned();
        }
        Right::In(action) | Right::InByAct(action) | Right::OfPlatform(action) => action,
    };
    let who = match action.allowed() {
        Allowed::From(role) | Allowed::FromOrGateway(role) => {
            format!("the role {} in the namespace", role.name())
        }
        Allowed::FromOrField(role) => {
            format!("the role {} in the namespace, or the field opened to one", role.name())
        }
        Allowed::FromOrPlatform(role) => {
            format!("the role {} in the namespace, or a platform administrator", role.name())
        }
        Allowed::Gateway => "the gateway itself".to_owned(),
        Allowed::Platform | Allowed::PlatformOrGateway => "a platform administrator".to_owned(),
    };
    match right {
        Right::InByAct(_) => {
            format!("Needs {who}; settings fields that were opened to somebody are his to change.")
        }
        _ => format!("Needs {who}."),
    }
}
