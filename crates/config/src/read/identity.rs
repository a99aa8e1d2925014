//! `identity` of `tandem.yaml`.
//!
//! Not here: asking an issuer for its keys (`tandem-gateway`).

use std::collections::BTreeMap;

use rustls_pki_types::CertificateDer;
use tandem_protocol::token::{Algorithm, Asked};

use super::Known::{Instead, Later, Now};
use super::tls::certificates;
use super::{At, Reading};
use crate::document::units;
use crate::document::{ApiKeyHeader, HttpsUrl, Identities, Issuer, KeySource, KeysAt};
use crate::files;
use crate::problem::{Problem, Tnd};
use crate::source::Value;

pub(super) fn identity(reading: &mut Reading, at: &At<'_>) -> Identities {
    let meanwhile = "listeners speak no TLS yet, so nobody shows a certificate; use `jwt` or \
                     `api_keys`";
    let known = [Now("jwt"), Instead("mtls", meanwhile), Now("api_keys"), Later("page")];
    let fields = reading.fields(at, &known);
    Identities {
        issuers: fields.get("jwt").map(|at| issuers(reading, at)).unwrap_or_default(),
        api_keys: fields.get("api_keys").and_then(|at| api_keys(reading, at)),
    }
}

fn issuers(reading: &mut Reading, at: &At<'_>) -> BTreeMap<String, Issuer> {
    let mut issuers = BTreeMap::new();
    for entry in reading.entries(at) {
        if reading.check_name(&entry, entry.name())
            && let Some(issuer) = issuer(reading, &entry)
        {
            issuers.insert(entry.name().to_owned(), issuer);
        }
    }
    issuers
}

fn issuer(reading: &mut Reading, at: &At<'_>) -> Option<Issuer> {
    let fields = reading.fields(
        at,
        &[
            Now("issuer"),
            Now("audience"),
            Now("jwks"),
            Now("ca"),
            Now("algorithms"),
            Now("principal"),
            Now("groups"),
            Now("not_before"),
        ],
    );
    let issuer_at = fields.get("issuer");
    if issuer_at.is_none() {
        let fix = "write `issuer: URL`, exactly as the claim `iss` of its tokens says it";
        reading.missing(at, "issuer", fix);
    }
    let issuer = issuer_at.and_then(|at| word(reading, at));
    let audience = match fields.get("audience") {
        Some(at) => some_of(reading, at, word),
        None => {
            let fix = "write `audience: [NAME]`, whom its tokens are meant for";
            reading.missing(at, "audience", fix);
            None
        }
    };
    let keys_at = keys_at(reading, issuer_at, fields.get("jwks"));
    let roots = match fields.get("ca") {
        Some(at) => certificates(reading, at),
        None => system_roots(reading, at),
    };
    let algorithms = match fields.get("algorithms") {
        Some(at) => some_of(reading, at, algorithm)?,
        None => vec![Algorithm::Es256, Algorithm::Rs256],
    };
    let mut claim = |name: &str, default: &str| match fields.get(name) {
        Some(at) => word(reading, at),
        None => Some(default.to_owned()),
    };
    let (principal, groups) = (claim("principal", "sub"), claim("groups", "groups"));
    let not_before = match fields.get("not_before") {
        Some(at) => reading.word(at, &[("required", true), ("optional", false)]),
        None => Some(true),
    };
    Some(Issuer {
        asked: Asked { issuer: issuer?, audience: audience?, not_before: not_before? },
        keys: KeySource { at: keys_at?, roots: roots? },
        algorithms,
        principal: principal?,
        groups: groups?,
    })
}

fn keys_at(
    reading: &mut Reading,
    issuer: Option<&At<'_>>,
    jwks: Option<&At<'_>>,
) -> Option<KeysAt> {
    if let Some(at) = jwks
        && reading.text(at)? != "auto"
    {
        return reading.parsed(at, parse_https_url).map(KeysAt::Set);
    }
    let mut url = reading.parsed(issuer?, parse_https_url)?;
    url.path = format!("{}/.well-known/openid-configuration", url.path.trim_end_matches('/'));
    Some(KeysAt::Discovered(url))
}

/// What the machine itself trusts, where the document does not say whom to trust.
fn system_roots(reading: &mut Reading, at: &At<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let roots = files::system_roots();
    if roots.is_none() {
        let problem = Problem::error(Tnd::FileUnreadable, "nobody says whom to trust")
            .here("this machine has no bundle of root certificates that can be read")
            .why("keys that anybody could have sent open nothing")
            .fix("write `ca: FILE`, or install the system's certificates");
        reading.problem_at_key(at, problem);
    }
    roots
}

fn algorithm(reading: &mut Reading, at: &At<'_>) -> Option<Algorithm> {
    let written = reading.text(at)?;
    let found = Algorithm::named(written);
    if found.is_none() {
        let all: Vec<&str> = Algorithm::ALL.into_iter().map(Algorithm::name).collect();
        let problem = Problem::error(Tnd::WrongType, "this is no algorithm that is taken")
            .here(match written.starts_with("HS") {
                true => "who can check a shared secret can sign with it",
                false => "not among those with public keys",
            })
            .fix(format!("write some of {}", all.join(", ")));
        reading.problem(at, problem);
    }
    found
}

fn api_keys(reading: &mut Reading, at: &At<'_>) -> Option<ApiKeyHeader> {
    let fields = reading.fields(at, &[Now("header")]);
    let header = match fields.get("header") {
        Some(at) => reading.parsed(at, |text| {
            let name = super::limits::parse_header(text)?;
            match name == "authorization" || name == "cookie" {
                false => Ok(name),
                true => Err(units::UnitFault {
                    wrong: "this header has a meaning of its own".into(),
                    right: "choose another, for example `x-api-key`".into(),
                }),
            }
        })?,
        None => ApiKeyHeader::DEFAULT.to_owned(),
    };
    Some(ApiKeyHeader { header })
}

/// A text that is not empty and has no blanks or control characters.
fn word(reading: &mut Reading, at: &At<'_>) -> Option<String> {
    let text = reading.text(at)?;
    let good = (1..=512).contains(&text.len())
        && !text.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    if !good {
        reading.wrong(at, "is a word", "write it without blanks");
    }
    good.then(|| text.to_owned())
}

/// One, or a list of one or more.
fn some_of<T>(
    reading: &mut Reading,
    at: &At<'_>,
    one: impl Fn(&mut Reading, &At<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    if !matches!(at.node.value, Value::List(_)) {
        return one(reading, at).map(|one| vec![one]);
    }
    let all = reading.list(at, one);
    if matches!(&at.node.value, Value::List(items) if items.is_empty()) {
        reading.wrong(at, "is a list of one or more", "write at least one");
    }
    (!all.is_empty()).then_some(all)
}

/// `https://HOST[:PORT]/PATH[?QUERY]`, no user, no fragment.
pub(super) fn parse_https_url(text: &str) -> Result<HttpsUrl, units::UnitFault> {
    let example = "write `https://HOST/PATH`";
    let fault = |wrong: &str| units::UnitFault { wrong: wrong.into(), right: example.into() };
    let rest = text.strip_prefix("https://").ok_or_else(|| fault("this is no URL of https"))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if path.contains('#') || !path.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        return Err(fault("a URL that is asked has no fragment and no blanks"));
    }
    let has_port = match authority.rsplit_once(':') {
        Some((host, _)) => !host.contains(':') || host.ends_with(']'),
        None => false,
    };
    let full = if has_port { authority.to_owned() } else { format!("{authority}:443") };
    let address = units::parse_address(&full)?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(HttpsUrl { address, authority: authority.to_owned(), path })
}

impl HttpsUrl {
    /// Reads a URL that somebody else names.
    pub fn parse(text: &str) -> Option<HttpsUrl> {
        parse_https_url(text).ok()
    }
}
