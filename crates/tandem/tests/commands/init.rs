//! `tandem init`: what is written for which services, and what is not.

use std::time::Duration;

use tandem_testkit::{Authority, Backend, Script, TlsFront};

use crate::place::{Notes, Place, Running, ask, free, over_tls, said};

/// A place where `init` has written for `service`, on free ports.
fn written(service: &Notes, more: &[&str]) -> Place {
    let place = Place::new();
    let from = format!("go={}", service.address);
    let mut words =
        vec!["init", "--from", &from, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    words.extend(more);
    let said = place.tandem(&words);
    assert_eq!(said.exit, 0, "{said:?}");
    place
}

#[test]
fn experience_ux_4_what_is_written_passes_check_and_is_served_at_once() {
    let service = Notes::saying("from go");
    let place = written(&service, &[]);
    assert_eq!(
        place.files(),
        [
            ".tandem/namespace.schema.json",
            ".tandem/tandem.schema.json",
            "tandem.yaml",
            "teams/test.yaml",
        ]
    );
    let check = place.tandem(&["check", "--strict"]);
    assert_eq!((check.exit, &*check.err), (0, "1 namespaces, no errors\n"));
    let running = Running::start(&place, &[]);
    let answer = ask(running.public, "GET /v1/read/x HTTP/1.1", "");
    assert_eq!(answer, Some((200, r#"{"text":"from go"}"#.to_owned())));
    assert_eq!(running.signal("-TERM"), Some(0));
}

#[test]
fn a_line_that_gives_a_method_a_path_needs_only_its_mark_taken_off() {
    let service = Notes::saying("kept");
    let place = written(&service, &[]);
    let team = place.read("teams/test.yaml");
    let marked: Vec<&str> = team.lines().filter(|line| line.contains("http:")).collect();
    assert_eq!(marked.len(), 4, "Collect, Talk, Replace and Follow: {team}");
    place.write("teams/test.yaml", &team.replace("  # test.v1.Notes/", "  test.v1.Notes/"));
    let check = place.tandem(&["check"]);
    assert_eq!((check.exit, &*check.err), (0, "1 namespaces, no errors\n"));
    let running = Running::start(&place, &[]);
    let answer = ask(running.public, "POST /notes/replace HTTP/1.1", r#"{"text":"a"}"#);
    assert_eq!(answer, Some((200, r#"{"text":"kept"}"#.to_owned())));
}

#[test]
fn nothing_is_overwritten_unasked_and_everything_when_asked() {
    let service = Notes::saying("x");
    let from = format!("go={}", service.address);
    let place = Place::with(&[("tandem.yaml", "mine\n")]);
    let said = place.tandem(&["init", "--from", &from]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.err.contains("error[TND0005]: tandem.yaml is there already"), "{said:?}");
    assert_eq!((place.read("tandem.yaml"), place.files().len()), ("mine\n".to_owned(), 1));

    let said = place.tandem(&["init", "--from", &from, "--force"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(place.read("tandem.yaml").contains("format: 1"));

    // A file of another team would be granted nothing by the new tandem.yaml.
    place.write("teams/other.yaml", "namespace: other\n");
    let said = place.tandem(&["init", "--from", &from, "--force"]);
    assert_eq!(said.exit, 1);
    assert!(said.err.contains("TND0005") && said.err.contains("teams/other.yaml"), "{said:?}");
    assert_eq!(place.read("teams/other.yaml"), "namespace: other\n");
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_behind() {
    let service = Notes::saying("x");
    let from = format!("go={}", service.address);
    let place = Place::new();
    // No file of this process may have more than one block; the signal is ignored, so that writing
    // fails as on a full disk.
    let command = place.command(&["init", "--from", &from]);
    let program = command.get_program().to_owned();
    let words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"])
        .arg(program)
        .args(words)
        .current_dir(&place.0);
    let said = said(&mut shell);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.err.contains("error[TND0006]: tandem.yaml cannot be written"), "{said:?}");
    assert!(said.err.contains("nothing was changed"), "{said:?}");
    assert_eq!(place.files(), Vec::<String>::new());
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let service = Notes::saying("x");
    let from = format!("go={}", service.address);
    let place = Place::with(&[("teams", "a file\n")]);
    let said = place.tandem(&["init", "--from", &from]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.err.contains("TND0006") && said.err.contains("teams/test.yaml"), "{said:?}");
    assert_eq!(place.files(), ["teams"]);
}

#[test]
fn experience_ux_12_tls_is_found_out_and_a_certificate_is_judged() {
    let service = Notes::saying("secured");
    let authority = Authority::new();
    let front = over_tls(service.address, &authority, &["notes.test"]);
    let from = format!("go={}", front.address);
    let place =
        Place::with(&[("ca.pem", &authority.pem()), ("other.pem", &Authority::new().pem())]);
    let refused = |words: &[&str], why: &str| {
        let mut all = vec!["init", "--from", &from];
        all.extend(words);
        let said = place.tandem(&all);
        assert_eq!(said.exit, 1, "{said:?}");
        assert!(said.err.contains("error[TND0303]") && said.err.contains(why), "{said:?}");
    };
    refused(&[], "UnknownIssuer");
    refused(&["--ca", "other.pem", "--tls-name", "notes.test"], "invalid peer certificate");
    refused(&["--ca", "ca.pem"], "not valid for name");

    let words = ["--ca", "ca.pem", "--tls-name", "notes.test"];
    let ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let said = place.tandem(&[&["init", "--from", &from][..], &words, &ports].concat());
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.err.contains("TLS, reflection v1 "), "{said:?}");
    let running = Running::start(&place, &[]);
    let answer = ask(running.public, "GET /v1/read/x HTTP/1.1", "");
    assert_eq!(answer, Some((200, r#"{"text":"secured"}"#.to_owned())));
    drop(running);

    let upstream = format!("go={}", front.address);
    let running =
        Running::start(&place, &[&["--upstream", &upstream][..], &words, &ports].concat());
    let answer = ask(running.public, "GET /v1/read/x HTTP/1.1", "");
    assert_eq!(answer, Some((200, r#"{"text":"secured"}"#.to_owned())));
}

#[test]
fn a_server_that_wants_to_know_who_calls_is_told_apart() {
    let service = Notes::saying("x");
    let authority = Authority::new();
    let identity = authority.signs(&["127.0.0.1"]);
    let front = TlsFront::start(service.address, &identity, &["h2"], Some(&authority));
    let no_http2 = TlsFront::start(service.address, &identity, &["http/1.1"], None);
    let place = Place::with(&[("ca.pem", &authority.pem())]);
    let from = format!("go={}", front.address);
    let said = place.tandem(&["init", "--from", &from, "--ca", "ca.pem"]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.err.contains("TND0302") && said.err.contains("client certificate"), "{said:?}");
    let from = format!("go={}", no_http2.address);
    let said = place.tandem(&["init", "--from", &from, "--ca", "ca.pem"]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.err.contains("TND0302") && said.err.contains("HTTP/2 by ALPN"), "{said:?}");
}

#[test]
fn addresses_of_every_kind_are_written_and_served() {
    let service = Notes::saying("found");
    let port = service.address.port();
    // Of this machine by its name; an address of IPv6 where there is one.
    let mut addresses = vec![format!("localhost:{port}"), format!("dns:localhost:{port}")];
    let relay = std::net::TcpListener::bind("[::1]:0").ok();
    if let Some(relay) = relay {
        addresses.push(format!("[::1]:{}", relay.local_addr().unwrap().port()));
        let behind = service.address;
        std::thread::spawn(move || {
            for stream in relay.incoming() {
                let (Ok(one), Ok(other)) = (stream, std::net::TcpStream::connect(behind)) else {
                    return;
                };
                for (mut from, mut to) in
                    [(one.try_clone().unwrap(), other.try_clone().unwrap()), (other, one)]
                {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
    }
    for address in addresses {
        let place = Place::new();
        let from = format!("go={address}");
        let ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let said = place.tandem(&[&["init", "--from", &from][..], &ports].concat());
        assert_eq!(said.exit, 0, "{address}: {said:?}");
        let running = Running::start(&place, &[]);
        let answer = ask(running.public, "GET /v1/read/x HTTP/1.1", "");
        assert_eq!(answer, Some((200, r#"{"text":"found"}"#.to_owned())), "{address}");
    }
}

#[test]
fn experience_ux_4_a_service_without_reflection_is_told_what_to_do_and_can_be_served() {
    let service = Backend::start(vec![Script::message(crate::place::note("silent"))]);
    let unimplemented = Backend::start(vec![Script::RefuseAtOnce("12")]);
    let place = Place::with(&[("notes.proto", tandem_testkit::gateway::CONTRACT)]);
    let said = place.tandem(&["init", "--from", &format!("go={}", unimplemented.address)]);
    assert_eq!(said.exit, 1, "{said:?}");
    for word in ["error[TND0205]", "neither reflection v1 nor v1alpha", "--contract FILE"] {
        assert!(said.err.contains(word), "{word}: {said:?}");
    }
    let from = format!("go={}", service.address);
    let ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let words = ["init", "--from", &from, "--contract", "notes.proto"];
    // Its first answer is what it says when it is asked by reflection.
    let said = place.tandem(&[&words[..], &ports].concat());
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(place.files().contains(&"teams/test.binpb".to_owned()));
    let running = Running::start(&place, &[]);
    let answer = ask(running.public, "GET /v1/read/x HTTP/1.1", "");
    assert_eq!(answer, Some((200, r#"{"text":"silent"}"#.to_owned())));
}

#[test]
fn services_that_share_nothing_become_a_namespace_each() {
    let other = tandem_testkit::gateway::CONTRACT.replace("/v1/", "/v2/");
    let (one, two) = (
        Notes::saying("one"),
        Notes::by_contract(vec![Script::message(crate::place::note("two"))], &other),
    );
    let place = Place::new();
    // The same service with other rules: one namespace, and a warning.
    let from = [format!("one={}", one.address), format!("two={}", two.address)];
    let said = place.tandem(&["init", "--from", &from[0], "--from", &from[1]]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(
        said.err.contains("warning[TND0206]: `one` and `two` have different contracts"),
        "{said:?}"
    );
    assert!(said.err.contains("ANOTHER contract"), "{said:?}");
    assert!(place.read("teams/test.yaml").contains("contract: { reflection: one }"));
}

#[test]
fn equal_contracts_are_said_to_be_equal_and_the_first_answers() {
    let (one, two) = (Notes::saying("one"), Notes::saying("two"));
    let place = Place::new();
    let from = [format!("go={}", one.address), format!("rust={}", two.address)];
    let words = ["init", "--from", &from[0], "--from", &from[1], "--namespace", "book"];
    let said = place.tandem(&words);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.err.contains("same contract") && !said.err.contains("warning"), "{said:?}");
    let team = place.read("teams/book.yaml");
    assert!(team.contains("namespace: book\n") && team.contains("  primary: go "), "{team}");
}

#[test]
fn experience_ux_4_other_addresses_need_a_word_and_are_closed() {
    let service = Notes::saying("x");
    let from = format!("go={}", service.address);
    let place = Place::new();
    let said = place.tandem(&["init", "--from", &from, "--listen", "0.0.0.0:8080"]);
    assert_eq!(said.exit, 2, "{said:?}");
    assert!(said.err.contains("TND0304") && said.err.contains("--public"), "{said:?}");
    assert_eq!(place.files(), Vec::<String>::new());

    let port = free().port().to_string();
    let listen = format!("127.0.0.1:{port}");
    let admin = ["--admin", "127.0.0.1:0"];
    let words = ["init", "--from", &from, "--public", "--listen", &listen];
    let said = place.tandem(&[&words[..], &admin].concat());
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.err.contains(&format!("0.0.0.0:{port} is reached by others")), "{said:?}");
    assert_eq!(place.tandem(&["check"]).exit, 0);
    let running = Running::start(&place, &[]);
    let address = ([127, 0, 0, 1], running.public.port()).into();
    assert_eq!(ask(address, "GET /v1/read/x HTTP/1.1", "").unwrap().0, 401);
}

#[test]
fn the_profile_of_envoy_is_written_out() {
    let service = Notes::saying("x");
    let place = written(&service, &["--profile", "envoy"]);
    assert_eq!(place.tandem(&["check", "--strict"]).exit, 0);
    let shown = place.tandem(&["config", "show", "--json"]).out;
    let row = shown.lines().find(|line| line.contains("test.v1.Notes/*\\\"].rest")).unwrap();
    assert!(row.contains("encoded_slash: decode"), "{row}");
}

#[test]
fn a_service_that_is_slow_to_speak_is_waited_for_and_a_mute_one_is_not() {
    // It takes connections and never says a word.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    let from = format!("go={}", mute.local_addr().unwrap());
    let began = std::time::Instant::now();
    let said = place.tandem(&["init", "--from", &from, "--timeout", "1"]);
    assert_eq!(said.exit, 6, "{said:?}");
    assert!(said.err.contains("TND0301") && said.err.contains("says nothing"), "{said:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{said:?}");
}
