//! `tandem call`: to a server, to one upstream, to both with their difference.

use tandem_testkit::{Authority, Script};

use crate::place::{Notes, Place, free, over_tls};

/// A place with the files of `go` and `rust`.
fn place(go: &Notes, rust: &Notes) -> Place {
    let place = Place::new();
    let from = [format!("go={}", go.address), format!("rust={}", rust.address)];
    let said = place.tandem(&["init", "--from", &from[0], "--from", &from[1]]);
    assert_eq!(said.exit, 0, "{said:?}");
    place
}

#[test]
fn equal_answers_end_with_0_and_different_ones_with_3() {
    let (go, rust, odd) = (Notes::saying("a"), Notes::saying("a"), Notes::saying("b"));
    let said = place(&go, &rust).tandem(&["call", "Read", "--to", "both"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.out.ends_with("equal\n") && said.out.contains("go   OK"), "{said:?}");

    let place = place(&go, &odd);
    let said = place.tandem(&["call", "Read", "--to", "both"]);
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(said.out.contains("1 differ:\n  text   go \"a\"   rust \"b\"\n"), "{said:?}");
    let said = place.tandem(&["call", "Read", "--to", "both", "--json"]);
    let object = said.json();
    assert_eq!((said.exit, &object["equal"]), (3, &false.into()), "{said:?}");
    assert_eq!(
        object["differences"],
        serde_json::json!([{ "path": "text", "values": { "go": "a", "rust": "b" } }])
    );
    let said = place.tandem(&["call", "Read", "--to", "rust"]);
    assert_eq!((said.exit, &*said.out), (0, "{\"text\":\"b\"}\n"));
}

#[test]
fn a_failure_on_one_side_is_a_difference_and_on_both_sides_it_is_none() {
    let failing = || {
        Notes::answering(vec![Script::trailers(&[("grpc-status", "5"), ("grpc-message", "no")])])
    };
    let (go, one, two) = (Notes::saying("a"), failing(), failing());
    let said = place(&go, &one).tandem(&["call", "Read", "--to", "both"]);
    assert!(said.exit == 3 && said.out.contains("NOT_FOUND"), "{said:?}");
    let said = place(&one, &two).tandem(&["call", "Read", "--to", "both"]);
    assert!(said.exit == 0 && said.out.ends_with("equal\n"), "{said:?}");
}

#[test]
fn upstreams_are_named_without_a_file_as_well_and_over_tls() {
    let (go, rust) = (Notes::saying("a"), Notes::saying("b"));
    let authority = Authority::new();
    let front = over_tls(rust.address, &authority, &["127.0.0.1"]);
    let place = Place::with(&[("ca.pem", &authority.pem())]);
    let both = [format!("go={}", go.address), format!("rust={}", front.address)];
    let words = ["call", "Read", "--to", "both", "--upstream", &both[0], "--upstream", &both[1]];
    let said = place.tandem(&[&words[..], &["--ca", "ca.pem"]].concat());
    assert!(said.exit == 3 && said.out.contains("1 differ"), "{said:?}");
    // A server is found out to speak TLS as an upstream is.
    let server = front.address.to_string();
    let said = place.tandem(&["call", "Read", "--server", &server, "--ca", "ca.pem"]);
    assert_eq!((said.exit, &*said.out), (0, "{\"text\":\"b\"}\n"), "{said:?}");
}

#[test]
fn what_cannot_be_called_is_told_with_what_to_do() {
    let (go, rust) = (Notes::saying("a"), Notes::saying("a"));
    let place = place(&go, &rust);
    let dead = free().to_string();
    let check = |words: &[&str], exit: i32, word: &str| {
        let said = place.tandem(words);
        assert!(said.exit == exit && said.err.contains(word), "{words:?}: {said:?}");
    };
    check(&["call", "Raed", "--to", "both"], 2, "did you mean `test.v1.Notes/Read`?");
    check(&["call", "Many", "--to", "both"], 2, "is a stream");
    check(&["call", "Read", "--to", "ruts"], 2, "did you mean `rust`?");
    check(&["call", "Read", "--to", "both", "-d", "{"], 2, "the request cannot be read");
    check(&["call", "Read", "--to", "both", "-d", "@nowhere"], 2, "nowhere cannot be read");
    check(&["call", "Read", "-H", "no header"], 2, "write `name: value`");
    check(&["call", "Read", "--server", &dead], 6, "TND0301");
    check(&["call", "Read", "--server", "127.0.0.1"], 2, "the port is missing");
    check(&["call", "Read", "--to", "go", "--config", "nowhere.yaml"], 1, "--upstream NAME=ADDR");
    let upstream = format!("go={dead}");
    check(&["call", "Read", "--to", "go", "--upstream", &upstream], 6, "connect failed after");
}
