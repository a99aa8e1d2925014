//! Rules of one method, changed in a document's text: the method's own line says it, the rest is as
//! its author wrote it (experience UX-25, UX-28).

use serde_json::{Map, Value, json};
use tandem_config::edit::{EditFault, Lawful, lawful, mirror};

const METHOD: &str = "p.A/Get";

const TEXT: &str = "\
# The shop.
namespace: shop
defaults:
  primary: go
  same: { ignore: [\"**.create_time\"], critical: [\"**.price\"] } # for all
methods:
  p.A/*: {}
  p.A/Get:   # the one that matters
    mirror: { share: 10%, twin: go-2 }
  p.A/Put: {}
";

fn ignore(text: &str, method: &str, path: &str) -> Result<String, EditFault> {
    lawful(text, method, path, &Lawful::Ignore)
}

/// The paths that are ignored already: of them ignoring changes nothing.
fn ignored(text: &str, method: &str) -> Vec<&'static str> {
    let known = ["**.create_time", "labels{}", "etag"];
    let is = |path: &&str| ignore(text, method, path).is_ok_and(|changed| changed == text);
    known.into_iter().filter(is).collect()
}

fn changes(changes: Value) -> Map<String, Value> {
    changes.as_object().expect("a group").clone()
}

#[test]
fn compare_n_8_what_is_accepted_for_one_method_holds_for_it_alone_and_keeps_what_held() {
    let edited = ignore(TEXT, METHOD, "labels{}").unwrap();
    let line =
        "    same: { critical: [\"**.price\"], ignore: [\"**.create_time\", \"labels{}\"] }\n";
    let expected = TEXT.replace("twin: go-2 }\n", &format!("twin: go-2 }}\n{line}"));
    assert_eq!(edited, expected, "{edited}");
    assert_eq!(ignored(&edited, METHOD), ["**.create_time", "labels{}"]);
    assert_eq!(ignored(&edited, "p.A/Put"), ["**.create_time"]);
    // A second one joins it; the same once more changes nothing.
    let second = ignore(&edited, METHOD, "etag").unwrap();
    assert_eq!(second, edited.replace("\"labels{}\"]", "\"labels{}\", etag]"));
    assert_eq!(ignore(&second, METHOD, "etag").unwrap(), second);
}

#[test]
fn compare_j_6_a_list_is_pinned_and_a_tolerance_declared_at_the_methods_own_line() {
    let change = |text: &str, path: &str, rule: &str| {
        lawful(text, METHOD, path, &Lawful::read(rule).unwrap()).unwrap()
    };
    let edited = change(TEXT, "orders[]", "keyed=id");
    assert!(edited.contains("keyed: { \"orders[]\": id }"), "{edited}");
    let edited = change(&edited, "tags[]", "unordered");
    let edited = change(&edited, "score", "tolerance=1e-9");
    let same = "same: { critical: [\"**.price\"], ignore: [\"**.create_time\"], ";
    assert!(edited.contains(same), "{edited}");
    for (path, rule) in
        [("orders[]", "keyed=id"), ("tags[]", "unordered"), ("score", "tolerance=1e-9")]
    {
        assert_eq!(change(&edited, path, rule), edited, "{path}");
    }
    // Another value takes the place of the one before.
    let other = change(&edited, "orders[]", "keyed=name");
    assert_eq!(other, edited.replace("\"orders[]\": id", "\"orders[]\": name"));
    for text in ["", "keyed", "keyed=", "tolerance=", "unordered=x", "ordered", "ignore=1"] {
        assert_eq!(Lawful::read(text), None, "{text}");
    }
}

#[test]
fn a_method_without_a_line_gets_one() {
    let edited = ignore(TEXT, "p.A/List", "etag").unwrap();
    assert!(edited.starts_with(TEXT), "{edited}");
    assert_eq!(ignored(&edited, "p.A/List"), ["**.create_time", "etag"]);
    let put = ignore(TEXT, "p.A/Put", "etag").unwrap();
    assert_eq!(ignored(&put, "p.A/Put"), ["**.create_time", "etag"]);
    let bare = "namespace: shop\nmethods: { p.A/*: { same: { unordered: [tags] } } }\n";
    let edited = ignore(bare, METHOD, "etag").unwrap();
    assert!(edited.contains("unordered: [tags]"), "{edited}");
    assert_eq!(ignored(&edited, METHOD), ["etag"]);
    assert_eq!(ignored(&edited, "p.A/Put"), Vec::<&str>::new());
}

#[test]
fn a_mirror_is_switched_off_and_on_again() {
    let off = mirror(TEXT, METHOD, None).unwrap();
    assert_eq!(off, TEXT.replace("{ share: 10%, twin: go-2 }", "none"));
    let on = mirror(&off, METHOD, Some(&changes(json!({ "share": "5%" })))).unwrap();
    assert_eq!(on, TEXT.replace("{ share: 10%, twin: go-2 }", "{ share: \"5%\" }"), "{on}");
    // What is not named stays, what is null goes.
    let more = mirror(TEXT, METHOD, Some(&changes(json!({ "share": "100%" })))).unwrap();
    assert_eq!(more, TEXT.replace("share: 10%", "share: \"100%\""));
    let alone = mirror(TEXT, METHOD, Some(&changes(json!({ "twin": null })))).unwrap();
    assert_eq!(alone, TEXT.replace("{ share: 10%, twin: go-2 }", "{ share: 10% }"));
}

#[test]
fn what_is_no_group_is_not_overwritten() {
    let odd = "defaults: { same: 3 }\nmethods: { p.A/Get: {} }\n";
    assert_eq!(ignore(odd, METHOD, "etag"), Err(EditFault::NoGroup("same".to_owned())));
    assert_eq!(ignore("]", METHOD, "etag"), Err(EditFault::NoDocument));
}
