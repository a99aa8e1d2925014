//! Whole states: generated, exported, imported by the other languages, kept over kill -9.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::Fault;
use crate::admin::{Dataset, ResetRequest};
use crate::draw::Draw;
use crate::side::{Program, Side};

/// States whose digests are pinned.
const PINNED: [(Dataset, u64); 3] = [(Dataset::Empty, 0), (Dataset::Small, 1), (Dataset::Small, 7)];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub async fn run(programs: &[Program], golden: &Path, write: bool) -> Result<String, Fault> {
    let folder = tempfile::tempdir()?;
    let file = golden.join("digest.json");
    let mut sides = Vec::new();
    for program in programs {
        sides.push(Side::start(program, folder.path(), "each").await?);
    }
    let mut digests = Vec::new();
    for (dataset, seed) in PINNED {
        let mut all = Vec::new();
        for side in &mut sides {
            side.reset(ResetRequest { dataset: dataset as i32, seed }).await?;
            let before = side.digest().await?;
            side.kill_and_start().await?;
            let after = side.digest().await?;
            if before != after {
                return Err(
                    format!("{}: kill -9 changed {before:?} to {after:?}", side.name).into()
                );
            }
            all.push((side.name.clone(), after));
        }
        if let Some((name, _)) = all.iter().find(|(_, digest)| *digest != all[0].1) {
            return Err(format!("{dataset:?} {seed}: {name} and {} differ", all[0].0).into());
        }
        let digest = &all[0].1;
        digests.push(json!({
            "dataset": dataset.as_str_name(),
            "seed": seed,
            "sequence": digest.sequence,
            "count": digest.count,
            "sha256": hex(&digest.sha256),
            "recordsSha256": hex(&digest.records_sha256),
        }));
    }
    let digests = Value::Array(digests);
    if write {
        std::fs::write(&file, format!("{digests:#}\n"))?;
    }
    let pinned: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    if digests != pinned {
        return Err(format!("{} says otherwise than {digests:#}", file.display()).into());
    }
    exchange(&mut sides).await?;
    Ok(format!("{} pinned, exported and imported by each other", PINNED.len()))
}

/// Each state goes into the next side; a damaged one into none.
async fn exchange(sides: &mut [Side]) -> Result<(), Fault> {
    let count = sides.len();
    for from in 0..count {
        let to = (from + 1) % count;
        sides[from].reset(ResetRequest { dataset: Dataset::Small as i32, seed: 3 }).await?;
        let state = sides[from].export().await?;
        sides[to].reset(ResetRequest::default()).await?;
        let empty = sides[to].digest().await?;
        let mut draw = Draw::new(from as u64);
        let mut cut = state.clone();
        cut.truncate(draw.below(state.len()));
        let mut twice = state.clone();
        twice.push(state[0].clone());
        let mut strange = state.clone();
        strange[0].key = "x/strange".into();
        for damaged in [cut, twice, strange] {
            if sides[to].import(damaged).await.is_ok() {
                return Err(format!("{} takes a damaged state", sides[to].name).into());
            }
            if sides[to].digest().await? != empty {
                return Err(format!("{} keeps a part of a damaged state", sides[to].name).into());
            }
        }
        sides[to].import(state).await?;
        let wanted = sides[from].digest().await?;
        let got = sides[to].digest().await?;
        if got != wanted {
            let names = (&sides[from].name, &sides[to].name);
            return Err(format!("{names:?}: {wanted:?} became {got:?}").into());
        }
    }
    Ok(())
}
