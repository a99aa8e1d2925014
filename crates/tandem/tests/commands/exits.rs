//! One table: a command, a situation, its exit code and a word of what is said (experience UX-39).

use crate::place::{Notes, Place, Running, free};

const GOOD: &str = "\
format: 1
listen:
  public: { address: 127.0.0.1:0 }
namespaces:
  shop: { may: { services: [shop.v1.*], upstreams: [\"127.0.0.1:1\"], loopback: true, public_methods: true } }
";
const TEAM: &str = "\
namespace: shop
contract: { reflection: go }
upstreams: { go: { address: 127.0.0.1:1 } }
defaults: { auth: { public: true } }
methods: { shop.v1.Shop/*: {} }
";

#[test]
fn experience_ux_39_each_command_ends_with_the_code_of_its_situation() {
    let service = Notes::saying("x");
    let (server, dead) = (service.address.to_string(), free().to_string());
    let live = format!("go={server}");
    let gone = format!("go={dead}");
    let gateway_place = Place::new();
    let upstream = ["--upstream", &live, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let running = Running::start(&gateway_place, &upstream);
    let admin = running.admin.to_string();
    let token = gateway_place.0.join("data/admin.token").display().to_string();

    let place = Place::with(&[
        ("tandem.yaml", GOOD),
        ("teams/shop.yaml", TEAM),
        ("closed/tandem.yaml", GOOD),
        ("closed/teams/shop.yaml", &TEAM.replace("defaults: { auth: { public: true } }\n", "")),
        ("bad/tandem.yaml", &GOOD.replace("listen:", "lisen:")),
        ("token", "tnd_00000000_wrong\n"),
        ("old/a.proto", "syntax = \"proto3\"; package a; message M { int32 a = 1; }"),
        ("new/a.proto", "syntax = \"proto3\"; package a; message M { string a = 1; }"),
    ]);
    let asks = ["--admin", &admin, "--token-file", &token];
    let nobody = ["--admin", &dead, "--token-file", &token];
    let stranger = ["--admin", &admin, "--token-file", "token"];
    let check = |words: &[&str], more: &[&str], exit: i32, word: &str| {
        let all = [words, more].concat();
        let said = place.tandem(&all);
        let told = format!("{}{}", said.out, said.err);
        assert!(said.exit == exit && told.contains(word), "{all:?}: {said:?}");
    };
    let none: &[&str] = &[];

    check(&[], none, 0, "tandem init --from");
    check(&["--help"], none, 0, "Commands:");
    check(&["--version"], none, 0, "tandem ");
    check(&["version"], none, 0, "tandem ");
    check(&["helo"], none, 2, "unrecognized subcommand");
    check(&["run", "--nothing"], none, 2, "unexpected argument");
    check(&["check", "--timeout", "0"], none, 2, "is not in 1..=3600");
    check(&["check", "--color", "green"], none, 2, "possible values");

    check(&["check"], none, 0, "1 namespaces, no errors");
    check(&["check", "--strict"], none, 0, "no errors");
    check(&["check", "closed/tandem.yaml"], none, 0, "warning[TND0115]");
    check(&["check", "--strict", "closed/tandem.yaml"], none, 1, "warning[TND0115]");
    check(&["check", "bad/tandem.yaml"], none, 1, "did you mean `listen`?");
    check(&["check", "nowhere.yaml"], none, 1, "TND0105");
    check(&["config", "show"], none, 0, "limits.message");
    check(&["config", "show", "--config", "bad/tandem.yaml"], none, 1, "TND0101");
    check(&["config", "schema", "tandem"], none, 0, "draft-07");
    check(&["config", "schema", "namespace"], none, 0, "draft-07");
    check(&["config", "schema", "other"], none, 2, "possible values");

    check(&["init"], none, 2, "--from");
    check(&["init", "--from", "x"], none, 2, "TND0007");
    check(&["init", "--from", &gone, "--force"], none, 6, "TND0301");
    check(&["init", "--from", &live], none, 1, "TND0005");
    check(&["init", "--from", &live, "--listen", "8080"], none, 2, "TND0007");
    check(&["init", "--from", &live, "--namespace", "No"], none, 2, "is no name");
    check(&["init", "--from", &live, "--ca", "nowhere"], none, 2, "--ca");
    check(&["init", "--from", &live, "--contract", "nowhere"], none, 2, "cannot be read");
    check(&["init", "--from", &live, "--profile", "loose"], none, 2, "possible values");

    check(&["run", "--config", "nowhere.yaml"], none, 1, "TND0105");
    check(&["run", "--config", "bad/tandem.yaml"], none, 1, "the gateway was not started");
    check(&["run", "--listen", "127.0.0.1:0"], none, 2, "--upstream");

    check(&["ls"], &asks, 0, "test.v1.Notes/Get");
    check(&["ls", "test"], &asks, 0, "test.v1.Notes/Get");
    check(&["ls", "Notes"], &asks, 0, "test.v1.Notes/Get");
    check(&["ls", "tset"], &asks, 2, "did you mean `test`?");
    check(&["ls"], &nobody, 6, "TND0301");
    check(&["ls"], &stranger, 7, "TND0401");
    check(&["describe", "Get"], &asks, 0, "rpc Get(test.v1.Note)");
    check(&["describe", "Note"], &asks, 0, "int64 number = 2;");
    check(&["describe", "Notes"], &asks, 0, "service test.v1.Notes {");
    check(&["describe", "Noets"], &asks, 2, "there is no `Noets`");
    check(&["describe", "Get", "--reflect", "--server", &server], none, 0, "rpc Get");
    check(&["describe", "Get", "--reflect", "--server", &dead], none, 6, "TND0301");
    check(&["describe", "Get"], &stranger, 7, "TND0401");
    check(&["status"], &asks, 0, "ready");
    check(&["status"], &nobody, 6, "TND0301");
    check(&["status"], &stranger, 7, "TND0401");
    check(&["reload"], &asks, 0, "reloaded, 1 namespaces");
    check(&["reload"], &nobody, 6, "TND0301");
    check(&["reload"], &stranger, 7, "TND0401");
    check(&["trace", "no such id"], &asks, 2, "is no id");
    check(&["trace", "nobody-has-it"], &asks, 1, "nothing is known");
    check(&["trace", "x"], &nobody, 6, "TND0301");

    check(&["call", "Read", "--server", &server], none, 0, "\"text\":\"x\"");
    check(&["call", "Nothing", "--server", &server], none, 2, "TND0112");
    check(&["call", "Read", "--server", &dead], none, 6, "TND0301");
    check(&["compare", "Read", "--primary=a", "--candidate=b"], none, 2, "TND0113");
    check(&["contract", "diff", "old", "old"], none, 0, "0 breaking");
    check(&["contract", "diff", "old", "new"], none, 3, "1 breaking");
    check(&["contract", "diff", "old", "nowhere"], none, 2, "there is no `nowhere`");
    check(&["contract", "diff", "old", &dead], none, 6, "TND0301");

    check(&["help"], none, 0, "Commands:");
    check(&["help", "contract", "diff"], none, 0, "HOST:PORT");
    check(&["help", "tnd0101"], none, 0, "# TND0101: unknown key");
    check(&["help", "TND0100"], none, 2, "did you mean `TND0101`?");
    check(&["help", "rnu"], none, 2, "did you mean `run`?");
    check(&["completions", "bash"], none, 0, "_tandem()");
    check(&["completions", "perl"], none, 2, "possible values");
}

#[test]
fn where_machines_read_a_wrong_command_line_is_an_object_as_well() {
    let place = Place::new();
    for words in [&["--json", "helo"][..], &["run", "--json", "--nothing"], &["--json", "init"]] {
        let said = place.tandem(words);
        assert_eq!(said.exit, 2, "{said:?}");
        let object: serde_json::Value = serde_json::from_str(said.err.trim()).unwrap();
        assert_eq!((&object["severity"], &object["code"]), (&"error".into(), &None::<()>.into()));
        assert!(object["what"].as_str().is_some_and(|what| !what.is_empty()), "{said:?}");
    }
}

#[test]
fn bash_completes_every_command() {
    if std::process::Command::new("bash").arg("--version").output().is_err() {
        println!("skipped: there is no bash");
        return;
    }
    let place = Place::new();
    let script = place.tandem(&["completions", "bash"]).out;
    place.write("tandem.bash", &script);
    let ask = "source ./tandem.bash; COMP_WORDS=(tandem in); COMP_CWORD=1; \
               _tandem tandem in tandem; echo \"${COMPREPLY[@]}\"";
    let mut bash = std::process::Command::new("bash");
    bash.args(["--norc", "-c", ask]).current_dir(&place.0);
    let said = crate::place::said(&mut bash);
    assert_eq!((said.exit, &*said.out), (0, "init\n"), "{said:?}");
}

#[test]
fn bash_completes_the_methods_of_the_gateway_of_a_server_and_of_a_contract() {
    if std::process::Command::new("bash").arg("--version").output().is_err() {
        println!("skipped: there is no bash");
        return;
    }
    let team = crate::teams::Team::start();
    let script = team.place.tandem(&["completions", "bash"]);
    team.place.write("tandem.bash", &script.out);
    team.place.write("own.proto", "syntax = \"proto3\"; package own.v1;\nmessage M {}\nservice Own { rpc Go(M) returns (M); }\n");
    let (admin, service) = (team.running.admin.to_string(), team.service.address.to_string());
    let nobody = crate::place::free().to_string();
    // Bash gives `127.0.0.1:80` as three words.
    let words = |line: &str| line.replace(':', " : ");
    let all = "test.v1.Notes/Get test.v1.Notes/Secret test.v1.Notes/Many";
    let cases = [
        (format!("tandem call --admin {admin} "), "", ""),
        ("tandem call ".to_owned(), "test.v1.Notes/Ge", "test.v1.Notes/Get"),
        ("tandem verdict ".to_owned(), "Secr", "test.v1.Notes/Secret"),
        ("tandem diffs ".to_owned(), "test.v1.Notes/Rea", "test.v1.Notes/Read"),
        ("tandem describe ".to_owned(), "test.v1.Notes/", all),
        (
            "tandem compare test.v1.Notes/Get ".to_owned(),
            "test.v1.Notes/Foll",
            "test.v1.Notes/Follow",
        ),
        (
            format!("tandem call --server {service} test.v1.Notes/Get "),
            "Talk",
            "test.v1.Notes/Talk",
        ),
        ("tandem compare --contract own.proto own.v1.Own/Go ".to_owned(), "own", "own.v1.Own/Go"),
        // Nobody answers: nothing is offered, and nothing is said.
        (format!("tandem call --server {nobody} test.v1.Notes/Get "), "Talk", ""),
        ("tandem status ".to_owned(), "test", ""),
    ];
    for (before, word, expected) in cases {
        let line = format!("{before}{word}");
        let ask = format!(
            "tandem() {{ \"$TANDEM\" \"$@\"; }}; command() {{ \"$@\"; }}; source ./tandem.bash; \
             COMP_LINE='{line}'; COMP_WORDS=({} '{word}'); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _tandem_with_methods tandem '{word}' x; echo \"${{COMPREPLY[@]}}\"",
            words(&before)
        );
        let mut bash = std::process::Command::new("bash");
        bash.args(["--norc", "-c", &ask]).current_dir(&team.place.0);
        bash.env("TANDEM", env!("CARGO_BIN_EXE_tandem")).env("TANDEM_ADMIN", &admin);
        // As much as a busy machine needs; whoever pressed a key waits for one.
        bash.env("TANDEM_COMPLETE_SECONDS", "60");
        let said = crate::place::said(&mut bash);
        let offered = said.out.trim();
        assert!(said.err.is_empty() && said.exit == 0, "{line}: {said:?}");
        match expected {
            "" => assert!(!offered.contains('/'), "{line}: {offered}"),
            _ => assert!(offered.starts_with(expected), "{line}: {offered}"),
        }
    }
}
