//! Texts that people and scripts rely on, kept as files: help, error frames, shapes of `--json`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::place::{Notes, Place, Running, Said, free, golden};

#[test]
fn experience_ux_39_the_help_of_every_command() {
    let place = Place::new();
    let commands: [&[&str]; 62] = [
        &[],
        &["-h"],
        &["help", "run"],
        &["help", "init"],
        &["help", "check"],
        &["help", "ls"],
        &["help", "describe"],
        &["help", "call"],
        &["help", "config", "show"],
        &["help", "config", "schema"],
        &["help", "compare"],
        &["help", "corpus", "ls"],
        &["help", "corpus", "minimise"],
        &["help", "agent"],
        &["help", "contract", "diff"],
        &["help", "settings", "get"],
        &["help", "settings", "set"],
        &["help", "settings", "history"],
        &["help", "settings", "rollback"],
        &["help", "diff"],
        &["help", "apply"],
        &["help", "publish"],
        &["help", "history"],
        &["help", "show"],
        &["help", "rollback"],
        &["help", "verdict"],
        &["help", "diffs"],
        &["help", "noise", "list"],
        &["help", "noise", "accept"],
        &["help", "ns", "list"],
        &["help", "ns", "create"],
        &["help", "ns", "show"],
        &["help", "member", "list"],
        &["help", "member", "add"],
        &["help", "member", "remove"],
        &["help", "key", "list"],
        &["help", "key", "create"],
        &["help", "key", "revoke"],
        &["help", "token", "list"],
        &["help", "token", "create"],
        &["help", "token", "revoke"],
        &["help", "secret", "list"],
        &["help", "secret", "set"],
        &["help", "secret", "remove"],
        &["help", "cache", "stats"],
        &["help", "cache", "purge"],
        &["help", "audit", "list"],
        &["help", "audit", "verify"],
        &["help", "store", "dump"],
        &["help", "store", "restore"],
        &["help", "store", "check"],
        &["help", "context", "list"],
        &["help", "context", "add"],
        &["help", "context", "use"],
        &["help", "open"],
        &["help", "reload"],
        &["help", "status"],
        &["help", "trace"],
        &["help", "completions"],
        &["help", "help"],
        &["help", "exit-codes"],
        &["help", "codes"],
    ];
    let mut text = String::new();
    for words in commands {
        let said = place.tandem(words);
        assert_eq!((said.exit, &*said.err), (0, ""), "{words:?}: {said:?}");
        let _ = writeln!(text, "$ tandem {}\n\n{}", words.join(" "), said.out);
    }
    // The library fills empty lines with blanks.
    let text: String = text.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    golden("help.txt", &text);
    // No command is left out.
    let all = place.tandem(&["--help"]).out;
    let listed = all.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in listed.take_while(|line| !line.is_empty()) {
        let Some(name) = line.strip_prefix("  ").and_then(|line| line.split(' ').next()) else {
            continue;
        };
        let has = |words: &&[&str]| words.get(1).is_some_and(|word| *word == name);
        assert!(name.is_empty() || name == "version" || commands.iter().any(has), "{name}");
    }
}

#[test]
fn experience_ux_21_every_code_has_a_page_that_says_what_to_do() {
    let place = Place::new();
    let codes = place.tandem(&["help", "codes"]).out;
    assert!(codes.lines().count() >= 30, "{codes}");
    for line in codes.lines() {
        let (code, title) = line.split_once("  ").unwrap();
        let said = place.tandem(&["help", code]);
        assert_eq!(said.exit, 0, "{code}");
        assert!(said.out.starts_with(&format!("# {code}: ")), "{code}: {}", said.out);
        for part in ["## Cause", "## Example", "## Remedy"] {
            assert!(said.out.contains(part), "{code} has no {part}");
        }
        let object = place.tandem(&["--json", "help", code]).json();
        assert_eq!((&object["code"], &object["title"]), (&code.into(), &title.into()));
    }
}

/// What differs from run to run, by a word.
fn steady(text: &str, words: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in words {
        text = text.replace(from, to);
    }
    // `failed after 3 ms`
    let mut out = String::new();
    for line in text.lines() {
        match line.split_once(" after ") {
            Some((front, back)) => {
                let back = back.trim_start_matches(|letter: char| letter.is_ascii_digit());
                let _ = writeln!(out, "{front} after TIME{back}");
            }
            None => {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    out
}

#[test]
fn experience_ux_18_errors_say_what_where_why_and_what_to_do() {
    let service = Notes::saying("x");
    let (live, dead) = (service.address.to_string(), free().to_string());
    let http1 = http1_server();
    let place = Place::with(&[("not.pem", "nothing\n"), ("there.yaml", "format: 2\n")]);
    let named = |address: &str| format!("go={address}");
    let (from_live, from_dead, from_http1) = (named(&live), named(&dead), named(&http1));
    let commands: [&[&str]; 18] = [
        &["init", "--from", "127.0.0.1:50051"],
        &["init", "--from", "go=127.0.0.1", "--from", "Go=h:1", "--from", "go=unix:/run/x.sock"],
        &["init", "--from", "go=::1:50051"],
        &["init", "--from", "go=http://127.0.0.1:50051"],
        &["init", "--from", "go=169.254.169.254:80"],
        &["init", "--from", "a=h:1", "--from", "a=h:2", "--from", "b=h:1"],
        &["init", "--from", &from_dead],
        &["init", "--from", "go=no-such-host.invalid:50051"],
        &["init", "--from", &from_http1],
        &["init", "--from", &from_live, "--config", "there.yaml"],
        &["init", "--from", &from_live, "--ca", "not.pem"],
        &["init", "--from", &from_live, "--listen", "localhost"],
        &["run", "--upstream", &from_dead],
        &["run", "--upstream", &from_live, "--config", "tandem.yaml"],
        &["run"],
        &["run", "--config", "there.yaml"],
        &["call", "Raed", "--server", &live],
        &["ls", "--admin", &dead],
    ];
    let words = [(&*live, "LIVE"), (&*dead, "DEAD"), (&*http1, "HTTP1")];
    let mut text = String::new();
    for command in commands {
        let Said { exit, out, err } = place.tandem(command);
        assert_eq!(out, "", "{command:?}");
        let shown = steady(&format!("$ tandem {}\n{err}", command.join(" ")), &words);
        // The resolver's own words are the system's.
        let shown: String = shown
            .lines()
            .map(|line| match line.contains("resolve failed") {
                true => "   = why: no-such-host.invalid:50051: resolve failed after TIME ms: …"
                    .to_owned(),
                false => line.to_owned(),
            })
            .map(|line| line + "\n")
            .collect();
        let _ = writeln!(text, "{shown}exit {exit}\n");
    }
    golden("errors.txt", &text);

    // The same as objects.
    let Said { exit, err, .. } = place.tandem(&["--json", "init", "--from", "go", "--from", "x"]);
    let objects: Vec<Value> = err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((exit, objects.len()), (2, 2), "{err}");
    assert_eq!(
        objects[0],
        json!({
            "code": "TND0007", "severity": "error", "what": "`go` is no upstream", "file": null,
            "line": null, "column": null, "path": "--from",
            "why": "a name is missing in front of the address",
            "fix": "write `NAME=HOST:PORT`, for example `go=127.0.0.1:50051`",
        })
    );
}

/// A server of HTTP/1 that answers whatever comes; gone with the process.
fn http1_server() -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 24]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    address
}

/// What an object is made of: the kind of each value; of a list its first.
pub(crate) fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(items) => items.first().map_or(json!([]), |first| json!([shape(first)])),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), shape(value))).collect())
        }
    }
}

#[test]
fn experience_ux_9_the_shapes_of_what_machines_read() {
    let (service, other) = (Notes::saying("x"), Notes::saying("y"));
    let from = [format!("go={}", service.address), format!("rust={}", other.address)];
    let place = Place::new();
    let mut shapes = serde_json::Map::new();
    let mut keep = |name: &str, said: Said, exit: i32| {
        assert_eq!(said.exit, exit, "{name}: {said:?}");
        assert_eq!(said.err, "", "{name}: nothing beside the data");
        let first = said.out.lines().next().unwrap_or_default();
        let object = serde_json::from_str(first).unwrap_or_else(|_| said.json());
        shapes.insert(name.to_owned(), shape(&object));
    };
    let ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let words = ["--json", "init", "--from", &from[0], "--from", &from[1]];
    keep("init", place.tandem(&[&words[..], &ports].concat()), 0);
    keep("call --to both", place.tandem(&["--json", "call", "Read", "--to", "both"]), 3);
    keep("config show", place.tandem(&["--json", "config", "show"]), 0);
    keep("version", place.tandem(&["--json", "version"]), 0);
    keep("help TNDxxxx", place.tandem(&["--json", "help", "TND0101"]), 0);
    let running = Running::start(&place, &["--json"]);
    let admin = running.admin.to_string();
    let asks = |words: &[&str]| place.tandem(&[words, &["--json", "--admin", &admin]].concat());
    keep("ls", asks(&["ls"]), 0);
    keep("describe METHOD", asks(&["describe", "Get"]), 0);
    keep("describe SERVICE", asks(&["describe", "Notes"]), 0);
    keep("describe MESSAGE", asks(&["describe", "Note"]), 0);
    keep("status", asks(&["status"]), 0);
    keep("reload", asks(&["reload"]), 0);
    place.write("bad/tandem.yaml", "format: 1\nlisen: {}\n");
    keep("check", place.tandem(&["--json", "check", "bad/tandem.yaml"]), 1);
    let first = place.read("run.out");
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    shapes.insert("run".to_owned(), shape(&first));
    let text = serde_json::to_string_pretty(&Value::Object(shapes)).unwrap();
    golden("json_shapes.json", &(text + "\n"));
}

#[test]
fn the_files_that_init_writes() {
    let service = Notes::saying("x");
    let address = service.address.to_string();
    let place = Place::new();
    let from = format!("go={address}");
    let said = place.tandem(&["init", "--from", &from]);
    assert_eq!(said.exit, 0, "{said:?}");
    let mut text = String::new();
    for name in ["tandem.yaml", "teams/test.yaml"] {
        let _ = writeln!(text, "── {name}\n{}", place.read(name));
    }
    golden("init_files.txt", &text.replace(&address, "127.0.0.1:50051"));
}
