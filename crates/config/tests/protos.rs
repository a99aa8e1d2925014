//! .proto text as the source of a contract: what is read, and what a compiler says against it.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tandem_config::load::proto_texts;
use tandem_config::{CompileFault, Loaded, Problem, Tnd, contract_of, load};
use tandem_contract::source::text::compile;
use tandem_contract::{ProtoText, TextFault};

struct Folder(PathBuf);

impl Folder {
    fn with(source: &str, files: &[(&str, &str)]) -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("tandem-protos-{}-{next}", std::process::id()));
        let folder = Folder(path);
        let platform = "format: 1\nlisten: { public: { address: 127.0.0.1:0 } }\n\
                        namespaces: { shop: { may: { services: [t.*] } } }\n";
        folder.write("tandem.yaml", platform);
        let team = format!(
            "namespace: shop\ncontract: {source}\nupstreams: {{ go: {{ address: 127.0.0.1:1 }} }}\n\
             methods: {{ t.S/*: {{}} }}\n"
        );
        folder.write("teams/shop.yaml", &team);
        for (name, text) in files {
            folder.write(&format!("teams/{name}"), text);
        }
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn load(&self) -> Result<Loaded, Vec<Problem>> {
        load(&self.0.join("tandem.yaml"))
    }

    /// Names of the texts, or the code of what is wrong with them.
    fn names(&self) -> Result<Vec<String>, Tnd> {
        let texts = proto_texts(&self.load().unwrap(), "shop").unwrap();
        texts
            .map(|texts| texts.into_iter().map(|text| text.name).collect())
            .map_err(|problem| problem.code)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_folder_gives_all_its_proto_files_by_their_names_from_there() {
    let files = [
        ("proto/z.proto", ""),
        ("proto/a/b.proto", ""),
        ("proto/a/readme.md", ""),
        ("proto/.hidden/x.proto", ""),
        ("other.proto", ""),
    ];
    for (source, expected) in [
        ("{ protos: proto }", &["a/b.proto", "z.proto"][..]),
        ("{ protos: ./proto/ }", &["a/b.proto", "z.proto"]),
        ("{ protos: proto/a }", &["b.proto"]),
        ("{ protos: other.proto }", &["other.proto"]),
    ] {
        let expected = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(Folder::with(source, &files).names(), Ok(expected), "{source}");
    }
    assert_eq!(Folder::with("{ protos: nowhere }", &files).names(), Err(Tnd::FileUnreadable));
    assert_eq!(
        Folder::with("{ protos: proto }", &[("proto/readme.md", "")]).names(),
        Err(Tnd::FileUnreadable)
    );
}

#[test]
fn security_li_30_files_and_folders_of_text_are_bounded() {
    let mebibyte = " ".repeat(1 << 20);
    let of = |name: &str, text: &str| Folder::with("{ protos: proto }", &[(name, text)]).names();
    assert!(of("proto/a.proto", &mebibyte).is_ok());
    assert_eq!(of("proto/a.proto", &format!("{mebibyte} ")), Err(Tnd::OverLimit));
    let nested = |depth: usize| format!("proto/{}a.proto", "f/".repeat(depth));
    assert!(of(&nested(16), "").is_ok());
    assert_eq!(of(&nested(17), ""), Err(Tnd::OverLimit));
    let folder = Folder::with("{ protos: proto }", &[]);
    for number in 0..8 {
        folder.write(&format!("teams/proto/f{number}.proto"), &mebibyte);
    }
    assert!(folder.names().is_ok());
    folder.write("teams/proto/more.proto", " ");
    assert_eq!(folder.names(), Err(Tnd::OverLimit));
}

#[test]
fn a_folder_that_holds_itself_comes_to_an_end() {
    let folder = Folder::with("{ protos: proto }", &[("proto/a.proto", "")]);
    std::os::unix::fs::symlink(".", folder.0.join("teams/proto/self")).unwrap();
    assert_eq!(folder.names(), Err(Tnd::OverLimit));
}

#[test]
fn a_contract_has_one_source() {
    for source in [
        "{ protos: a, descriptors: b }",
        "{ reflection: go, protos: a }",
        "{ reflection: go, descriptors: a, protos: b }",
    ] {
        let problems = Folder::with(source, &[]).load().unwrap_err();
        assert_eq!(problems.len(), 1, "{source}: {problems:?}");
        assert_eq!(problems[0].code, Tnd::WrongType);
        assert!(problems[0].what.contains("two sources"), "{problems:?}");
    }
}

const TEXT: &str =
    "syntax = \"proto3\"; package t;\nmessage M { }\nservice S { rpc R(M) returns (M); }\n";

#[test]
fn text_becomes_a_contract_by_the_compiler_that_is_handed_in() {
    let loaded = Folder::with("{ protos: proto }", &[("proto/s.proto", TEXT)]).load().unwrap();
    let by_library = |texts: &[ProtoText]| compile(texts).map_err(CompileFault::Texts);
    // The folder is gone: what is missing is told, also then.
    let problems = contract_of(&loaded, "shop", &by_library).unwrap().unwrap_err();
    assert_eq!(problems[0].code, Tnd::FileUnreadable);
    let folder = Folder::with("{ protos: proto }", &[("proto/s.proto", TEXT)]);
    let contract = contract_of(&folder.load().unwrap(), "shop", &by_library).unwrap().unwrap();
    assert_eq!(contract.methods().count(), 1);
}

#[test]
fn what_a_compiler_says_becomes_a_problem_at_its_place() {
    let folder = Folder::with("{ protos: proto }", &[("proto/s.proto", TEXT)]);
    let loaded = folder.load().unwrap();
    let problems = |fault: &CompileFault| {
        let failing = |_: &[ProtoText]| Err(fault.clone());
        contract_of(&loaded, "shop", &failing).unwrap().unwrap_err()
    };
    let of = |file: &str, place| {
        CompileFault::Texts(vec![TextFault { file: file.into(), place, what: "odd".into() }])
    };
    for (fault, code, file, line_and_column) in [
        (
            of("s.proto", Some((2, 9))),
            Tnd::ContractUnusable,
            "teams/proto/s.proto",
            (Some(2), Some(9)),
        ),
        (
            of("s.proto", Some((2, 900))),
            Tnd::ContractUnusable,
            "teams/proto/s.proto",
            (Some(2), Some(14)),
        ),
        (
            of("s.proto", Some((900, 1))),
            Tnd::ContractUnusable,
            "teams/proto/s.proto",
            (Some(4), Some(1)),
        ),
        (of("s.proto", None), Tnd::ContractUnusable, "teams/proto/s.proto", (None, None)),
        (
            of("google/x.proto", Some((1, 1))),
            Tnd::ContractUnusable,
            "teams/shop.yaml",
            (Some(2), Some(21)),
        ),
        (
            CompileFault::NoEditionCompiler("s.proto".into()),
            Tnd::NoEditionCompiler,
            "teams/shop.yaml",
            (Some(2), Some(21)),
        ),
        (
            CompileFault::Ended("late".into()),
            Tnd::OverLimit,
            "teams/shop.yaml",
            (Some(2), Some(21)),
        ),
    ] {
        let found = problems(&fault);
        assert_eq!(found.len(), 1);
        let Problem { code: found_code, file: found_file, line, column, .. } = &found[0];
        assert_eq!(
            (*found_code, found_file.as_deref(), (*line, *column)),
            (code, Some(file), line_and_column),
            "{fault:?}"
        );
    }
}
