//! `contract` of a team's document: where the descriptors come from, and what happens when they
//! change.
//!
//! Not here: reading files (`load`), deciding about a contract that came (`compat::follow` of the
//! contract crate).

use std::path::{Component, Path, PathBuf};

use tandem_contract::compat::Follow;

use super::Known::Now;
use super::{At, Reading};
use crate::document::{ContractSource, FollowRules};
use crate::problem::{Problem, Tnd};
use crate::source::cut;

pub(super) fn contract(
    reading: &mut Reading,
    at: &At<'_>,
) -> Option<(ContractSource, FollowRules)> {
    let known = ["reflection", "descriptors", "protos"];
    let fields = reading.fields(
        at,
        &[Now("reflection"), Now("descriptors"), Now("protos"), Now("follow"), Now("digest")],
    );
    let mut given = known.iter().filter_map(|name| Some((*name, fields.get(name)?)));
    let Some((first, source)) = given.next() else {
        if reading.problems.is_empty() {
            let fix = "write `reflection: UPSTREAM`, `descriptors: FILE` or `protos: FOLDER`";
            reading.missing(at, "reflection", fix);
        }
        return None;
    };
    if let Some((_, second)) = given.next() {
        let problem = Problem::error(Tnd::WrongType, "`contract` has two sources")
            .here(format!("`{first}` is written as well"))
            .fix("keep one of `reflection`, `descriptors` and `protos`");
        reading.problem(second, problem);
        return None;
    }
    let asked = first == "reflection";
    let follow = follow(reading, at, fields.get("follow"), fields.get("digest"), asked);
    let source = match first {
        "reflection" => ContractSource::Reflection(reading.text(source)?.to_owned()),
        "descriptors" => ContractSource::Descriptors(below(reading, source, "a descriptor set")?),
        _ => ContractSource::Protos(below(reading, source, ".proto text")?),
    };
    Some((source, follow?))
}

/// `None` where what is written has problems.
fn follow(
    reading: &mut Reading,
    contract: &At<'_>,
    follow: Option<&At<'_>>,
    digest: Option<&At<'_>>,
    asked: bool,
) -> Option<FollowRules> {
    if let Some(at) = follow.or(digest).filter(|_| !asked) {
        let problem = Problem::error(Tnd::WrongType, "a file is not followed")
            .here("this is about contracts that an upstream tells")
            .why("a contract from a file changes with `reload`: whoever changed the file meant it")
            .fix("remove the line, or write `reflection: UPSTREAM`");
        reading.problem(at, problem);
        return None;
    }
    let policy = match follow {
        None => Follow::Compatible,
        Some(at) => reading.word(
            at,
            &[
                ("compatible", Follow::Compatible),
                ("pinned", Follow::Pinned),
                ("manual", Follow::Manual),
            ],
        )?,
    };
    let recorded = match digest {
        None => None,
        Some(at) => Some(set_digest(reading, at)?),
    };
    if policy == Follow::Pinned && recorded.is_none() {
        let fix = "write the digest that may serve; `tandem status` and `tandem contract diff` \
                   show it";
        reading.missing(contract, "digest", fix);
        return None;
    }
    Some(FollowRules { policy, recorded })
}

/// 64 hexadecimal digits.
fn set_digest(reading: &mut Reading, at: &At<'_>) -> Option<[u8; 32]> {
    let text = reading.text(at)?;
    let mut digest = [0; 32];
    let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pairs = text.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).ok());
    for (byte, pair) in digest.iter_mut().zip(pairs).filter(|_| digits) {
        *byte = u8::from_str_radix(pair?, 16).ok()?;
    }
    if !digits {
        let what = format!("`{}` is no digest", cut(text));
        let problem =
            Problem::error(Tnd::WrongType, what).here("64 hexadecimal digits are expected").fix(
                "copy it from `tandem status` or `tandem contract diff --json`, and write it in \
                  quotes",
            );
        reading.problem(at, problem);
        return None;
    }
    Some(digest)
}

/// A path below the folder of the team's file: a team does not read the gateway's files.
fn below(reading: &mut Reading, at: &At<'_>, what: &str) -> Option<PathBuf> {
    let path = Path::new(reading.text(at)?);
    // `./proto` is as good as `proto`.
    let path: PathBuf =
        path.components().filter(|part| !matches!(part, Component::CurDir)).collect();
    let below = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !below || path.as_os_str().is_empty() {
        let problem = Problem::error(Tnd::OutsideGrant, format!("{what} outside the folder"))
            .here("only files below the folder of this document are read")
            .why("a team must not read the gateway's files")
            .fix("put the file beside this document and write its name");
        reading.problem(at, problem);
        return None;
    }
    Some(path)
}
