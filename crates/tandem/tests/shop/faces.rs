//! REST by transcoding against the golden answers of the catalogue, which its plain REST faces
//! give as well (CAT-5): whether a caller stands before the gateway or before a service shows in
//! no answer.

use serde_json::{Value, json};

use crate::backend::{Shop, runs};

#[test]
fn cases_cat_5_the_gateway_answers_rest_as_the_plain_faces_of_both_languages_do() {
    if !runs() {
        return;
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../cases/catalogue/golden/rest.json");
    let steps: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(steps.len() > 50);
    for language in ["go", "rust"] {
        let shop = Shop::start(language);
        let mut token = String::new();
        for step in &steps {
            let ask = step["ask"].as_str().unwrap().replace("TOKEN", &token);
            let (method, path) = ask.split_once(' ').unwrap();
            let body = step.get("body").map(Value::to_string).unwrap_or_default();
            let answer = shop.gateway.rest(method, path, &body).expect("an answer comes");
            let told: Value = serde_json::from_str(&unchunked(&answer.head, &answer.body))
                .unwrap_or_else(|error| panic!("{language} {ask}: {error}: {}", answer.body));
            if let Some(next) = told["nextPageToken"].as_str() {
                token = next.to_owned();
            }
            let got = (json!(answer.status), plain(told));
            assert_eq!(got, (step["status"].clone(), step["answer"].clone()), "{language} {ask}");
        }
    }
}

/// A body without the framing of its chunks.
fn unchunked(head: &str, body: &str) -> String {
    if !head.contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, behind)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(&behind[..size]);
        rest = behind[size..].trim_start_matches("\r\n");
    }
    whole
}

/// An answer without what may lawfully differ: times, texts of errors, and the details of what is
/// refused before the service is asked.
fn plain(mut answer: Value) -> Value {
    strip_times(&mut answer);
    let is_error = answer["code"].is_number();
    let Some(error) = answer.as_object_mut().filter(|_| is_error) else { return answer };
    error.remove("message");
    let details = error.remove("details").unwrap_or_default();
    let of_type = |name: &str| {
        let details = details.as_array().into_iter().flatten();
        details.clone().find(|detail| detail["@type"].as_str().is_some_and(|it| it.ends_with(name)))
    };
    if let Some(info) = of_type("google.rpc.ErrorInfo") {
        error.insert("reason".into(), info["reason"].clone());
        error.insert("domain".into(), info["domain"].clone());
        if let Some(bad) = of_type("google.rpc.BadRequest") {
            let violations = bad["fieldViolations"].as_array().into_iter().flatten();
            error.insert("fields".into(), violations.map(|one| one["field"].clone()).collect());
        }
    }
    answer
}

fn strip_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match key.as_str() {
                    "createTime" | "updateTime" if member.is_string() => *member = json!("…"),
                    _ => strip_times(member),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(strip_times),
        _ => {}
    }
}
