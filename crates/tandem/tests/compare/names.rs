//! Sides that are named as upstreams of `tandem.yaml`.

use crate::place::{Place, free};
use crate::sides::{SLOW, SMALL, steady};

fn words<'w>(primary: &'w str, candidate: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    let mut words =
        vec!["compare", "test.v1.Notes/Read", "--primary", primary, "--candidate", candidate];
    words.extend(SMALL);
    words.extend(more);
    words
}

#[test]
fn sides_may_be_upstreams_of_the_configuration_by_their_names_alone() {
    let place = Place::new();
    let said = place.tandem(&words("rust", "go", &["--plan-only"]));
    assert!(said.exit == 2 && said.err.contains("tandem.yaml"), "{said:?}");
    let (rust, go) = (steady(SLOW), steady(SLOW));
    let from = [rust.address, go.address].map(|address| address.to_string());
    let from = [format!("rust={}", from[0]), format!("go={}", from[1])];
    let said = place.tandem(&["init", "--from", &from[0], "--from", &from[1]]);
    assert_eq!(said.exit, 0, "{said:?}");
    let said = place.tandem(&words("rust", "go", &["--json"]));
    // Compared, whatever was found within so little time.
    assert!(matches!(said.exit, 0 | 5 | 8), "{said:?}");
    let result = said.json();
    let port = rust.address.port();
    assert_eq!(result["sides"][0]["name"], "rust");
    assert_eq!(result["sides"][0]["target"], format!("port:{port}"));
    assert!(result["answers"]["calls"].as_u64() >= Some(200), "{result}");
    // With the file named.
    let said = place.tandem(&words("go", "rust", &["--config", "tandem.yaml", "--plan-only"]));
    assert_eq!(said.exit, 0, "{said:?}");
    let said = place.tandem(&words("rust", "java", &[]));
    assert!(said.exit == 2 && said.err.contains("TND0113"), "{said:?}");
    assert!(said.err.contains("there is no upstream `java`"), "{said:?}");
    assert!(said.err.contains("go, rust"), "{said:?}");
    // One by its name, the other as it is written.
    let dead = format!("dead=pid:{}@{}", std::process::id(), free());
    let said = place.tandem(&words("rust", &dead, &[]));
    assert!(said.exit == 6 && said.err.contains("cannot be reached"), "{said:?}");
}
