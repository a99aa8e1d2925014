//! `tandem.yaml` and `teams/*.yaml` beside it, read whole or refused whole.
//!
//! [`load`] gives back documents that are well formed each for itself; every fault of every file
//! is in the answer otherwise. JSON is read wherever YAML is.
//!
//! Not here: what the documents mean together (`check`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_contract::ProtoText;

use crate::document::{ContractSource, Namespace, NamespaceGrant, Platform, Share};
use crate::files::{self, FileFault};
use crate::problem::{Problem, Tnd, sort};
use crate::read::{self, Reading};
use crate::source::{Place, Source, Step};
use crate::yaml::{self, YamlFault, YamlFaultKind};

/// Bytes of a descriptor set (security CF-7).
pub const DESCRIPTOR_SET_BYTES_MAX: u64 = tandem_contract::DESCRIPTOR_SET_BYTES_MOST as u64;

/// The documents of one process.
#[derive(Debug)]
pub struct Loaded {
    pub platform: Platform,
    /// Each with the path of its file, in the order of the files' names.
    pub namespaces: Vec<(Namespace, PathBuf)>,
    pub(crate) platform_source: Arc<Source>,
    /// Beside `namespaces`.
    pub(crate) sources: Vec<Arc<Source>>,
}

impl Loaded {
    /// `tandem.yaml` as it was read.
    pub fn platform_text(&self) -> &str {
        &self.platform_source.text
    }

    /// The teams' documents, each with its text as it was read.
    pub fn texts(&self) -> impl Iterator<Item = (&Namespace, &str)> {
        let texts = self.sources.iter().map(|source| source.text.as_str());
        self.namespaces.iter().map(|(document, _)| document).zip(texts)
    }

    /// A key of the platform's document that is read, and that this program cannot serve: TND0004.
    pub fn not_built_in(&self, keys: &[&str], fix: &str) -> Problem {
        let trail: Vec<Step<'_>> = keys.iter().copied().map(Step::Key).collect();
        let name = keys.last().copied().unwrap_or_default();
        Problem::error(Tnd::NotBuiltIn, format!("`{name}` is not built in"))
            .here("this build knows the key and cannot do what it asks")
            .why("a key without effect would promise what does not happen")
            .fix(fix)
            .at(&self.platform_source, &trail)
    }
}

/// Reads `platform_file` and the folder `teams` beside it.
///
/// # Errors
/// Everything that is wrong, in the order of the files and of their lines.
pub fn load(platform_file: &Path) -> Result<Loaded, Vec<Problem>> {
    let folder = match platform_file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut problems = Vec::new();
    let platform = text_of(platform_file, &name_of(platform_file, folder), &mut problems);
    let teams = match files::documents(&folder.join("teams")) {
        Ok(paths) => paths,
        Err(fault) => {
            problems.push(unreadable("teams", &fault));
            Vec::new()
        }
    };
    let mut texts = Vec::new();
    for path in teams {
        if let Some(text) = text_of(&path, &name_of(&path, folder), &mut problems) {
            texts.push(Text { name: name_of(&path, folder), path, text });
        }
    }
    let platform = platform.map(|text| Text {
        name: name_of(platform_file, folder),
        path: platform_file.to_owned(),
        text,
    });
    from_files(platform, None, texts, problems)
}

/// One team's file by itself: read, beside a platform that claims nothing. For the files that its
/// `contract` names, not for what it means.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_team(file: &Path) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Vec::new();
    let name = file.to_string_lossy().into_owned();
    let text = text_of(file, &name, &mut problems);
    let texts = text.map(|text| Text { name, path: file.to_owned(), text });
    let platform = Text {
        name: "tandem.yaml".to_owned(),
        path: PathBuf::from("tandem.yaml"),
        text: "format: 1\nlisten: { public: { address: 127.0.0.1:0 } }\n".to_owned(),
    };
    from_files(Some(platform), None, texts.into_iter().collect(), problems)
}

/// As [`load`], from texts: the platform's, and those of the teams with their files' names
/// (`teams/shop.yaml`).
pub fn from_texts(platform: &str, teams: &[(&str, &str)]) -> Result<Loaded, Vec<Problem>> {
    let text = |name: &str, text: &str| Text {
        name: name.to_owned(),
        path: PathBuf::from(name),
        text: text.to_owned(),
    };
    let teams = teams.iter().map(|(name, content)| text(name, content)).collect();
    from_files(Some(text("tandem.yaml", platform)), None, teams, Vec::new())
}

/// As [`from_texts`], with the `namespaces` of `grants`, another text of a `tandem.yaml`, in the
/// place of the platform's own (experience UX-22).
///
/// # Errors
/// As [`from_texts`].
pub fn with_grants(
    platform: &str,
    grants: Option<&str>,
    teams: &[(&str, &str)],
) -> Result<Loaded, Vec<Problem>> {
    let Some(grants) = grants else { return from_texts(platform, teams) };
    let grants = from_texts(grants, &[])?.platform.namespaces;
    let text = |name: &str, text: &str| Text {
        name: name.to_owned(),
        path: PathBuf::from(name),
        text: text.to_owned(),
    };
    let teams = teams.iter().map(|(name, content)| text(name, content)).collect();
    from_files(Some(text("tandem.yaml", platform)), Some(grants), teams, Vec::new())
}

/// The bytes of a namespace's descriptor set; `None` where the contract comes by reflection.
///
/// # Errors
/// A file that is missing, too large, or linked to from outside the team's folder.
pub fn descriptor_set(loaded: &Loaded, namespace: &str) -> Option<Result<Vec<u8>, Problem>> {
    let index =
        loaded.namespaces.iter().position(|(document, _)| document.namespace == namespace)?;
    let (document, path) = &loaded.namespaces[index];
    let ContractSource::Descriptors(relative) = &document.contract else { return None };
    let read = files::read_below(folder_of(path), relative, DESCRIPTOR_SET_BYTES_MAX);
    Some(read.map_err(|fault| {
        let what = format!("the descriptor set of `{namespace}` cannot be read");
        no_contract(&fault, what)
            .fix(
                "write it with `protoc --include_imports --descriptor_set_out=FILE …`, \
                 beside this document",
            )
            .at(&loaded.sources[index], &[Step::Key("contract"), Step::Key("descriptors")])
    }))
}

/// The .proto files of a namespace, in the order of their names; `None` where the contract comes
/// otherwise. At most 1 MiB a file and 8 MiB together.
///
/// # Errors
/// A file that is missing, too large, no text, or linked to from outside the team's folder.
pub fn proto_texts(loaded: &Loaded, namespace: &str) -> Option<Result<Vec<ProtoText>, Problem>> {
    let index =
        loaded.namespaces.iter().position(|(document, _)| document.namespace == namespace)?;
    let (document, path) = &loaded.namespaces[index];
    let ContractSource::Protos(relative) = &document.contract else { return None };
    let texts = texts_of(folder_of(path), relative);
    Some(texts.map_err(|fault| {
        let what = format!("the .proto files of `{namespace}` cannot be read");
        no_contract(&fault, what)
            .fix("put the files, or a folder of them, beside this document")
            .at(&loaded.sources[index], &[Step::Key("contract"), Step::Key("protos")])
    }))
}

/// The .proto files at `path`: that file, or all in that folder, each with its name from there.
///
/// # Errors
/// As [`proto_texts`], in words.
pub fn proto_texts_at(path: &Path) -> Result<Vec<ProtoText>, String> {
    let (folder, relative) = match path.file_name() {
        Some(name) if !path.is_dir() => (folder_of(path), Path::new(name)),
        _ => (path, Path::new("")),
    };
    texts_of(folder, relative).map_err(|fault| fault.to_string())
}

fn texts_of(folder: &Path, relative: &Path) -> Result<Vec<ProtoText>, FileFault> {
    let text = |(name, bytes): (String, Vec<u8>)| {
        let text = String::from_utf8(bytes)
            .map_err(|error| FileFault::NotUtf8(error.utf8_error().valid_up_to()))?;
        Ok(ProtoText { name, text })
    };
    files::protos(folder, relative)?.into_iter().map(text).collect()
}

fn folder_of(document: &Path) -> &Path {
    match document.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn no_contract(fault: &FileFault, what: String) -> Problem {
    let code = match fault {
        FileFault::TooLarge(_) | FileFault::FileTooLarge(..) | FileFault::TooDeep(_) => {
            Tnd::OverLimit
        }
        FileFault::Io(_) | FileFault::NotUtf8(_) | FileFault::NoProto => Tnd::FileUnreadable,
    };
    Problem::error(code, what).here(fault.to_string())
}

struct Text {
    name: String,
    path: PathBuf,
    text: String,
}

fn from_files(
    platform: Option<Text>,
    grants: Option<BTreeMap<String, NamespaceGrant>>,
    teams: Vec<Text>,
    mut problems: Vec<Problem>,
) -> Result<Loaded, Vec<Problem>> {
    let platform = platform.and_then(|text| {
        let source = source(text.name, text.text, &mut problems)?;
        let mut reading = Reading::new(Arc::clone(&source), folder_of(&text.path));
        let document = read::platform(&mut reading, source.root.as_ref()?);
        problems.append(&mut reading.problems);
        Some((document, source))
    });
    let mut namespaces = Vec::new();
    let mut sources = Vec::new();
    for Text { name, path, text } in teams {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some(source) = source(name, text, &mut problems) else { continue };
        let Some(root) = source.root.as_ref() else { continue };
        let mut reading = Reading::new(Arc::clone(&source), folder_of(&path));
        let document = read::namespace(&mut reading, root, &stem);
        problems.append(&mut reading.problems);
        if let Some(document) = document {
            namespaces.push((document, path));
            sources.push(source);
        }
    }
    two_files_of_one_namespace(&namespaces, &sources, &mut problems);
    match platform {
        Some((mut platform, platform_source)) if problems.is_empty() => {
            if let Some(grants) = grants {
                platform.namespaces = grants;
            }
            let listen = platform.listen.values().map(|listen| listen.address);
            let own: Arc<[SocketAddr]> = listen.filter(|address| address.port() != 0).collect();
            for (document, _) in &mut namespaces {
                let grant = platform.namespaces.get(&document.namespace);
                let loopback = grant.is_some_and(|grant| grant.may.loopback);
                for upstream in document.upstreams.values_mut() {
                    upstream.loopback = loopback;
                    upstream.own_listeners = Arc::clone(&own);
                }
                document.cache_bytes = grant.map_or(0, |grant| grant.quota.cache_bytes);
                document.mirror_share = grant.map_or(Share::NONE, |grant| grant.quota.mirror);
                if let Some(grant) = grant {
                    document.calls_at_once = grant.quota.calls_at_once;
                }
            }
            let loaded = Loaded { platform, namespaces, platform_source, sources };
            let over = over_quota(&loaded);
            if over.is_empty() { Ok(loaded) } else { Err(over) }
        }
        _ => {
            sort(&mut problems);
            Err(problems)
        }
    }
}

fn two_files_of_one_namespace(
    namespaces: &[(Namespace, PathBuf)],
    sources: &[Arc<Source>],
    problems: &mut Vec<Problem>,
) {
    let mut first: BTreeMap<&str, &Source> = BTreeMap::new();
    for ((document, _), source) in namespaces.iter().zip(sources) {
        if let Some(other) = first.insert(&document.namespace, source) {
            let what = format!("namespace `{}` has two files", document.namespace);
            let problem = Problem::error(Tnd::DuplicateKey, what)
                .here(format!("it stands in `{}` too", other.name))
                .fix("keep one of the files");
            problems.push(problem.at(source, &[Step::Key("namespace")]));
        }
    }
}

fn over_quota(loaded: &Loaded) -> Vec<Problem> {
    let mut problems = Vec::new();
    for ((document, _), source) in loaded.namespaces.iter().zip(&loaded.sources) {
        let Some(grant) = loaded.platform.namespaces.get(&document.namespace) else { continue };
        let (written, allowed) = (source.text.len() as u64, grant.quota.document_bytes);
        if written > allowed {
            let what = format!("the document of `{}` is too large", document.namespace);
            let problem = Problem::error(Tnd::OverLimit, what)
                .here(format!("{written} bytes, and {allowed} are allowed"))
                .why("`quota.document` of the namespace says so")
                .fix("write it shorter, or ask the platform for more")
                .in_file(source.name.clone());
            problems.push(problem);
        }
    }
    problems
}

/// The text with its tree, or a problem.
fn source(name: String, text: String, problems: &mut Vec<Problem>) -> Option<Arc<Source>> {
    if text.len() > yaml::INPUT_BYTES_MAX {
        problems.push(too_large(&name));
        return None;
    }
    match yaml::parse(&text) {
        Ok(root) => Some(Arc::new(Source { name, text, root: Some(root) })),
        Err(fault) => {
            let source = Arc::new(Source { name, text, root: None });
            problems.push(not_yaml(&source, fault));
            None
        }
    }
}

fn not_yaml(source: &Arc<Source>, fault: YamlFault) -> Problem {
    let YamlFault { kind, span } = fault;
    let problem = match kind {
        YamlFaultKind::OverBudget(limit) => {
            Problem::error(Tnd::OverLimit, "the file is more than is read")
                .here(format!("here it passes {limit}"))
                .why("a document must not cost more to read than to write")
                .fix("write it flatter, or without anchors and aliases")
        }
        YamlFaultKind::MergeKey => Problem::error(Tnd::UnknownKey, "merge keys are not taken")
            .here("`<<` would copy keys from elsewhere")
            .why("what holds for a method stands at the method, at `Service/*` or in `defaults`")
            .fix("write the keys out"),
        YamlFaultKind::Broken(message) => {
            Problem::error(Tnd::NotYaml, "this is neither YAML nor JSON")
                .here(message)
                .fix("look at the brackets, quotes and indents here and in the line above")
        }
    };
    problem.at_place(source, &[], Place::new(span, None))
}

fn text_of(path: &Path, name: &str, problems: &mut Vec<Problem>) -> Option<String> {
    match files::read_text(path, yaml::INPUT_BYTES_MAX as u64) {
        Ok(text) => Some(text),
        Err(FileFault::TooLarge(_)) => {
            problems.push(too_large(name));
            None
        }
        Err(fault) => {
            problems.push(unreadable(name, &fault));
            None
        }
    }
}

fn too_large(name: &str) -> Problem {
    Problem::error(Tnd::OverLimit, "the file is larger than is read")
        .here("a document has at most 1 MiB")
        .fix("split the namespace, or leave generated parts out")
        .in_file(name)
}

fn unreadable(name: &str, fault: &FileFault) -> Problem {
    Problem::error(Tnd::FileUnreadable, "the file cannot be read")
        .here(fault.to_string())
        .fix("give its path with `--config FILE`, and the right to read it; it is UTF-8")
        .in_file(name)
}

fn name_of(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned()
}
