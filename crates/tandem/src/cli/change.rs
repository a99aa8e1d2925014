//! `tandem diff`, `apply`, `publish`, `history`, `show`, `rollback`: versions of namespaces on a
//! running gateway (experience UX-13).
//!
//! Not here: single values (`settings`), the acts themselves (the admin API).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use serde_json::{Value, json};
use tandem_config::Tnd;
use tandem_config::history::Checked;
use tandem_config::store::NamespaceName;

use super::AdminArguments;
use super::ask::{Confirm, confirmed};
use super::check;
use crate::client::{Admin, Made};
use crate::documents::contract_of_file;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

/// The name by which the platform's own document is meant.
const PLATFORM: &str = "platform";
/// How long a version is watched (security CF-2).
const WATCHED: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// Files of teams, or `tandem.yaml`; all of `teams` without one.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// Files of teams, or `tandem.yaml`; all of `teams` without one.
    paths: Vec<PathBuf>,
    /// Why, for the history and the audit log.
    #[arg(short, long, value_name = "TEXT")]
    message: String,
    /// Save drafts instead, which somebody else publishes.
    #[arg(long)]
    draft: bool,
    /// Check and show what would change; change nothing.
    #[arg(long, conflicts_with = "draft")]
    dry_run: bool,
    /// Stay for the minute in which a bad version is taken back by itself.
    #[arg(long, conflicts_with_all = ["draft", "dry_run"])]
    watch: bool,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// The namespace whose draft goes live.
    namespace: String,
    /// Why, for the history and the audit log.
    #[arg(short, long, value_name = "TEXT")]
    message: String,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Args)]
pub(super) struct History {
    /// The namespace; every one that you may see without it.
    namespace: Option<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// `shop` for what is live, `shop@3` for version 3, `shop@draft` for the draft.
    what: String,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The namespace.
    namespace: String,
    /// The version whose text goes live again.
    #[arg(long, value_name = "VERSION")]
    to: u32,
    /// Why, for the history and the audit log.
    #[arg(short, long, value_name = "TEXT")]
    message: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    admin: AdminArguments,
}

/// A document of a file, for the gateway.
struct Document {
    /// A namespace, or `platform`.
    name: String,
    file: PathBuf,
    text: String,
    /// A descriptor set, where the document names files.
    contract: Option<Vec<u8>>,
}

impl Document {
    /// The path of the document in the admin API.
    fn at(&self) -> String {
        match self.name.as_str() {
            PLATFORM => "/api/v1/platform".to_owned(),
            name => format!("/api/v1/namespaces/{name}"),
        }
    }

    fn body(&self) -> Value {
        let contract = self.contract.as_ref().map(|set| BASE64_STANDARD.encode(set));
        match contract {
            None => json!({ "text": self.text }),
            Some(contract) => json!({ "text": self.text, "contract": contract }),
        }
    }
}

fn unreadable(path: &Path, why: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "the file cannot be read")
        .coded(Tnd::FileUnreadable)
        .because(format!("{}: {why}", path.display()))
        .fix("name a team's file, `teams/NAMESPACE.yaml`, or `tandem.yaml`")
}

/// The documents at `paths`, or of all files below `teams`.
fn documents(paths: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let mut files: Vec<PathBuf> = paths.to_vec();
    if files.is_empty() {
        let folder = Path::new("teams");
        let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        files = paths
            .filter(|path| {
                let ending = path.extension().and_then(|ending| ending.to_str());
                matches!(ending, Some("yaml" | "yml" | "json"))
            })
            .collect();
        files.sort();
        if files.is_empty() {
            return Err(Failure::new(Exit::Usage, "there is no file below `teams`")
                .coded(Tnd::FileUnreadable)
                .fix("go to the folder of tandem.yaml, or name files"));
        }
    }
    files.into_iter().map(document).collect()
}

fn document(file: PathBuf) -> Result<Document, Failure> {
    let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&file, &error))?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if stem == "tandem" {
        return Ok(Document { name: PLATFORM.to_owned(), file, text, contract: None });
    }
    if NamespaceName::new(&stem).is_none() {
        let what = format!("`{}` names no namespace", file.display());
        return Err(Failure::new(Exit::Usage, what)
            .coded(Tnd::WrongType)
            .because("a team's file is called as its namespace: 1 to 63 of a-z, 0-9 and `-`")
            .fix("name `teams/NAMESPACE.yaml`, or `tandem.yaml`"));
    }
    let contract = contract_of_file(&file)?;
    Ok(Document { name: stem, file, text, contract })
}

/// The lines by which a document differs from what is live, and the version that this is.
async fn difference(client: &Admin, one: &Document) -> Result<(Vec<Value>, String), Failure> {
    let (live, version) = client.get_tagged(&one.at()).await?;
    if one.name == PLATFORM {
        let live = live["text"].as_str().unwrap_or("{}");
        let lines = tandem_config::history::diff(live, &one.text)
            .map_err(|fault| Failure::new(Exit::Failed, fault.to_string()).coded(Tnd::NotYaml))?;
        let line = |line: &tandem_config::history::DiffLine| json!({ "path": line.path, "before": line.before, "after": line.after });
        return Ok((lines.iter().map(line).collect(), version));
    }
    let body = json!({ "text": one.text });
    let told =
        client.send("POST", &format!("{}/diff", one.at()), Some(&body), &Made::Anyhow).await?;
    Ok((told["diff"].as_array().cloned().unwrap_or_default(), version))
}

fn lines_text(lines: &[Value]) -> String {
    let mut out = String::new();
    for line in lines {
        let text = |key: &str| line[key].as_str();
        let path = text("path").unwrap_or_default();
        // Writing into a string does not fail.
        let _ = match (text("before"), text("after")) {
            (Some(before), Some(after)) => writeln!(out, "  ~ {path}: {before} → {after}"),
            (Some(before), None) => writeln!(out, "  - {path}: {before}"),
            (None, Some(after)) => writeln!(out, "  + {path}: {after}"),
            (None, None) => Ok(()),
        };
    }
    out
}

pub(super) async fn diff(arguments: Diff, form: Form, timeout: Duration) -> Result<Exit, Failure> {
    let client = arguments.admin.client(timeout)?;
    let mut different = false;
    for one in documents(&arguments.paths)? {
        let (lines, version) = difference(&client, &one).await?;
        different |= !lines.is_empty();
        match form {
            Form::Json => output::data(
                &json!({ "namespace": one.name, "live": version.parse::<u32>().ok(), "diff": lines })
                    .to_string(),
            ),
            Form::Text if lines.is_empty() => {
                output::data(&format!("{}: as version {version}", one.name));
            }
            Form::Text => {
                let file = one.file.display();
                let title = format!("{}: version {version} → {file}", one.name);
                output::data(&format!("{title}\n{}", lines_text(&lines)));
            }
        }
    }
    Ok(if different { Exit::Different } else { Exit::Fine })
}

/// The faults of a document, as the gateway told them.
fn problems_text(problems: &[Value]) -> String {
    let mut out = String::new();
    for one in problems {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        // Writing into a string does not fail.
        let _ = writeln!(out, "{}[{}]: {}", text("severity"), text("code"), text("what"));
        let place = match (one["file"].as_str(), one["line"].as_u64(), one["column"].as_u64()) {
            (Some(file), Some(line), Some(column)) => format!("{file}:{line}:{column}"),
            (Some(file), _, _) => file.to_owned(),
            (None, _, _) => String::new(),
        };
        for (name, text) in [
            ("-->", place.as_str()),
            (" = at:", text("where")),
            (" = why:", text("why")),
            (" = fix:", text("fix")),
        ] {
            if !text.is_empty() {
                let _ = writeln!(out, "  {name} {text}");
            }
        }
    }
    out
}

pub(super) async fn apply(
    arguments: Apply,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let client = arguments.admin.client(timeout)?;
    let mut went_live = Vec::new();
    for one in documents(&arguments.paths)? {
        let (lines, version) = difference(&client, &one).await?;
        if lines.is_empty() && version != "0" {
            say(form, &one, "unchanged", &version, &lines);
            continue;
        }
        if form == Form::Text {
            output::talk(&format!("{}\n{}", one.name, lines_text(&lines)));
        }
        if arguments.dry_run {
            if one.name != PLATFORM {
                let path = format!("{}/check", one.at());
                let told = client.send("POST", &path, Some(&one.body()), &Made::Anyhow).await?;
                let problems = told["problems"].as_array().cloned().unwrap_or_default();
                if form == Form::Text && !problems.is_empty() {
                    output::talk(&problems_text(&problems));
                }
                if problems.iter().any(|problem| problem["severity"] == "error") {
                    return Err(Failure::new(
                        Exit::Failed,
                        format!("`{}` would be refused", one.name),
                    ));
                }
            }
            // Whether what is live would fit the new grants only the gateway tells, in the act.
            if one.name == PLATFORM
                && let Err(problems) = Checked::platform(&one.text)
            {
                check::show(&problems, form, "nothing was changed");
                return Err(Failure::new(Exit::Failed, "`platform` would be refused"));
            }
            say(form, &one, "would go live", &version, &lines);
            continue;
        }
        if arguments.draft {
            let path = format!("{}/draft", one.at());
            let made = match client.find(&path).await? {
                Some((_, tag)) => Made::From(tag),
                None => Made::FromNothing,
            };
            client.send("PUT", &path, Some(&json!({ "text": one.text })), &made).await?;
            say(form, &one, "saved as a draft", &version, &lines);
            continue;
        }
        let mut body = one.body();
        body["why"] = json!(arguments.message);
        let path = format!("{}/publish", one.at());
        let made = Made::From(version.clone());
        let told = client.send("POST", &path, Some(&body), &made).await;
        let told = match told {
            // Somebody was faster: shown is what the change would be now.
            Err(failure) if failure.exit == Exit::Different => {
                let (lines, _) = difference(&client, &one).await?;
                if form == Form::Text {
                    output::talk(&format!("against what is live now:\n{}", lines_text(&lines)));
                }
                return Err(failure);
            }
            told => told?,
        };
        let number = told["version"]["number"].to_string();
        match told["awaited"].as_str() {
            None => say(form, &one, "live", &number, &lines),
            Some(why) => {
                say(form, &one, STORED, &number, &lines);
                if form == Form::Text {
                    output::talk(&awaited(why));
                }
            }
        }
        went_live.push((one, number));
    }
    match arguments.watch {
        true => watch(&client, form, &went_live).await,
        false => Ok(Exit::Fine),
    }
}

fn say(form: Form, one: &Document, what: &str, version: &str, lines: &[Value]) {
    match form {
        Form::Json => output::data(
            &json!({
                "namespace": one.name, "what": what, "version": version.parse::<u32>().ok(),
                "diff": lines,
            })
            .to_string(),
        ),
        Form::Text => output::data(&format!("{}: {what}, version {version}", one.name)),
    }
}

/// What became of a version by which no call is carried yet.
const STORED: &str = "stored, and not live yet";

fn awaited(why: &str) -> String {
    format!("calls are carried as soon as this is over: {}", why.escape_debug())
}

/// Stays until the minute is over, or a version was taken back.
async fn watch(client: &Admin, form: Form, live: &[(Document, String)]) -> Result<Exit, Failure> {
    let began = tokio::time::Instant::now();
    if form == Form::Text && !live.is_empty() {
        output::talk("watched for a minute; Ctrl-C leaves it to itself");
    }
    while began.elapsed() < WATCHED && !live.is_empty() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for (one, number) in live {
            let (now, version) = client.get_tagged(&one.at()).await?;
            if version != *number {
                let by = now["version"]["who"].as_str().unwrap_or_default();
                let why = now["version"]["why"].as_str().unwrap_or_default();
                return Err(Failure::new(
                    Exit::Gate,
                    format!("`{}` stands at version {version} by {by}", one.name),
                )
                .because(why)
                .fix(format!("tandem history {}", one.name)));
            }
        }
    }
    Ok(Exit::Fine)
}

/// The version that is live, or the failure that there is none to see.
pub(super) async fn live_version(client: &Admin, namespace: &str) -> Result<String, Failure> {
    let (_, version) = client.get_tagged(&format!("/api/v1/namespaces/{namespace}")).await?;
    Ok(version)
}

pub(super) async fn publish(
    arguments: Publish,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let client = arguments.admin.client(timeout)?;
    let name = checked(&arguments.namespace)?;
    let version = live_version(&client, name).await?;
    let body = json!({ "draft": true, "why": arguments.message });
    let path = format!("/api/v1/namespaces/{name}/publish");
    let told = client.send("POST", &path, Some(&body), &Made::From(version)).await?;
    say_published(form, name, &told);
    Ok(Exit::Fine)
}

pub(super) fn say_published(form: Form, namespace: &str, told: &Value) {
    match form {
        Form::Json => output::data(&told.to_string()),
        Form::Text => {
            let problems = told["problems"].as_array().cloned().unwrap_or_default();
            if !problems.is_empty() {
                output::talk(&problems_text(&problems));
            }
            let number = &told["version"]["number"];
            match told["awaited"].as_str() {
                None => output::data(&format!("{namespace}: live, version {number}")),
                Some(why) => {
                    output::data(&format!("{namespace}: {STORED}, version {number}"));
                    output::talk(&awaited(why));
                }
            }
        }
    }
}

/// A name that can stand in a path.
pub(super) fn checked(namespace: &str) -> Result<&str, Failure> {
    match NamespaceName::new(namespace) {
        Some(_) => Ok(namespace),
        None => Err(Failure::new(Exit::Usage, "this is no namespace")
            .at(namespace.escape_debug().to_string())
            .because("a namespace has 1 to 63 of a-z, 0-9 and `-`")
            .fix("tandem ns list")),
    }
}

pub(super) async fn history(
    arguments: History,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let client = arguments.admin.client(timeout)?;
    let names: Vec<String> = match &arguments.namespace {
        Some(name) => vec![checked(name)?.to_owned()],
        None => {
            let all = client.get("/api/v1/namespaces").await?;
            let names = all.as_array().into_iter().flatten();
            names.filter_map(|one| one["name"].as_str().map(str::to_owned)).collect()
        }
    };
    for name in names {
        let versions = client.get(&format!("/api/v1/namespaces/{name}/versions")).await?;
        for version in versions.as_array().into_iter().flatten() {
            match form {
                Form::Json => {
                    let mut version = version.clone();
                    version["namespace"] = json!(name);
                    output::data(&version.to_string());
                }
                Form::Text => output::data(&version_line(&name, version)),
            }
        }
    }
    Ok(Exit::Fine)
}

fn version_line(name: &str, version: &Value) -> String {
    let text = |key: &str| version[key].as_str().unwrap_or_default().escape_debug().to_string();
    let live = if version["live"] == true { "live" } else { "" };
    let origin = match version["origin"]["rolled_back"]["to"].as_u64() {
        Some(to) => format!(" (back to {to})"),
        None => String::new(),
    };
    let number = format!("{name}@{}", version["number"]);
    let when = text("when");
    let when = when.get(..19).unwrap_or(&when).replace('T', " ");
    format!("{number:<20} {when}  {live:<4}  {:<20} {}{origin}", text("who"), text("why"))
}

pub(super) async fn show(arguments: Show, form: Form, timeout: Duration) -> Result<Exit, Failure> {
    let client = arguments.admin.client(timeout)?;
    let (name, version) = match arguments.what.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (arguments.what.as_str(), None),
    };
    let at = format!("/api/v1/namespaces/{}", checked(name)?);
    let shown = match version {
        None => client.get(&at).await?,
        Some("draft") => client.get(&format!("{at}/draft")).await?,
        Some(number) if number.parse::<u32>().is_ok() => {
            client.get(&format!("{at}/versions/{number}")).await?
        }
        Some(_) => {
            return Err(Failure::new(Exit::Usage, "behind `@` stands a version, or `draft`")
                .fix(format!("tandem history {name}")));
        }
    };
    match (form, shown["text"].as_str()) {
        (Form::Json, _) => output::data(&shown.to_string()),
        (Form::Text, Some(text)) => output::data(text),
        (Form::Text, None) => {
            return Err(Failure::new(Exit::Failed, format!("`{name}` has no version yet"))
                .coded(Tnd::NoVersion)
                .fix(format!("tandem apply teams/{name}.yaml -m TEXT")));
        }
    }
    Ok(Exit::Fine)
}

pub(super) async fn rollback(
    arguments: Rollback,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let client = arguments.admin.client(timeout)?;
    let name = checked(&arguments.namespace)?;
    let at = format!("/api/v1/namespaces/{name}");
    let version = live_version(&client, name).await?;
    if form == Form::Text
        && let Ok(from) = version.parse::<u32>()
    {
        let body = json!({ "from": from, "to": arguments.to });
        let told = client.send("POST", &format!("{at}/diff"), Some(&body), &Made::Anyhow).await?;
        let lines = told["diff"].as_array().cloned().unwrap_or_default();
        output::talk(&format!(
            "{name}@{version} → {name}@{}\n{}",
            arguments.to,
            lines_text(&lines)
        ));
    }
    confirmed(&arguments.confirm, &format!("roll `{name}` back to version {}", arguments.to))?;
    let body = json!({ "to": arguments.to, "why": arguments.message });
    let path = format!("{at}/rollback");
    let told = client.send("POST", &path, Some(&body), &Made::From(version)).await?;
    say_published(form, name, &told);
    Ok(Exit::Fine)
}
