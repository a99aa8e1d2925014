//! The end of the fifth step: both catalogues under the same generated calls, beside the shop, and
//! a page that says what came of it.
//!
//! The comparison starts services of its own, with data of its own. While it measures the demo's
//! own calls rest: what they use would be read as somebody else's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Checks, Shop, say};
use crate::process::{Beside, root};

/// A comparison that runs beside the demo.
pub(super) struct Comparison {
    beside: Beside,
    folder: PathBuf,
}

/// Longer than its own budget.
const ENDS_WITHIN: Duration = Duration::from_secs(240);

impl Comparison {
    /// Starts it: with `--quick` for whoever stays, or so small that it shows no more than that
    /// every part of it works.
    pub(super) fn start(shop: &Shop, small: bool) -> Result<Comparison, String> {
        let folder = root().join("target/demo");
        let _ = std::fs::remove_dir_all(&folder);
        let side = |name: &str, program: &Path| {
            format!(
                "{name}=exec:'{}' --listen 127.0.0.1:{{port}} --admin 127.0.0.1:0 --rest \
                 127.0.0.1:{{port:rest}} --data {{folder}} --sync none",
                program.display(),
            )
        };
        let mut command = Command::new(&shop.program);
        command
            .args(["compare", "Catalogue/GetProduct", "Catalogue/ListProducts"])
            .args(["--primary", &side("go", &shop.built.go.join("catalogue-go"))])
            .args(["--candidate", &side("rust", &shop.built.rust.join("catalogue"))])
            .arg("--stateful")
            .arg(root().join("cases/catalogue/fill.sh"))
            .arg("--data")
            .arg(format!("plan:{}", root().join("cases/catalogue/load.yaml").display()))
            .args(["--rate", "300", "--quick", "--out"])
            .arg(&folder);
        if small {
            command.args(["--quartets", "2", "--block", "300ms"]);
        }
        let (beside, _out) = Beside::start("compare", &mut command, &shop.folder)?;
        Ok(Comparison { beside, folder })
    }

    /// What it found, where it has ended; looked at for no longer than `limit`.
    pub(super) fn found(&mut self, limit: Duration) -> Option<Result<Found, String>> {
        let status = self.beside.outcome(limit)?;
        let read = || {
            let text = std::fs::read_to_string(self.folder.join("result.json")).ok()?;
            let report = self.folder.join("report.html");
            let result: Value = serde_json::from_str(&text).ok()?;
            report.is_file().then_some(Found { result, report })
        };
        Some(read().ok_or_else(|| format!("it ended with {status}\n{}", self.beside.last_lines())))
    }

    pub(super) fn stop(&mut self) {
        self.beside.stop(Duration::from_secs(12));
    }
}

/// A comparison that has written its report.
pub(super) struct Found {
    result: Value,
    report: PathBuf,
}

impl Found {
    pub(super) fn say(&self) {
        let verdict = &self.result["verdict"];
        say("compare", verdict["sentence"].as_str().unwrap_or("no verdict"));
        say("report", &self.report.display().to_string());
    }
}

/// The small one, to its end.
pub(super) fn check(shop: &Shop, checks: &mut Checks) -> Result<(), String> {
    let mut comparison = Comparison::start(shop, true)?;
    match comparison.found(ENDS_WITHIN) {
        Some(Ok(found)) => {
            checks.that("the report is written", true);
            let answers = &found.result["answers"];
            let paths = answers["paths"].as_array().cloned().unwrap_or_default();
            let worse =
                |path: &Value| path["class"] == "worse" || path["class"] == "different-always";
            checks.that(
                &format!("both catalogues answered the same: {answers}"),
                answers["calls"].as_u64() > Some(300) && !paths.iter().any(worse),
            );
            found.say();
        }
        Some(Err(why)) => checks.that(&format!("the comparison reports: {why}"), false),
        None => {
            comparison.stop();
            checks.that("the comparison ends", false);
        }
    }
    Ok(())
}
