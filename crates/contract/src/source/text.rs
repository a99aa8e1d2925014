//! .proto text → a descriptor set.
//!
//! Pure: it is given the texts, and imports are found among them, among the well-known files of
//! `google/protobuf`, and among those of `proto/` that come with this build. A text of the team
//! goes before ours of the same name. proto2 and proto3 are compiled here; editions are not
//! ([`is_edition`] tells), for those `buf` or `protoc` is needed.
//!
//! The compiler is a library that was not written for hostile input. Whoever calls
//! [`compile`] outside of tests does so in a process that may die (protocols X-1, security LI-30).
//!
//! Not here: reading files, the process.

use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

pub use super::settings::with_comments_only;

/// One .proto file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtoText {
    /// As imports name it: `shop/v1/shop.proto`.
    pub name: String,
    pub text: String,
}

/// Something in a text that does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFault {
    /// Name of the text; empty where it is not about one.
    pub file: String,
    /// Line and column, from 1.
    pub place: Option<(usize, usize)>,
    pub what: String,
}

/// Faults that are kept; each file has at most one.
const FAULTS_MOST: usize = 50;

/// Compiles all `texts` and what they import. Of source positions the set holds those of fields
/// with a comment.
///
/// # Errors
/// The first fault of each text that has one.
pub fn compile(texts: &[ProtoText]) -> Result<Vec<u8>, Vec<TextFault>> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts(texts.to_vec()));
    resolver.add(Vendored);
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    let mut faults: Vec<TextFault> = Vec::new();
    for ProtoText { name, .. } in texts {
        if let Err(error) = compiler.open_file(name) {
            let fault = fault(&error, name);
            // What many import is at fault once.
            if !faults.contains(&fault) && faults.len() < FAULTS_MOST {
                faults.push(fault);
            }
        }
    }
    match faults.is_empty() {
        true => Ok(with_comments_only(&compiler.encode_file_descriptor_set())),
        false => Err(faults),
    }
}

/// The library says places in its debug form only: `shop.proto:3:7: what`.
fn fault(error: &protox::Error, opened: &str) -> TextFault {
    let file = error.file().unwrap_or(opened);
    let what = error.to_string();
    let placed = at_place(&format!("{error:?}"));
    match placed.filter(|placed| placed.file == file) {
        Some(placed) => TextFault { what, ..placed },
        None => TextFault { file: file.to_owned(), place: None, what },
    }
}

/// Reads `FILE:LINE:COLUMN: what`, in which compilers agree; `None` for anything else.
pub fn at_place(said: &str) -> Option<TextFault> {
    let (file, rest) = said.split_once(".proto:")?;
    let mut parts = rest.splitn(3, ':');
    let line = parts.next()?.parse().ok()?;
    let column = parts.next()?.parse().ok()?;
    let what = parts.next()?.trim().to_owned();
    Some(TextFault { file: format!("{file}.proto"), place: Some((line, column)), what })
}

/// Whether the first statement of `text` is `edition = …`.
pub fn is_edition(text: &str) -> bool {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("//") {
            comment.split_once('\n').map(|(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map(|(_, after)| after)
        } else {
            break;
        };
        let Some(after) = after else { return false };
        rest = after.trim_start();
    }
    rest.strip_prefix("edition").is_some_and(|rest| rest.trim_start().starts_with('='))
}

/// Files that come with this build, which texts may import without having them.
pub const VENDORED: [(&str, &str); 11] = [
    ("buf/validate/validate.proto", include_str!("../../../../proto/buf/validate/validate.proto")),
    (
        "google/api/annotations.proto",
        include_str!("../../../../proto/google/api/annotations.proto"),
    ),
    (
        "google/api/field_behavior.proto",
        include_str!("../../../../proto/google/api/field_behavior.proto"),
    ),
    ("google/api/http.proto", include_str!("../../../../proto/google/api/http.proto")),
    ("google/api/httpbody.proto", include_str!("../../../../proto/google/api/httpbody.proto")),
    ("google/api/resource.proto", include_str!("../../../../proto/google/api/resource.proto")),
    ("google/rpc/code.proto", include_str!("../../../../proto/google/rpc/code.proto")),
    (
        "google/rpc/error_details.proto",
        include_str!("../../../../proto/google/rpc/error_details.proto"),
    ),
    ("google/rpc/status.proto", include_str!("../../../../proto/google/rpc/status.proto")),
    ("google/type/money.proto", include_str!("../../../../proto/google/type/money.proto")),
    (
        "tandem/settings/v1/settings.proto",
        include_str!("../../../../proto/tandem/settings/v1/settings.proto"),
    ),
];

struct Texts(Vec<ProtoText>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.iter().find(|text| text.name == name) {
            Some(text) => File::from_source(name, &text.text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

struct Vendored;

impl FileResolver for Vendored {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match VENDORED.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => File::from_source(name, text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Contract;

    fn text(name: &str, text: &str) -> ProtoText {
        ProtoText { name: name.into(), text: text.into() }
    }

    #[test]
    fn protocols_x_1_texts_import_each_other_and_what_comes_with_the_build() {
        let imports: String = VENDORED
            .iter()
            .map(|(name, _)| format!("import \"{name}\";\n"))
            .chain(["import \"google/protobuf/timestamp.proto\";\n".to_owned()])
            .collect();
        let set = compile(&[
            text(
                "a/b.proto",
                "syntax = \"proto2\"; package t; message M { optional int32 a = 1; }",
            ),
            text(
                "s.proto",
                &format!(
                    "syntax = \"proto3\"; package t; import \"a/b.proto\"; {imports} service S {{ \
                     rpc R(M) returns (M) {{ option (google.api.http) = {{ get: \"/v1\" }}; }} }}"
                ),
            ),
        ])
        .unwrap();
        let contract = Contract::from_descriptor_set(&set).unwrap();
        assert_eq!(contract.faults(), []);
        assert_eq!(contract.methods().next().unwrap().1.rules.len(), 1);
    }

    #[test]
    fn protocols_x_1_each_text_that_does_not_compile_says_where() {
        let head = "syntax = \"proto3\";\npackage t;\n";
        let found = compile(&[
            text("good.proto", head),
            text("syntax.proto", &format!("{head}message M {{ int32 a 1; }}\n")),
            text("type.proto", &format!("{head}message M {{\n  Nowhere n = 1;\n}}\n")),
            text("import.proto", &format!("{head}import \"nowhere.proto\";\n")),
            text("user.proto", &format!("{head}import \"syntax.proto\";\n")),
        ])
        .unwrap_err();
        let places: Vec<_> = found.iter().map(|fault| (&*fault.file, fault.place)).collect();
        assert_eq!(
            places,
            [
                ("syntax.proto", Some((3, 21))),
                ("type.proto", Some((4, 3))),
                ("import.proto", Some((3, 1))),
            ],
            "{found:?}"
        );
        assert!(found[1].what.contains("Nowhere") && found[2].what.contains("nowhere.proto"));
    }

    #[test]
    fn protocols_x_1_a_cycle_of_imports_is_a_fault() {
        let found = compile(&[
            text("a.proto", "syntax = \"proto3\"; import \"b.proto\";"),
            text("b.proto", "syntax = \"proto3\"; import \"a.proto\";"),
        ])
        .unwrap_err();
        assert!(found[0].what.contains("cycle") && found[0].what.contains("b.proto"), "{found:?}");
    }

    #[test]
    fn editions_are_told_from_the_others() {
        for (text, expected) in [
            ("edition = \"2023\";", true),
            ("\u{feff}edition=\"2024\";", true),
            ("// words\n/* edition */ edition = \"2023\";", true),
            ("syntax = \"proto3\"; // edition = \"2023\"", false),
            ("// edition = \"2023\";", false),
            ("/* edition = \"2023\";", false),
            ("editions = 1", false),
            ("", false),
        ] {
            assert_eq!(is_edition(text), expected, "{text:?}");
        }
    }

    #[test]
    fn places_are_read_as_compilers_write_them() {
        let fault = at_place("a/b.proto:3:7: expected: `x`").unwrap();
        assert_eq!(
            (&*fault.file, fault.place, &*fault.what),
            ("a/b.proto", Some((3, 7)), "expected: `x`")
        );
        for other in ["", "a.proto", "a.proto:3: x", "a.proto:x:7: y", "Failure: a"] {
            assert_eq!(at_place(other), None, "{other}");
        }
    }
}
