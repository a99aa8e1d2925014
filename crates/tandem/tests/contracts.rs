//! Contracts at the command line: what a diff says, .proto text compiled within limits.
//!
//! `TANDEM_REWRITE_GOLDEN` writes the golden files instead of comparing.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::print_stdout, reason = "skipped tests say so")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// A folder that goes when the test ends; commands run in it.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("tandem-contracts-{}-{next}", std::process::id()));
        let folder = Folder(path);
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn tandem(&self, arguments: &[&str]) -> Said {
        self.tandem_with(arguments, &std::env::var("PATH").unwrap_or_default())
    }

    fn tandem_with(&self, arguments: &[&str], path: &str) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(arguments)
            .current_dir(&self.0)
            .env("PATH", path)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said {
            exit: output.status.code().unwrap(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Said {
    exit: i32,
    out: String,
    err: String,
}

#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}"));
    if std::env::var_os("TANDEM_REWRITE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
}

const OLD: &str = "syntax = \"proto3\";
package shop.v1;
import \"google/api/annotations.proto\";
message Product { string name = 1; int32 price = 2; int32 size = 3; }
message Ask { string name = 1; string view = 2; }
service Shop {
  rpc Get(Ask) returns (Product) {
    option (google.api.http) = { get: \"/v1/{name=products/*}\" };
    option idempotency_level = NO_SIDE_EFFECTS;
  }
  rpc Put(Product) returns (Product) { option (google.api.http) = { put: \"/v1/product\" body: \"*\" }; }
}
";

/// OLD with a change of each kind.
fn new() -> String {
    OLD.replace("int32 price = 2", "string price = 2")
        .replace(" int32 size = 3;", " string colour = 4;")
        .replace(" string view = 2;", " reserved 2; reserved \"view\";")
        .replace("    option idempotency_level = NO_SIDE_EFFECTS;\n", "")
        .replace("put: \"/v1/product\"", "put: \"/v2/product\"")
}

fn two_sides() -> Folder {
    Folder::with(&[("old/shop/v1/shop.proto", OLD), ("new/shop/v1/shop.proto", &new())])
}

#[test]
fn protocols_x_5_a_diff_names_each_change_and_why_it_matters() {
    let folder = two_sides();
    let Said { exit, out, err } = folder.tandem(&["contract", "diff", "old", "new"]);
    assert_eq!(exit, 3, "{err}");
    golden("contract_diff.txt", &format!("{out}--\n{err}"));
}

#[test]
fn protocols_x_5_a_diff_has_one_stable_object() {
    let folder = two_sides();
    let Said { exit, out, err } = folder.tandem(&["--json", "contract", "diff", "old", "new"]);
    assert_eq!((exit, &*err), (3, ""));
    let object: Value = serde_json::from_str(&out).unwrap();
    golden("contract_diff.json", &(serde_json::to_string_pretty(&object).unwrap() + "\n"));
}

#[test]
fn experience_3_a_diff_ends_with_a_code_for_each_outcome() {
    let compatible = OLD.replace("int32 size = 3;", "int32 size = 3; string colour = 4;");
    let folder = Folder::with(&[
        ("old/shop.proto", OLD),
        ("more/shop.proto", &compatible),
        ("new/shop.proto", &new()),
        ("broken/shop.proto", &OLD.replace("package shop.v1;", "package shop.v1")),
        ("empty/readme.txt", "nothing"),
    ]);
    folder.write("garbage.binpb", b"\xff\xff");
    // Nothing listens there: it was free a moment ago, and is asked for by nobody.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let table = [
        ("old", "old", 0, "0 breaking, 0 compatible"),
        ("old", "old/shop.proto", 0, "0 breaking, 0 compatible"),
        ("old", "more", 0, "0 breaking, 1 compatible"),
        ("more", "old", 3, "2 breaking, 0 compatible"),
        ("old", "new", 3, "breaking"),
        ("old", "broken", 1, "shop.proto:3:1: "),
        ("old", "garbage.binpb", 1, "TND0201"),
        ("old", "empty", 2, "there is no .proto file"),
        ("old", "nothing", 2, "there is no `nothing`"),
        ("old", "not a host:port", 2, "is no address"),
        ("old", &nobody.to_string(), 6, "TND0301"),
    ];
    for (old, new, exit, word) in table {
        let said = folder.tandem(&["contract", "diff", old, new]);
        assert!(said.exit == exit && said.err.contains(word), "{old} {new}: {said:?}");
    }
}

#[test]
fn a_descriptor_set_and_the_text_it_was_made_of_are_the_same() {
    let Some(buf) = std::env::var_os("TANDEM_BUF") else {
        println!("SKIPPED: nothing here makes a descriptor set (TANDEM_BUF is unset)");
        return;
    };
    let text = OLD.replace("import \"google/api/annotations.proto\";\n", "");
    let text: String = text.lines().filter(|line| !line.contains("google.api")).collect();
    let text = text.replace("returns (Product) { option", "returns (Product); //");
    let folder = Folder::with(&[("text/shop.proto", &text), ("text/buf.yaml", "version: v2\n")]);
    let status = Command::new(buf)
        .args(["build", "--as-file-descriptor-set", "-o", "../shop.binpb"])
        .current_dir(folder.0.join("text"))
        .status()
        .unwrap();
    assert!(status.success());
    let Said { exit, err, .. } = folder.tandem(&["contract", "diff", "text", "shop.binpb"]);
    assert_eq!((exit, &*err), (0, "0 breaking, 0 compatible\n"));
}

#[test]
fn what_a_stranger_wrote_moves_no_cursor() {
    let odd = |name: &str| {
        format!(
            "syntax = \"proto3\"; package t; message M {{ int32 a = 1 [json_name = \"{name}\"]; }}"
        )
    };
    let folder = Folder::with(&[("a.proto", &odd("x")), ("b.proto", &odd("\\033[2J"))]);
    let said = folder.tandem(&["contract", "diff", "a.proto", "b.proto"]);
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(said.out.contains("\\u{1b}[2J") && !said.out.contains('\u{1b}'), "{said:?}");
}

const PLATFORM: &str = "\
format: 1
listen:
  public: { address: 127.0.0.1:0 }
namespaces:
  shop: { may: { services: [shop.v1.*], upstreams: [\"127.0.0.0/8:*\"], paths: [\"/v1/**\"], loopback: true, public_methods: true } }
";
const TEAM: &str = "\
namespace: shop
contract: { protos: ./proto }
upstreams: { go: { address: 127.0.0.1:50051 } }
defaults: { auth: { public: true }, primary: go }
methods: { shop.v1.Shop/*: {} }
";

fn platform(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::with(&[("tandem.yaml", PLATFORM), ("teams/shop.yaml", TEAM)]);
    for (name, text) in files {
        folder.write(&format!("teams/proto/{name}"), text.as_bytes());
    }
    folder
}

#[test]
fn protocols_x_1_a_folder_of_text_is_a_contract() {
    let folder = platform(&[
        (
            "shop/v1/shop.proto",
            &OLD.replace("message Ask", "import \"shop/v1/ask.proto\"; message Other"),
        ),
        (
            "shop/v1/ask.proto",
            "syntax = \"proto2\"; package shop.v1; message Ask { optional string name = 1; }",
        ),
    ]);
    let said = folder.tandem(&["check"]);
    assert_eq!((said.exit, &*said.err), (0, "1 namespaces, no errors\n"), "{said:?}");
    // A single file is as good.
    folder.write("teams/one.proto", OLD.as_bytes());
    folder.write("teams/shop.yaml", TEAM.replace("./proto", "one.proto").as_bytes());
    assert_eq!(folder.tandem(&["check"]).exit, 0);
}

#[test]
fn protocols_x_1_what_does_not_compile_is_shown_at_its_line() {
    let head = "syntax = \"proto3\";\npackage shop.v1;\n";
    let folder = platform(&[
        ("a.proto", &format!("{head}message A {{\n  Nowhere n = 1;\n}}\n")),
        ("b.proto", &format!("{head}message B {{ int32 b 1; }}\n")),
        ("c.proto", &format!("{head}import \"nowhere.proto\";\n")),
        ("d/one.proto", &format!("{head}import \"d/two.proto\";\n")),
        ("d/two.proto", &format!("{head}import \"d/one.proto\";\n")),
    ]);
    let Said { exit, err, .. } = folder.tandem(&["check"]);
    assert_eq!(exit, 1);
    golden("protos_that_do_not_compile.txt", &err);
}

#[test]
fn experience_ux_27_text_outside_the_folder_is_not_read() {
    let folder = platform(&[("shop.proto", OLD)]);
    folder.write("secret.proto", OLD.as_bytes());
    for outside in ["../secret.proto", "/etc", "proto/../../secret.proto"] {
        folder.write("teams/shop.yaml", TEAM.replace("./proto", outside).as_bytes());
        let said = folder.tandem(&["check"]);
        assert!(said.exit == 1 && said.err.contains("TND0110"), "{outside}: {said:?}");
    }
    folder.write("teams/shop.yaml", TEAM.as_bytes());
    std::os::unix::fs::symlink(folder.0.join("secret.proto"), folder.0.join("teams/proto/s.proto"))
        .unwrap();
    let said = folder.tandem(&["check"]);
    assert!(said.exit == 1 && said.err.contains("leads out of the folder"), "{said:?}");
}

#[test]
fn security_li_30_text_has_a_size() {
    let line = "// 64 bytes of a comment that says nothing, over and over again..\n";
    let large = |bytes: usize| OLD.to_owned() + &line.repeat(bytes / line.len() + 1);
    let mebibyte = 1 << 20;
    let exact = |bytes: usize| OLD.to_owned() + &" ".repeat(bytes - OLD.len());
    for (files, exit) in [
        (vec![("a.proto", exact(mebibyte))], 0),
        (vec![("a.proto", exact(mebibyte + 1))], 1),
        ((0..9).map(|_| ("", large(mebibyte - 5_000))).collect(), 1),
    ] {
        let named: Vec<(String, String)> = files
            .into_iter()
            .enumerate()
            .map(|(number, (_, text))| {
                (
                    format!("f{number}.proto"),
                    text.replace("shop.v1", &format!("shop.v{}", number + 1)),
                )
            })
            .collect();
        let files: Vec<(&str, &str)> =
            named.iter().map(|(name, text)| (&**name, &**text)).collect();
        let said = platform(&files).tandem(&["check"]);
        assert!(said.exit == exit, "{said:?}");
        assert!(exit == 0 || said.err.contains("TND0104"), "{said:?}");
    }
}

#[test]
fn security_t_5_a_bomb_of_text_harms_its_process_only() {
    let nested = |open: &str, close: &str, times: usize| open.repeat(times) + &close.repeat(times);
    let head = "syntax = \"proto3\"; package shop.v1; ";
    let bombs = [
        // Deeper than any stack.
        head.to_owned() + &nested("message M { ", "} ", 40_000),
        head.to_owned()
            + "import \"google/protobuf/descriptor.proto\"; message O { O o = 1; } \
               extend google.protobuf.MessageOptions { O o = 50000; } message M { option (o) = "
            + &nested("{ o ", "} ", 100_000)
            + "; }",
        // Much work: every field looks for its type in a long row of scopes.
        head.to_owned()
            + &(0..30_000)
                .map(|n| format!("message M{n} {{ M{} a = 1; }} ", 29_999 - n))
                .collect::<String>(),
        // No text at all.
        "\0".repeat(1 << 20),
        "\"".repeat(1 << 20),
        "(".repeat(1 << 20),
    ];
    for bomb in &bombs {
        let said = platform(&[("shop.proto", bomb)]).tandem(&["check"]);
        // Killed, refused for its size, or told what is wrong with it; never a crash of ours.
        assert_eq!(said.exit, 1, "{}: {said:?}", &bomb[..60]);
        assert!(said.err.contains("error[TND0"), "{}: {said:?}", &bomb[..60]);
    }
}

#[test]
fn security_li_30_the_process_that_compiles_limits_itself_before_it_reads() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .arg("compile-protos")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Its stdin stays open, so it is there and waits.
    let limits = loop {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let soft_and_hard = |name: &str| -> Vec<String> {
            let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect()
        };
        let found = ["Max address space", "Max cpu time", "Max core file size"].map(soft_and_hard);
        if found[2] == ["0", "0"] {
            break found;
        }
        assert_eq!(child.try_wait().unwrap(), None, "it waits for its input");
        std::thread::yield_now();
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(limits[0], ["2147483648", "2147483648"]);
    assert_eq!(limits[1], ["2", "2"]);
}

const EDITION: &str = "edition = \"2023\";
package shop.v1;
import \"google/api/annotations.proto\";
message Ask { string name = 1 [features.field_presence = IMPLICIT]; }
service Shop { rpc Get(Ask) returns (Ask) { option (google.api.http) = { get: \"/v1/{name}\" }; } }
";

#[test]
fn protocols_x_1_editions_without_a_compiler_say_what_to_do() {
    let folder = platform(&[("shop.proto", EDITION)]);
    let said = folder.tandem_with(&["check"], "/nowhere");
    assert_eq!(said.exit, 1);
    assert!(said.err.contains("TND0202") && said.err.contains("`shop.proto`"), "{said:?}");
}

#[test]
fn protocols_x_1_editions_are_compiled_by_buf() {
    let Some(buf) = std::env::var_os("TANDEM_BUF").map(PathBuf::from) else {
        println!("SKIPPED: no compiler of editions is here (TANDEM_BUF is unset)");
        return;
    };
    let path = buf.parent().unwrap().to_str().unwrap();
    let folder = platform(&[
        ("shop.proto", EDITION),
        ("more.proto", "syntax = \"proto3\"; package shop.v1; message More { int32 a = 1; }"),
    ]);
    let said = folder.tandem_with(&["check"], path);
    assert_eq!((said.exit, &*said.err), (0, "1 namespaces, no errors\n"), "{said:?}");
    folder.write("teams/proto/shop.proto", EDITION.replace("Ask)", "Nowhere)").as_bytes());
    let said = folder.tandem_with(&["check"], path);
    assert_eq!(said.exit, 1);
    assert!(said.err.contains("teams/proto/shop.proto:5:"), "{said:?}");
    assert!(said.err.contains("TND0201") && said.err.contains("Nowhere"), "{said:?}");
}
