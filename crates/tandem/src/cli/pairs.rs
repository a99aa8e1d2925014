//! `tandem verdict`, `diffs`, `noise`: what the live pairs of a method say (experience §3).
//!
//! A method is written by its full name or by an unambiguous tail of it.
//!
//! Not here: judging, and what is shown of it (`crate::pairs`, by the admin API).

mod text;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tandem_config::Tnd;
use tandem_judge::verdict::{Ending, exit_code};

use super::AdminArguments;
use super::change::say_published;
use crate::client::{Admin, Made};
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Of {
    /// The method, or an unambiguous tail of its name: `GetProduct`, `Catalogue/GetProduct`.
    method: String,
    /// The namespace, where more than one mirrors the method.
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Args)]
pub(super) struct VerdictArguments {
    #[command(flatten)]
    of: Of,
    /// Wait so long for a verdict: it ends as soon as there is one.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: Option<u64>,
    /// Exit codes that count, of 3 and 5; the others are printed and become 0.
    #[arg(long, value_name = "CODES", value_delimiter = ',',
          value_parser = clap::value_parser!(u8).range(3..=8))]
    fail_on: Option<Vec<u8>>,
}

#[derive(Debug, Args)]
pub(super) struct Diffs {
    #[command(flatten)]
    of: Of,
    /// Only this path and what lies below it: `orders[].price`.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Pairs of values of each path; kept where the method says `mirror: { samples: true }`.
    #[arg(long, value_name = "N", default_value_t = 3)]
    samples: u8,
}

#[derive(Debug, Subcommand)]
pub(super) enum Noise {
    /// Lists what differs without meaning anything: learned from the twin, and declared.
    List(Of),
    /// Declares that differences of a path mean nothing; a new version of the namespace.
    Accept {
        #[command(flatten)]
        of: Of,
        /// As `diffs` prints it: `orders[].price`.
        path: String,
        /// What is declared of it: `ignore`, `unordered`, `keyed=FIELD`, `tolerance=1e-9`.
        #[arg(long = "as", value_name = "RULE", default_value = "ignore")]
        rule: String,
        /// Why, for the history and the audit log.
        #[arg(short, long, value_name = "TEXT")]
        message: String,
    },
}

/// Whether `name` is what `wanted` means: all of it, or a tail from a dot or a slash on.
fn means(name: &str, wanted: &str) -> bool {
    name.strip_suffix(wanted).is_some_and(|head| head.is_empty() || head.ends_with(['.', '/']))
}

/// Namespace and full name of the method that is meant.
async fn found(client: &Admin, of: &Of) -> Result<(String, String), Failure> {
    let names = |listed: &Value| -> BTreeSet<(String, String)> {
        let each = listed.as_array().into_iter().flatten();
        each.filter_map(|one| {
            let text = |key: &str| one[key].as_str().map(str::to_owned);
            text("namespace").zip(text("method"))
        })
        .filter(|(namespace, _)| of.namespace.as_ref().is_none_or(|wanted| wanted == namespace))
        .collect()
    };
    let mirrored = names(&client.get("/api/v1/pairs").await?);
    let meant = |all: &BTreeSet<(String, String)>| -> Vec<(String, String)> {
        all.iter().filter(|(_, name)| means(name, &of.method)).cloned().collect()
    };
    let wanted = of.method.escape_debug().to_string();
    match meant(&mirrored).as_slice() {
        [one] => return Ok(one.clone()),
        [] => {}
        several => {
            let all: Vec<String> =
                several.iter().map(|(namespace, name)| format!("{namespace}: {name}")).collect();
            return Err(Failure::new(Exit::Usage, format!("`{wanted}` may be one of several"))
                .because(all.join(", "))
                .fix("write more of its name, or name the namespace with `--namespace NS`"));
        }
    }
    let served = names(&client.get("/api/v1/methods").await?["methods"]);
    let Some((namespace, name)) = meant(&served).into_iter().next() else {
        let tails = served.iter().filter_map(|(_, name)| name.split_once('/'));
        let known = served.iter().map(|(_, name)| name.as_str()).chain(tails.map(|(_, name)| name));
        return Err(Failure::new(Exit::Usage, format!("there is no method `{wanted}`"))
            .coded(Tnd::UnknownMethod)
            .fix(match tandem_config::nearest(&of.method, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`tandem ls` lists what is served".to_owned(),
            }));
    };
    Err(Failure::new(Exit::Usage, format!("calls of {name} are not mirrored"))
        .because(format!("in `{namespace}` nothing says to whom"))
        .fix("write `candidate: NAME` and `mirror: { share: 10% }` at the method"))
}

fn at((namespace, method): &(String, String), what: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/methods/{method}/{what}")
}

pub(super) async fn verdict(
    arguments: VerdictArguments,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let VerdictArguments { of, wait, fail_on } = arguments;
    let client = of.admin.client(timeout)?;
    let path = at(&found(&client, &of).await?, "verdict");
    let until = wait.map(|seconds| tokio::time::Instant::now() + Duration::from_secs(seconds));
    let told = loop {
        let told = client.get(&path).await?;
        let open = told["word"] == "not-enough-evidence";
        match until {
            Some(until) if open && tokio::time::Instant::now() < until => {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            _ => break told,
        }
    };
    match form {
        Form::Json => output::data(&told.to_string()),
        Form::Text => output::data(&text::verdict(&told)),
    }
    let word = told["word"].as_str().unwrap_or_default();
    let ending = Ending {
        answers_differ: word == "answers-differ",
        invalid: word == "invalid",
        not_enough_evidence: word == "not-enough-evidence",
        ..Ending::default()
    };
    let (code, found) = exit_code(&ending, fail_on.as_deref());
    if code != found {
        output::talk(&format!("exit code {found} is not among --fail-on"));
    }
    Ok(match code {
        3 => Exit::Different,
        5 => Exit::NotEnough,
        8 => Exit::Invalid,
        _ => Exit::Fine,
    })
}

pub(super) async fn diffs(
    arguments: Diffs,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let Diffs { of, path, samples } = arguments;
    let client = of.admin.client(timeout)?;
    let mut asked = format!("{}?samples={samples}", at(&found(&client, &of).await?, "differences"));
    if let Some(path) = &path {
        asked.push_str(&format!("&path={}", encoded(path)));
    }
    let told = client.get(&asked).await?;
    match form {
        Form::Json => output::data(&told.to_string()),
        Form::Text => output::data(&text::differences(&told)),
    }
    Ok(Exit::Fine)
}

pub(super) async fn noise(command: Noise, form: Form, timeout: Duration) -> Result<Exit, Failure> {
    match command {
        Noise::List(of) => {
            let client = of.admin.client(timeout)?;
            let told = client.get(&at(&found(&client, &of).await?, "noise")).await?;
            match form {
                Form::Json => output::data(&told.to_string()),
                Form::Text => output::data(&text::noise(&told)),
            }
        }
        Noise::Accept { of, path, rule, message } => {
            let client = of.admin.client(timeout)?;
            let method = found(&client, &of).await?;
            let (_, version) = client.get_tagged(&at(&method, "noise")).await?;
            let body = json!({ "path": path, "as": rule, "why": message });
            let asked = at(&method, "noise");
            let told = client.send("POST", &asked, Some(&body), &Made::From(version)).await?;
            if form == Form::Text {
                let own = "the evidence begins anew; the rule stands at the method's own line";
                let what = if rule == "ignore" { "noise" } else { &rule };
                output::talk(&format!("{} {path} is {what}: {own}", method.1));
            }
            say_published(form, &method.0, &told);
        }
    }
    Ok(Exit::Fine)
}

/// What a query takes as it is; the rest by its bytes (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let each = text.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_meant_by_its_whole_name_or_by_a_tail_of_whole_words() {
        let name = "tandem.cases.catalogue.v1.Catalogue/GetProduct";
        for wanted in [name, "Catalogue/GetProduct", "GetProduct", "v1.Catalogue/GetProduct"] {
            assert!(means(name, wanted), "{wanted}");
        }
        for wanted in ["Product", "alogue/GetProduct", "GetProducts", "/GetProduct"] {
            assert!(!means(name, wanted), "{wanted}");
        }
        assert_eq!(encoded("orders[].a b"), "orders%5B%5D.a%20b");
    }
}
