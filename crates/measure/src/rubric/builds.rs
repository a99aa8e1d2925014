//! Row R-5: builds from nothing, and builds after a change of one constant.
//!
//! What was downloaded before stays; compiled before is nothing. A change adds a constant that the
//! compiler must keep, in the file where the program begins, then in an own package that uses no
//! own one.

use std::path::{Path, PathBuf};

use tandem_judge::report::units;

use super::checks::median;
use super::command::{Ran, Step};
use super::scratch::{self, Scratch};
use super::{Found, Place, Row, Side};

const HANDLER: &str = "R-5 handler";

/// How one language builds.
pub(crate) struct Builder {
    pub(crate) step: Step,
    /// Which variable names the folder of what is compiled.
    pub(crate) variable: &'static str,
    pub(crate) folder: PathBuf,
    pub(crate) handler: Option<PathBuf>,
    pub(crate) leaf: Option<PathBuf>,
    pub(crate) constant: fn(u32) -> String,
    pub(crate) versions: String,
    /// Variables that change what a compiler does.
    pub(crate) flags: [&'static str; 3],
}

/// Sources that may be changed.
pub(crate) struct Copied {
    pub(crate) top: PathBuf,
    pub(crate) folder: PathBuf,
}

/// # Errors
/// When the sources cannot be copied.
pub(crate) fn copied(
    side: &mut Side<'_>,
    place: &Place,
    top: &Path,
    scratch: &Scratch,
) -> Result<Copied, String> {
    let to = scratch.path().join("sources");
    let outcome = scratch::copy(top, &to, &side.limits).and_then(|()| {
        let within =
            place.folder.strip_prefix(top).map_err(|_| "it lies outside of its sources")?;
        Ok(Copied { folder: to.join(within), top: to.clone() })
    });
    if let (Err(why), true) = (&outcome, side.wants(Row::Build)) {
        side.row("R-5 clean", "", Err(why.clone()));
    }
    outcome
}

/// Fills the rows and leaves the last build where it is; without the row, builds once.
///
/// # Errors
/// When it does not build.
pub(crate) fn rows(side: &mut Side<'_>, builder: &Builder) -> Result<(), String> {
    let wanted = side.wants(Row::Build);
    let builds = if wanted { side.options.builds.max(1) } else { 1 };
    let step = builder.step.clone().with(builder.variable, &builder.folder);
    let mut clean = Vec::new();
    for _ in 0..builds {
        let _ = std::fs::remove_dir_all(&builder.folder);
        match step.output(&side.limits) {
            Ok(ran) => clean.push(ran),
            Err(why) => {
                if wanted {
                    side.row("R-5 clean", &step.text(), Err(why.clone()));
                }
                return Err(why);
            }
        }
    }
    if !wanted {
        return Ok(());
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let flags = builder
        .flags
        .iter()
        .filter_map(|name| std::env::var(name).ok().map(|value| format!("{name}={value}")));
    let flags: Vec<String> = flags.collect();
    let flags = if flags.is_empty() { "no flags set".to_owned() } else { flags.join(" ") };
    let note = format!(
        "{}; {cores} cores; {flags}; downloads kept, so no cold download; peak: all processes together",
        builder.versions
    );
    side.builds.clean_s = clean.iter().map(|ran| ran.wall.as_secs_f64()).collect();
    side.row("R-5 clean", &step.text(), Ok(Found::new(text(&clean), &note)));
    let changes = [(HANDLER, &builder.handler), ("R-5 leaf", &builder.leaf)];
    let mut number = 0;
    for (row, file) in changes {
        let found = match file {
            None => Err("there is no own package beneath it".to_owned()),
            Some(file) => {
                let changed = (0..builds).map(|_| {
                    number += 1;
                    append(file, &(builder.constant)(number))?;
                    step.output(&side.limits)
                });
                changed.collect::<Result<Vec<Ran>, String>>().map(|ran| {
                    if row == HANDLER {
                        side.builds.changed_s =
                            ran.iter().map(|ran| ran.wall.as_secs_f64()).collect();
                    }
                    let note = format!("after a new constant in {}", file.display());
                    Found::new(text(&ran), note)
                })
            }
        };
        side.row(row, &step.text(), found);
    }
    Ok(())
}

fn append(file: &Path, text: &str) -> Result<(), String> {
    let mut source = std::fs::read(file).map_err(|error| error.to_string())?;
    source.extend_from_slice(text.as_bytes());
    std::fs::write(file, source).map_err(|error| error.to_string())
}

fn text(ran: &[Ran]) -> String {
    let mut wall: Vec<f64> = ran.iter().map(|ran| ran.wall.as_secs_f64()).collect();
    let mut cpu: Vec<f64> = ran.iter().map(|ran| ran.cpu.as_secs_f64()).collect();
    let peak = ran.iter().map(|ran| ran.memory_bytes_peak).max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "bytes of a machine's memory")]
    let peak = units::bytes(peak as f64);
    let (wall, cpu) = (median(&mut wall), median(&mut cpu));
    format!(
        "wall {}, CPU {}, peak {peak} (N = {})",
        units::duration(wall),
        units::duration(cpu),
        ran.len()
    )
}
