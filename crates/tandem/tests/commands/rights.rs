//! Who may what by the admin API: every path × every role × own, other and no namespace (security
//! TA-12, T-7), and how people sign in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::teams::{Answer, Request, Team, document};

/// v: viewer, e: editor, p: publisher, o: owner of the namespace; A: a platform administrator
/// without a role; s: the owner of another namespace; n: somebody with a token and no role. The
/// operator may all of it, and nobody without a token anything but what is open.
const EXPECTED: &[(&str, &str)] = &[
    ("GET /session", "vepoAsn"),
    ("DELETE /session", "vepoAsn"),
    ("POST /links", "vepoAsn"),
    ("GET /status", "vepoAsn"),
    ("GET /openapi.json", "vepoAsn"),
    ("GET /methods", "vepoAsn"),
    ("GET /pairs", "vepoAsn"),
    ("GET /traces/{id}", "vepoAsn"),
    ("GET /requests/{id}", "vepoAsn"),
    ("POST /reload", "A"),
    ("GET /namespaces", "vepoAsn"),
    ("GET /namespaces/{namespace}", "vepo"),
    ("PUT /namespaces/{namespace}", "A"),
    ("GET /namespaces/{namespace}/contract", "vepo"),
    ("GET /namespaces/{namespace}/versions", "vepo"),
    ("GET /namespaces/{namespace}/versions/{number}", "vepo"),
    ("GET /namespaces/{namespace}/draft", "epo"),
    ("PUT /namespaces/{namespace}/draft", "epo"),
    ("DELETE /namespaces/{namespace}/draft", "epo"),
    ("POST /namespaces/{namespace}/check", "vepo"),
    ("POST /namespaces/{namespace}/diff", "vepo"),
    ("POST /namespaces/{namespace}/publish", "po"),
    ("POST /namespaces/{namespace}/rollback", "po"),
    ("GET /namespaces/{namespace}/settings", "vepo"),
    ("GET /namespaces/{namespace}/settings/{service}", "vepo"),
    // An editor may draft values.
    ("PATCH /namespaces/{namespace}/settings/{service}", "epo"),
    ("GET /namespaces/{namespace}/settings/{service}/versions", "vepo"),
    ("POST /namespaces/{namespace}/settings/{service}/rollback", "po"),
    ("GET /namespaces/{namespace}/methods/{service}/{method}/verdict", "vepo"),
    ("GET /namespaces/{namespace}/methods/{service}/{method}/differences", "vepo"),
    ("GET /namespaces/{namespace}/methods/{service}/{method}/noise", "vepo"),
    ("POST /namespaces/{namespace}/methods/{service}/{method}/noise", "po"),
    ("PUT /namespaces/{namespace}/methods/{service}/{method}/mirror", "po"),
    ("GET /namespaces/{namespace}/cache", "vepo"),
    ("POST /namespaces/{namespace}/cache/purge", "po"),
    ("GET /namespaces/{namespace}/members", "oA"),
    ("PUT /namespaces/{namespace}/members/{who}", "o"),
    ("DELETE /namespaces/{namespace}/members/{who}", "o"),
    ("GET /namespaces/{namespace}/keys", "o"),
    ("POST /namespaces/{namespace}/keys", "o"),
    ("DELETE /namespaces/{namespace}/keys/{id}", "o"),
    ("GET /namespaces/{namespace}/secrets", "o"),
    ("PUT /namespaces/{namespace}/secrets/{name}", "o"),
    ("DELETE /namespaces/{namespace}/secrets/{name}", "o"),
    ("GET /namespaces/{namespace}/audit", "oA"),
    ("GET /namespaces/{namespace}/audit/verify", "oA"),
    ("GET /audit", "A"),
    ("GET /audit/verify", "A"),
    ("GET /platform", "A"),
    ("POST /platform/publish", "A"),
    ("GET /tokens", "A"),
    ("POST /tokens", "A"),
    ("DELETE /tokens/{id}", "A"),
];

/// Open to everybody, or a stream.
const APART: &[&str] = &["POST /session", "GET /events"];

fn everybody(team: &Team) -> BTreeMap<char, String> {
    let mut all: BTreeMap<char, String> =
        [('v', "viewer"), ('e', "editor"), ('p', "publisher"), ('o', "owner"), ('s', "stranger")]
            .into_iter()
            .map(|(letter, name)| (letter, team.token(name, &[])))
            .collect();
    all.insert('n', team.token("newcomer", &[]));
    all.insert('A', team.token("administrator", &["--platform-admin"]));
    all
}

/// Every operation that the OpenAPI document has.
fn operations(team: &Team) -> BTreeSet<String> {
    let document = team.api("GET", "/openapi.json").token(&team.operator()).send().json();
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_ascii_uppercase()))
    });
    each.collect()
}

/// A request that is good but for the right of who sends it.
fn request(team: &Team, operation: &str, namespace: &str) -> Request {
    let (method, path) = operation.split_once(' ').unwrap();
    let filled = path
        .replace("{namespace}", namespace)
        .replace("{number}", "1")
        .replace("{service}", "test.v1.Notes")
        .replace("{method}", "Get")
        .replace("{who}", "user:x")
        .replace("{name}", "x");
    let filled = filled.replace("{id}", &"0".repeat(32));
    let request = team.api(method, &filled);
    let body = match (method, path.rsplit('/').next().unwrap()) {
        ("POST", "publish" | "check" | "diff") => {
            // What cannot be published by anybody: the right is asked first.
            json!({ "text": document(team.service.address, "2s") })
        }
        ("POST", "rollback") => json!({ "to": 99 }),
        ("PATCH", _) => json!({ "values": {}, "why": "x" }),
        ("POST", "noise") => json!({ "path": "text", "why": "x" }),
        ("PUT", "mirror") => json!({ "on": false, "why": "x" }),
        ("PUT", "draft") => json!({ "text": "x" }),
        // A namespace is made from nothing, and this is not.
        ("PUT", "{namespace}") => json!({ "why": "x" }),
        ("PUT" | "POST", "x" | "user:x" | "{who}" | "{name}" | "keys" | "tokens" | "purge") => {
            json!({})
        }
        _ => return request.made_from(99),
    };
    request.made_from(99).json(&body)
}

/// Whether an answer says that the right was missing.
fn is_denied(answer: &Answer) -> bool {
    if answer.status == 401 || answer.status == 403 {
        return true;
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    answer.status == 404 && body["problems"][0]["what"] == "there is no such namespace"
}

#[test]
fn security_ta_12_every_path_of_the_admin_api_is_open_to_those_and_to_nobody_else() {
    let team = Team::start();
    let everybody = everybody(&team);
    let expected: BTreeMap<&str, &str> = EXPECTED.iter().copied().collect();
    let known: BTreeSet<String> =
        expected.keys().chain(APART).map(|operation| (*operation).to_owned()).collect();
    assert_eq!(operations(&team), known, "a path without a line here");
    let mut asked = 0;
    for (operation, allowed) in EXPECTED {
        for (letter, token) in &everybody {
            for namespace in ["notes", "other", "nowhere"] {
                if !operation.contains("{namespace}") && namespace != "notes" {
                    continue;
                }
                // The owner of the other namespace is in it what an owner is in his own.
                let own = namespace == "notes";
                let letter_here = match (letter, namespace) {
                    ('s', "other") => 'o',
                    (letter, _) => *letter,
                };
                let anywhere = *letter == 'A' && allowed.contains('A');
                let exists = namespace != "nowhere" || anywhere;
                let expected =
                    exists && allowed.contains(letter_here) && (own || anywhere || *letter == 's');
                let answer = request(&team, operation, namespace).token(token).send();
                let may = !is_denied(&answer);
                assert_eq!(may, expected, "{operation} {letter} {namespace}: {answer:?}");
                asked += 1;
            }
        }
        let nobody = request(&team, operation, "notes").send();
        assert_eq!(nobody.status, 401, "{operation} {nobody:?}");
    }
    println!("{asked} questions");
    // Nothing of it changed anything.
    team.is_at(1);
}

#[test]
fn security_t_7_lists_hold_what_the_visitor_may_see() {
    let team = Team::start();
    let viewer = team.token("viewer", &[]);
    let stranger = team.token("stranger", &[]);
    let names = |token: &str, path: &str, key: &str| -> BTreeSet<String> {
        let told = team.api("GET", path).token(token).send().json();
        let list = if key.is_empty() { told } else { told[key].clone() };
        let list = list.as_array().unwrap().clone();
        let name = |one: &Value| {
            let name = one["namespace"].as_str().or(one["name"].as_str());
            name.unwrap().to_owned()
        };
        list.iter().map(name).collect()
    };
    let only = |name: &str| BTreeSet::from([name.to_owned()]);
    for (path, key) in [
        ("/namespaces", ""),
        ("/status", "namespaces"),
        ("/status", "methods"),
        ("/methods", "methods"),
    ] {
        assert_eq!(names(&viewer, path, key), only("notes"), "{path} {key}");
        assert!(!names(&stranger, path, key).contains("notes"), "{path} {key}");
    }
    assert_eq!(names(&stranger, "/namespaces", ""), only("other"));
}

#[test]
fn security_t_8_a_body_that_names_an_owner_or_a_version_is_refused() {
    let team = Team::start();
    let text = document(team.service.address, "3s");
    for extra in ["namespace", "owner", "version", "who"] {
        let mut body = json!({ "text": text, "why": "x" });
        body[extra] = json!("notes");
        let request = team.api("POST", "/namespaces/notes/publish").token(&team.operator());
        let answer = request.made_from(1).json(&body).send();
        assert_eq!(answer.status, 400, "{extra} {answer:?}");
    }
    team.is_at(1);
}

#[test]
fn a_token_has_the_roles_of_its_name_until_it_is_revoked() {
    let team = Team::start();
    let ci = team.token("ci", &[]);
    let show = || team.api("GET", "/namespaces/notes").token(&ci).send().status;
    assert_eq!(show(), 404, "it may not even know of it");
    let added = team.tandem(&["member", "add", "notes", "token:ci", "--role", "editor"]);
    assert_eq!(added.exit, 0, "{added:?}");
    assert_eq!(show(), 200);
    team.place.write("ci.token", &ci);
    team.place.write("teams/notes.yaml", &document(team.service.address, "3s"));
    let apply = ["apply", "-m", "x", "--token-file", "ci.token"];
    let refused = team.tandem(&apply);
    assert_eq!(refused.exit, 7, "{refused:?}");
    assert!(refused.err.contains("TND0402") && refused.err.contains("publisher"), "{refused:?}");
    assert_eq!(team.tandem(&[&apply[..], &["--draft"]].concat()).exit, 0);
    let audit = team.tandem(&["audit", "list", "notes"]).out;
    assert!(audit.contains("token:ci") && audit.contains("REFUSED"), "{audit}");

    let listed = team.tandem(&["token", "list", "--json"]).json();
    let id = listed["id"].as_str().unwrap();
    assert!(listed["used"].is_string(), "{listed}");
    assert_eq!(team.tandem(&["token", "revoke", id, "--yes"]).exit, 0);
    assert_eq!(show(), 401);
}

#[test]
fn security_ad_3_a_session_changes_nothing_without_its_header_and_ends_with_its_token() {
    let team = Team::start();
    let owner = team.token("owner", &[]);
    let sign_in = |body: &Value| team.api("POST", "/session").json(body).send();
    let signed = sign_in(&json!({ "token": owner }));
    assert_eq!(signed.status, 204, "{signed:?}");
    let cookie = signed.header("set-cookie").unwrap().to_owned();
    for part in ["__Host-tandem=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let ask = |method: &str, path: &str| team.api(method, path).header("cookie", &cookie);
    let session = ask("GET", "/session").send().json();
    assert_eq!(session["who"], "token:owner");
    assert_eq!(session["roles"], json!({ "notes": "owner" }));

    let member = json!({ "role": "viewer" });
    let add = || ask("PUT", "/namespaces/notes/members/user:ann").json(&member);
    assert_eq!(add().send().status, 403);
    assert_eq!(add().header("x-tandem-csrf", "1").send().status, 204);
    let foreign = add().header("x-tandem-csrf", "1").header("origin", "http://evil.example");
    assert_eq!(foreign.send().status, 403);
    let audit = team.tandem(&["audit", "list", "notes"]).out;
    assert!(audit.contains("write members (members notes) by page"), "{audit}");

    // Signed out is signed out; a revoked token signs everybody out.
    let again = sign_in(&json!({ "token": owner }));
    let other = again.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(ask("DELETE", "/session").header("x-tandem-csrf", "1").send().status, 204);
    assert_eq!(ask("GET", "/session").send().status, 401);
    let ask = |path: &str| team.api("GET", path).header("cookie", &other).send().status;
    assert_eq!(ask("/session"), 200);
    let id = team.tandem(&["token", "list", "--json"]).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(team.tandem(&["token", "revoke", &id, "--yes"]).exit, 0);
    assert_eq!(ask("/session"), 401);
}

#[test]
fn security_ad_1_a_link_signs_in_once() {
    let team = Team::start();
    let said = team.tandem(&["open", "/t/notes"]);
    let (url, link) = said.out.trim().split_once("#link=").unwrap();
    assert_eq!(url, format!("http://{}/t/notes", team.running.admin));
    let sign_in = |link: &str| team.api("POST", "/session").json(&json!({ "link": link })).send();
    let first = sign_in(link);
    assert_eq!(first.status, 204, "{first:?}");
    assert_eq!(sign_in(link).status, 401);
    assert_eq!(sign_in("0000").status, 401);
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap();
    let session = team.api("GET", "/session").header("cookie", cookie).send().json();
    assert_eq!(
        (&session["who"], &session["platform_admin"]),
        (&json!("token:operator"), &json!(true))
    );
}

#[test]
fn security_li_31_guesses_are_counted_and_then_not_looked_at() {
    let team = Team::start();
    let guess = json!({ "token": format!("tnd_00000000_{}", "0".repeat(64)) });
    let statuses: Vec<u16> =
        (0..12).map(|_| team.api("POST", "/session").json(&guess).send().status).collect();
    assert_eq!(statuses[..10], [401; 10], "{statuses:?}");
    assert_eq!(statuses[10..], [429; 2], "{statuses:?}");
    // The right token waits as well: whoever guesses learns nothing by a difference.
    let right = team.api("GET", "/session").token(&team.operator()).send();
    assert_eq!(right.status, 429);
}

#[test]
fn ad_2_the_metrics_are_read_by_a_token_with_their_scope() {
    let team = Team::start();
    let metrics = |token: &str| {
        let line = "GET /metrics HTTP/1.1";
        let request = Request::raw(team.running.admin, line).token(token);
        request.send().status
    };
    assert_eq!(metrics(&team.operator()), 200);
    assert_eq!(metrics(&team.token("plain", &[])), 403);
    assert_eq!(metrics(&team.token("scraper", &["--scope", "metrics"])), 200);
}

#[test]
fn security_se_1_a_secret_is_set_and_never_shown() {
    let team = Team::start();
    let secret = "planted-secret-3f9c";
    let mut command = team.place.command(&[
        "secret",
        "set",
        "notes",
        "password",
        "--admin",
        &team.running.admin.to_string(),
    ]);
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), secret.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let listed = team.tandem(&["secret", "list", "notes", "--json"]).json();
    assert_eq!(listed["name"], "password");
    assert_eq!(listed["fingerprint"].as_str().unwrap().len(), 16);
    for file in team.place.files() {
        let bytes = std::fs::read(team.place.0.join(&file)).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "it stands in {file}");
    }
    assert_eq!(team.tandem(&["secret", "remove", "notes", "password"]).exit, 0);
    assert_eq!(team.tandem(&["secret", "remove", "notes", "password"]).exit, 2);
}

#[test]
fn security_a_6_a_callers_key_opens_methods_of_its_namespace_until_it_is_revoked() {
    let team = Team::start();
    let platform = team.place.read("tandem.yaml");
    let Team { running, place, service } = team;
    running.signal("-TERM");
    place.write("tandem.yaml", &(platform + "identity: { api_keys: { header: x-api-key } }\n"));
    let team = Team { running: crate::place::Running::start(&place, &[]), place, service };
    let text = document(team.service.address, "2s")
        .replace("auth: { public: true }", "auth: { api_key: true, scopes: [notes.read] }");
    team.place.write("teams/notes.yaml", &text);
    let applied = team.tandem(&["apply", "-m", "keys"]);
    assert_eq!(applied.exit, 0, "{applied:?}");
    let call = |key: Option<&str>| {
        let request = Request::raw(team.running.public, "GET /v1/notes/x HTTP/1.1");
        let request =
            key.into_iter().fold(request, |request, key| request.header("x-api-key", key));
        request.send().status
    };
    assert_eq!(call(None), 401);
    let create = |name: &str, more: &[&str]| {
        let said = team.tandem(&[&["key", "create", "notes", name][..], more].concat());
        assert_eq!(said.exit, 0, "{said:?}");
        said.out.trim().to_owned()
    };
    let key = create("mobile", &["--scope", "notes.read"]);
    assert!(key.starts_with("tnk_"), "{key}");
    assert_eq!(call(Some(&key)), 200);
    assert_eq!(call(Some(&create("other", &[]))), 403);
    let listed = team.tandem(&["key", "list", "notes", "--json"]).out;
    let line = listed.lines().find(|line| line.contains("mobile")).unwrap();
    let id = serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(team.tandem(&["key", "revoke", "notes", &id, "--yes"]).exit, 0);
    assert_eq!(call(Some(&key)), 401);
}

/// Whether `value` is what the schema says; what is wrong with it otherwise. Knows the words that
/// the document uses, and no others.
fn holds(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let known = [
        "$ref",
        "anyOf",
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "format",
        "description",
        "minimum",
        "pattern",
    ];
    for word in schema.as_object().unwrap().keys() {
        assert!(known.contains(&word.as_str()), "{word} is not judged here");
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return holds(root, root.pointer(&reference[1..]).expect(reference), value, path);
    }
    if let Some(parts) = schema["anyOf"].as_array() {
        let faults: Vec<String> =
            parts.iter().filter_map(|part| holds(root, part, value, path).err()).collect();
        return if faults.len() < parts.len() { Ok(()) } else { Err(faults.join(" or ")) };
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return Err(format!("{path}: {value} is none of {values:?}"));
    }
    if schema.get("const").is_some_and(|one| one != value) {
        return Err(format!("{path}: {value} is not {}", schema["const"]));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let is = |name: &&str| match *name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    };
    if !types.is_empty() && !types.iter().any(is) {
        return Err(format!("{path}: {value} is no {types:?}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if schema.get("items").is_some() {
            holds(root, &schema["items"], item, &format!("{path}[{index}]"))?;
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(name).is_none() {
            return Err(format!("{path}.{name} is missing"));
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => holds(root, schema, inner, &path)?,
            (None, Value::Bool(false)) => return Err(format!("{path} is not in the schema")),
            (None, schema @ Value::Object(_)) => holds(root, schema, inner, &path)?,
            (None, _) => {}
        }
    }
    Ok(())
}

#[test]
fn experience_ux_33_every_answer_is_what_the_openapi_document_says() {
    let team = Team::start();
    // Something of each sort to be shown.
    team.token("owner", &[]);
    assert_eq!(team.tandem(&["member", "add", "notes", "user:ann", "--role", "viewer"]).exit, 0);
    assert_eq!(team.tandem(&["key", "create", "notes", "mobile"]).exit, 0);
    team.place.write("teams/notes.yaml", &document(team.service.address, "3s"));
    assert_eq!(team.tandem(&["apply", "--draft", "-m", "x"]).exit, 0);
    assert_eq!(team.tandem(&["apply", "-m", "x"]).exit, 0);
    assert_eq!(team.tandem(&["rollback", "notes", "--to", "1", "-m", "x", "--yes"]).exit, 0);
    team.place.write("teams/notes.yaml", &document(team.service.address, "4s"));
    assert_eq!(team.tandem(&["apply", "--draft", "-m", "x"]).exit, 0);
    let root = team.api("GET", "/openapi.json").token(&team.operator()).send().json();
    let mut held = 0;
    for (path, methods) in root["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = format!("{} {path}", method.to_ascii_uppercase());
            if APART.contains(&name.as_str()) || method != "get" {
                continue;
            }
            let answer = request(&team, &name, "notes").token(&team.operator()).send();
            let json = "/responses/200/content/application~1json/schema";
            let schema = match (answer.status, operation.pointer(json)) {
                (200, Some(schema)) => schema,
                (200, None) => continue, // a descriptor set
                _ => operation
                    .pointer("/responses/default/content/application~1json/schema")
                    .expect("every operation may refuse"),
            };
            if let Err(why) = holds(&root, schema, &answer.json(), "answer") {
                panic!("{name}: {why}\n{answer:?}");
            }
            held += 1;
        }
    }
    assert!(held > 20, "{held}");
}
