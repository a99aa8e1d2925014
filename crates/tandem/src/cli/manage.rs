//! `tandem ns`, `member`, `key`, `token`, `secret`: who may what, on a running gateway.
//!
//! Not here: rights (the admin API asks them), versions (`change`).

use std::io::Read as _;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tandem_config::access::Who;

use super::AdminArguments;
use super::ask::{Confirm, confirmed};
use super::change::checked;
use crate::client::Made;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Subcommand)]
pub(super) enum Namespaces {
    /// Lists the namespaces that you may see.
    List {
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Adds a namespace to the platform's document, live at once. Its team applies the rest.
    Create(Box<NewNamespace>),
    /// Shows a namespace: its version, your role, what is wrong.
    Show {
        /// The namespace.
        namespace: String,
        #[command(flatten)]
        admin: AdminArguments,
    },
}

/// Each list by a flag that is given once for each; what is not given is not granted.
#[derive(Debug, Args)]
pub(super) struct NewNamespace {
    /// Its name: 1 to 63 of a-z, 0-9 and `-`.
    namespace: String,
    /// Why; it stands in the history of the platform's document and in the audit log.
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    message: String,
    /// Keeps members, keys and secrets: `user:NAME`, `group:NAME` or `token:NAME`.
    #[arg(long = "owner", value_name = "WHO", help_heading = "Members")]
    owners: Vec<String>,
    /// Publishes and rolls back.
    #[arg(long = "publisher", value_name = "WHO", help_heading = "Members")]
    publishers: Vec<String>,
    /// Drafts.
    #[arg(long = "editor", value_name = "WHO", help_heading = "Members")]
    editors: Vec<String>,
    /// Looks.
    #[arg(long = "viewer", value_name = "WHO", help_heading = "Members")]
    viewers: Vec<String>,
    /// A host that it may claim: `api.example.com`, `*.example.com`.
    #[arg(long = "host", value_name = "HOST", help_heading = "What it may claim")]
    hosts: Vec<String>,
    /// A service, or all of a package: `shop.v1.Catalogue`, `shop.v1.*`.
    #[arg(long = "service", value_name = "SERVICE", help_heading = "What it may claim")]
    services: Vec<String>,
    /// REST paths: `/v1/products`, `/v1/products/**`.
    #[arg(long = "path", value_name = "PATH", help_heading = "What it may claim")]
    paths: Vec<String>,
    /// Where its services may stand: `*.shop.svc:50051`, `10.0.0.0/8:1-65535`.
    #[arg(long = "upstream", value_name = "ADDR", help_heading = "What it may claim")]
    upstreams: Vec<String>,
    /// Methods that everybody may call.
    #[arg(long, help_heading = "What it may claim")]
    public_methods: bool,
    /// Services on the gateway's own machine; their addresses must be granted as well.
    #[arg(long, help_heading = "What it may claim")]
    loopback: bool,
    /// Calls at once; 1000 without it.
    #[arg(long, value_name = "N", help_heading = "Quota")]
    calls_at_once: Option<u32>,
    /// Methods and REST rules; 2000 without it.
    #[arg(long, value_name = "N", help_heading = "Quota")]
    routes: Option<u32>,
    /// Of its document; 1MiB without it.
    #[arg(long, value_name = "SIZE", help_heading = "Quota")]
    document: Option<String>,
    /// Of answers that are kept; 64MiB without it.
    #[arg(long, value_name = "SIZE", help_heading = "Quota")]
    cache: Option<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

impl NewNamespace {
    /// As the platform's document has it; what was not given does not stand there.
    fn body(&self) -> Value {
        let group = |entries: Vec<(&str, Value)>| -> Value {
            let given = |value: &Value| match value {
                Value::Array(items) => !items.is_empty(),
                Value::Bool(given) => *given,
                value => !value.is_null(),
            };
            let entries = entries.into_iter().filter(|(_, value)| given(value));
            entries.map(|(key, value)| (key.to_owned(), value)).collect()
        };
        let members = group(vec![
            ("owner", json!(self.owners)),
            ("publisher", json!(self.publishers)),
            ("editor", json!(self.editors)),
            ("viewer", json!(self.viewers)),
        ]);
        let may = group(vec![
            ("hosts", json!(self.hosts)),
            ("services", json!(self.services)),
            ("paths", json!(self.paths)),
            ("upstreams", json!(self.upstreams)),
            ("public_methods", json!(self.public_methods)),
            ("loopback", json!(self.loopback)),
        ]);
        let quota = group(vec![
            ("calls_at_once", json!(self.calls_at_once)),
            ("routes", json!(self.routes)),
            ("document", json!(self.document)),
            ("cache", json!(self.cache)),
        ]);
        let mut body = json!({ "why": self.message });
        for (key, group) in [("members", members), ("may", may), ("quota", quota)] {
            if group.as_object().is_some_and(|group| !group.is_empty()) {
                body[key] = group;
            }
        }
        body
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Role {
    Viewer,
    Editor,
    Publisher,
    Owner,
}

#[derive(Debug, Args)]
pub(super) struct Of {
    /// The namespace.
    namespace: String,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum Members {
    /// Lists who holds which role.
    List(Of),
    /// Gives somebody a role, in the place of another that he had.
    Add {
        /// The namespace.
        namespace: String,
        /// `user:NAME`, `group:NAME` or `token:NAME`.
        who: String,
        #[arg(long, value_enum)]
        role: Role,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Takes somebody's role away.
    Remove {
        /// The namespace.
        namespace: String,
        /// `user:NAME`, `group:NAME` or `token:NAME`.
        who: String,
        #[command(flatten)]
        admin: AdminArguments,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Lists the API keys of callers.
    List(Of),
    /// Makes a key and prints it: the only time that it is to be had.
    Create {
        /// The namespace.
        namespace: String,
        /// What it is called.
        name: String,
        /// What methods may ask for; once for each.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Days until it opens nothing any more.
        #[arg(long, value_name = "DAYS")]
        expires: Option<u32>,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Revokes a key.
    Revoke {
        /// The namespace.
        namespace: String,
        /// Its id, from the list.
        id: String,
        #[command(flatten)]
        confirm: Confirm,
        #[command(flatten)]
        admin: AdminArguments,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Tokens {
    /// Lists the tokens of the admin API, and when each was used last.
    List {
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Makes a token and prints it: the only time that it is to be had. `member add` gives it
    /// roles.
    Create {
        /// What it is called; `token:NAME` is who comes with it.
        name: String,
        /// Sets grants and reads all audit.
        #[arg(long)]
        platform_admin: bool,
        /// `metrics` reads the metrics of every namespace.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Days until it opens nothing any more; 90 without it.
        #[arg(long, value_name = "DAYS")]
        expires: Option<u32>,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Revokes a token.
    Revoke {
        /// Its id, from the list.
        id: String,
        #[command(flatten)]
        confirm: Confirm,
        #[command(flatten)]
        admin: AdminArguments,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Caches {
    /// Shows what is kept of a namespace's answers.
    Stats(Of),
    /// Forgets what is kept of a method, or of all methods of a namespace.
    Purge {
        /// The namespace.
        namespace: String,
        /// `package.Service/Method`; every method without it.
        method: Option<String>,
        #[command(flatten)]
        admin: AdminArguments,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Secrets {
    /// Lists names and fingerprints.
    List(Of),
    /// Sets a secret to what stands on stdin. No key of a document takes `store:NAME` in this
    /// build: it is kept for those that will.
    Set {
        /// The namespace.
        namespace: String,
        /// Its name: 1 to 63 of a-z, 0-9 and `-`.
        name: String,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Takes a secret away.
    Remove {
        /// The namespace.
        namespace: String,
        /// Its name.
        name: String,
        #[command(flatten)]
        admin: AdminArguments,
    },
}

/// Prints a list: a line each, by these keys, or an object each.
pub(super) fn list(form: Form, list: &Value, keys: &[(&str, usize)]) {
    for one in list.as_array().into_iter().flatten() {
        if form == Form::Json {
            output::data(&one.to_string());
            continue;
        }
        let cell = |(key, width): &(&str, usize)| {
            let text = match &one[*key] {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.escape_debug().to_string(),
                Value::Array(items) => {
                    let items = items.iter().filter_map(Value::as_str);
                    items.collect::<Vec<_>>().join(", ")
                }
                other => other.to_string(),
            };
            format!("{text:<width$}")
        };
        let line: Vec<String> = keys.iter().map(cell).collect();
        output::data(line.join("  ").trim_end());
    }
}

/// Prints what was done to a thing of which nothing is told.
fn done(form: Form, what: &str) {
    match form {
        Form::Json => output::data(&json!({ "done": what }).to_string()),
        Form::Text => output::data(what),
    }
}

pub(super) async fn namespaces(
    command: Namespaces,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let keys = [("name", 20), ("version", 8), ("role", 10), ("methods", 8), ("hosts", 0)];
    match command {
        Namespaces::List { admin } => {
            list(form, &admin.client(timeout)?.get("/api/v1/namespaces").await?, &keys);
        }
        Namespaces::Create(new) => {
            let name = checked(&new.namespace)?;
            let path = format!("/api/v1/namespaces/{name}");
            let client = new.admin.client(timeout)?;
            let told = client.send("PUT", &path, Some(&new.body()), &Made::FromNothing).await?;
            match form {
                Form::Json => output::data(&told.to_string()),
                Form::Text => {
                    let number = &told["version"]["number"];
                    output::data(&format!("{name}: made, version {number} of the platform"));
                    output::talk(&format!(
                        "its team writes teams/{name}.yaml: tandem apply teams/{name}.yaml -m TEXT"
                    ));
                }
            }
        }
        Namespaces::Show { namespace, admin } => {
            let name = checked(&namespace)?;
            let all = admin.client(timeout)?.get("/api/v1/namespaces").await?;
            let found = all.as_array().into_iter().flatten().find(|one| one["name"] == name);
            let Some(one) = found else {
                return Err(Failure::new(Exit::Usage, format!("there is no namespace `{name}`"))
                    .because("or you may not see it")
                    .fix("tandem ns list"));
            };
            match form {
                Form::Json => output::data(&one.to_string()),
                Form::Text => {
                    for key in ["name", "version", "role", "contract", "methods", "hosts", "draft"]
                    {
                        let text = match &one[key] {
                            Value::String(text) => text.clone(),
                            other => other.to_string(),
                        };
                        output::data(&format!("{key:<10} {text}"));
                    }
                    for problem in one["problems"].as_array().into_iter().flatten() {
                        output::data(&format!("problem    {}", problem.as_str().unwrap_or("")));
                    }
                }
            }
        }
    }
    Ok(Exit::Fine)
}

fn member(who: &str) -> Result<&str, Failure> {
    match Who::parse(who).filter(|_| !who.contains(['/', '?', '#', '%'])) {
        Some(_) => Ok(who),
        None => Err(Failure::new(Exit::Usage, "this names nobody who can be a member")
            .at(who.escape_debug().to_string())
            .fix("write `user:NAME`, `group:NAME` or `token:NAME`")),
    }
}

pub(super) async fn members(
    command: Members,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    match command {
        Members::List(Of { namespace, admin }) => {
            let path = format!("/api/v1/namespaces/{}/members", checked(&namespace)?);
            let keys = [("who", 30), ("role", 10), ("from", 0)];
            list(form, &admin.client(timeout)?.get(&path).await?, &keys);
        }
        Members::Add { namespace, who, role, admin } => {
            let (name, who) = (checked(&namespace)?, member(&who)?);
            let role = match role {
                Role::Viewer => "viewer",
                Role::Editor => "editor",
                Role::Publisher => "publisher",
                Role::Owner => "owner",
            };
            let path = format!("/api/v1/namespaces/{name}/members/{who}");
            let body = json!({ "role": role });
            admin.client(timeout)?.send("PUT", &path, Some(&body), &Made::Anyhow).await?;
            done(form, &format!("{who} is {role} of {name}"));
        }
        Members::Remove { namespace, who, admin } => {
            let (name, who) = (checked(&namespace)?, member(&who)?);
            let path = format!("/api/v1/namespaces/{name}/members/{who}");
            admin.client(timeout)?.send("DELETE", &path, None, &Made::Anyhow).await?;
            done(form, &format!("{who} has no role of {name}'s own any more"));
        }
    }
    Ok(Exit::Fine)
}

/// Prints the credential that was made, and how long it is good.
fn show_made(form: Form, told: &Value, key: &str) {
    match form {
        Form::Json => output::data(&told.to_string()),
        Form::Text => {
            let text = |key: &str| told[key].as_str().unwrap_or_default();
            output::data(text(key));
            output::talk(&format!(
                "id {}, until {}; it is shown this once",
                text("id"),
                text("expires").get(..10).unwrap_or_default()
            ));
        }
    }
}

const CREDENTIAL: [(&str, usize); 5] =
    [("id", 10), ("name", 20), ("who", 20), ("expires", 26), ("scopes", 0)];

/// An id that can stand in a path.
fn id_of(id: &str) -> Result<&str, Failure> {
    match tandem_config::store::ThingName::new(id) {
        Some(_) => Ok(id),
        None => Err(Failure::new(Exit::Usage, "this is no id")
            .at(id.escape_debug().to_string())
            .fix("take it from the list")),
    }
}

pub(super) async fn keys(command: Keys, form: Form, timeout: Duration) -> Result<Exit, Failure> {
    match command {
        Keys::List(Of { namespace, admin }) => {
            let path = format!("/api/v1/namespaces/{}/keys", checked(&namespace)?);
            list(form, &admin.client(timeout)?.get(&path).await?, &CREDENTIAL);
        }
        Keys::Create { namespace, name, scopes, expires, admin } => {
            let path = format!("/api/v1/namespaces/{}/keys", checked(&namespace)?);
            let body = json!({ "name": name, "scopes": scopes, "expires_days": expires });
            let client = admin.client(timeout)?;
            let told = client.send("POST", &path, Some(&body), &Made::Anyhow).await?;
            show_made(form, &told, "key");
        }
        Keys::Revoke { namespace, id, confirm, admin } => {
            let (name, id) = (checked(&namespace)?, id_of(&id)?);
            confirmed(&confirm, &format!("revoke the key {id} of `{name}`"))?;
            let path = format!("/api/v1/namespaces/{name}/keys/{id}");
            admin.client(timeout)?.send("DELETE", &path, None, &Made::Anyhow).await?;
            done(form, &format!("the key {id} opens nothing any more"));
        }
    }
    Ok(Exit::Fine)
}

pub(super) async fn tokens(
    command: Tokens,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    match command {
        Tokens::List { admin } => {
            let keys = [
                ("id", 10),
                ("name", 20),
                ("who", 20),
                ("expires", 26),
                ("used", 26),
                ("platform_admin", 0),
            ];
            list(form, &admin.client(timeout)?.get("/api/v1/tokens").await?, &keys);
        }
        Tokens::Create { name, platform_admin, scopes, expires, admin } => {
            let body = json!({
                "name": name, "platform_admin": platform_admin, "scopes": scopes,
                "expires_days": expires,
            });
            let client = admin.client(timeout)?;
            let told = client.send("POST", "/api/v1/tokens", Some(&body), &Made::Anyhow).await?;
            show_made(form, &told, "token");
        }
        Tokens::Revoke { id, confirm, admin } => {
            let id = id_of(&id)?;
            confirmed(&confirm, &format!("revoke the token {id}"))?;
            let path = format!("/api/v1/tokens/{id}");
            admin.client(timeout)?.send("DELETE", &path, None, &Made::Anyhow).await?;
            done(form, &format!("the token {id} opens nothing any more"));
        }
    }
    Ok(Exit::Fine)
}

pub(super) async fn secrets(
    command: Secrets,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    match command {
        Secrets::List(Of { namespace, admin }) => {
            let path = format!("/api/v1/namespaces/{}/secrets", checked(&namespace)?);
            let keys = [("name", 30), ("fingerprint", 0)];
            list(form, &admin.client(timeout)?.get(&path).await?, &keys);
        }
        Secrets::Set { namespace, name, admin } => {
            let (namespace, name) = (checked(&namespace)?, id_of(&name)?);
            let mut value = String::new();
            let most = 64 * 1024 + 2;
            std::io::stdin().take(most).read_to_string(&mut value).map_err(|error| {
                Failure::new(Exit::Usage, "stdin holds no text").because(error.to_string())
            })?;
            // The line break that `echo` and editors end with is not of the secret.
            let value = value.strip_suffix('\n').unwrap_or(&value);
            let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
            let body = json!({ "value": value });
            admin.client(timeout)?.send("PUT", &path, Some(&body), &Made::Anyhow).await?;
            done(form, &format!("the secret {name} of {namespace} is set"));
        }
        Secrets::Remove { namespace, name, admin } => {
            let (namespace, name) = (checked(&namespace)?, id_of(&name)?);
            let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
            admin.client(timeout)?.send("DELETE", &path, None, &Made::Anyhow).await?;
            done(form, &format!("the secret {name} of {namespace} is gone"));
        }
    }
    Ok(Exit::Fine)
}

pub(super) async fn caches(
    command: Caches,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let told = match command {
        Caches::Stats(Of { namespace, admin }) => {
            let path = format!("/api/v1/namespaces/{}/cache", checked(&namespace)?);
            admin.client(timeout)?.get(&path).await?
        }
        Caches::Purge { namespace, method, admin } => {
            let path = format!("/api/v1/namespaces/{}/cache/purge", checked(&namespace)?);
            let body = json!({ "method": method });
            admin.client(timeout)?.send("POST", &path, Some(&body), &Made::Anyhow).await?
        }
    };
    match form {
        Form::Json => output::data(&told.to_string()),
        Form::Text => {
            for (key, value) in told.as_object().into_iter().flatten() {
                output::data(&format!("{key:<10} {value}"));
            }
        }
    }
    Ok(Exit::Fine)
}
