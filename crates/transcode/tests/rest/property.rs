//! Whatever body and query say, what the path says is what the upstream reads (protocols B).

use proptest::prelude::*;
use serde_json::{Value, json};
use tandem_transcode::{UnaskedBody, Unknown};

use crate::call::call;

/// Rule, value of its variable, where it stands in JSON, what it is there.
const VARIABLES: [(&str, &str, &str, &str); 11] = [
    ("/{id}", "a", "/id", "\"a\""),
    ("/size/{size}", "1", "/size", "1"),
    ("/color/{color}", "RED", "/color", "\"RED\""),
    ("/at/{at}", "1970-01-01T00:00:01Z", "/at", "\"1970-01-01T00:00:01Z\""),
    ("/mask/{mask}", "id", "/mask", "\"id\""),
    ("/word/{word}", "a", "/word", "\"a\""),
    ("/opt/{opt}", "1", "/opt", "1"),
    ("/left/{left}", "a", "/left", "\"a\""),
    ("/born/{book.author.born}", "1", "/book/author/born", "1"),
    ("/url/{book.ebook.url}", "a", "/book/ebook/url", "\"a\""),
    ("/third/{third.name}", "a", "/third/name", "\"a\""),
];

fn any_body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!("a")),
        Just(json!("b")),
        Just(json!("")),
        Just(json!(0)),
        Just(json!(1)),
        Just(json!("RED")),
        Just(json!("id")),
        Just(json!("1970-01-01T00:00:01Z")),
        Just(json!({})),
    ];
    let name = || {
        prop::sample::select(vec![
            "id", "size", "color", "at", "mask", "word", "opt", "left", "right", "third", "book",
            "author", "born", "ebook", "paper", "url", "name", "pages", "sequel",
        ])
    };
    let object = move |inner: BoxedStrategy<Value>| {
        prop::collection::btree_map(name(), inner, 0..4)
            .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    let two = object(prop_oneof![3 => leaf.clone(), 1 => object(leaf.clone().boxed())].boxed());
    object(prop_oneof![1 => leaf, 1 => two].boxed())
}

fn any_query() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "id",
        "size",
        "color",
        "at",
        "at.seconds",
        "mask",
        "word",
        "opt",
        "left",
        "right",
        "third.name",
        "third.pages",
        "book.author.born",
        "book.author.name",
        "book.ebook.url",
        "book.ebook.size",
        "book.paper",
        "book.pages",
        "nope",
    ]);
    let value = prop::sample::select(vec!["a", "b", "", "0", "1", "RED", "id", "5"]);
    prop::collection::vec((key, value), 0..4).prop_map(|pairs| {
        let pairs: Vec<String> =
            pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join("&")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn protocols_b_the_path_is_what_the_upstream_reads(
        (template, value, pointer, expected) in prop::sample::select(&VARIABLES[..]),
        body in any_body(),
        query in any_query(),
        ignore in any::<bool>(),
    ) {
        let body = body.to_string();
        let values = [value];
        let expected: Value = serde_json::from_str(expected).unwrap();
        let ignoring = |options: &mut tandem_transcode::BindOptions| {
            if ignore {
                options.unknown_query = Unknown::Ignore;
                options.body_without_rule = UnaskedBody::Ignore;
                options.json.ignore_unknown = true;
            }
        };
        for (method, body) in [("Path", ""), ("Path", &*body), ("Whole", &*body)] {
            let bound = call(method, template).path(&values).body(body).query(&query).with(ignoring);
            if let Ok(wire) = bound.wire()
                && let Some(json) = bound.types.try_json("t.Request", &wire)
            {
                prop_assert_eq!(json.pointer(pointer), Some(&expected), "{} {}", body, query);
            }
        }
    }
}
