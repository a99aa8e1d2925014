//! A folder that is gone afterwards, and copies of sources in it.
//!
//! Builds happen on a copy: an incremental build needs a change, and nobody's sources are changed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::command::{Limits, Step};

/// More than this is no service's sources; a data folder lies among them.
const COPY_BYTES_MAX: u64 = 1 << 30;
/// Never part of what is built from.
const LEFT_OUT: [&str; 4] = [".git", "target", "node_modules", "vendor/cache"];

/// A folder of this run.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// # Errors
    /// When no folder can be made there.
    pub(crate) fn new(parent: &Path, name: &str) -> Result<Scratch, String> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("tandem-rubric-{}-{count}-{name}", std::process::id()));
        // Whole, because builds run in other folders than this program does.
        let folder = std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::create_dir(&folder))
            .and_then(|()| folder.canonicalize())
            .map_err(|error| format!("no scratch folder in {}: {error}", parent.display()))?;
        Ok(Scratch(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The files of `top` that its version control knows or would take, in `to`; without version
/// control, all but what builds leave behind.
///
/// # Errors
/// When they cannot be read or are more than a service's sources.
pub(crate) fn copy(top: &Path, to: &Path, limits: &Limits) -> Result<(), String> {
    let listed = Step::new("git", &["ls-files", "-z", "-co", "--exclude-standard"], top);
    let files: Vec<PathBuf> = match listed.output(limits) {
        Ok(ran) => ran.out.split('\0').filter(|name| !name.is_empty()).map(Into::into).collect(),
        Err(_) => {
            let mut files = Vec::new();
            walk(top, Path::new(""), &mut files)?;
            files
        }
    };
    let mut bytes = 0;
    for file in files {
        let from = top.join(&file);
        // What was deleted and not yet committed, and links to folders.
        let Ok(metadata) = std::fs::metadata(&from) else { continue };
        if !metadata.is_file() {
            continue;
        }
        bytes += metadata.len();
        if bytes > COPY_BYTES_MAX {
            return Err(format!("the sources are more than {} MiB", COPY_BYTES_MAX >> 20));
        }
        let place = to.join(&file);
        let copied = place
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::copy(&from, &place));
        copied.map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn walk(top: &Path, under: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(top.join(under)).map_err(|error| error.to_string())?;
    for entry in entries.flatten() {
        let place = under.join(entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !LEFT_OUT.iter().any(|name| place.ends_with(name)) {
            walk(top, &place, files)?;
        } else if kind.is_file() {
            files.push(place);
        }
    }
    files.sort();
    Ok(())
}

/// The folder of version control above `folder`, or `root`: what a build may reach.
pub(crate) fn top(folder: &Path, root: &Path, limits: &Limits) -> PathBuf {
    Step::new("git", &["rev-parse", "--show-toplevel"], folder)
        .output(limits)
        .ok()
        .and_then(|ran| PathBuf::from(ran.out.trim()).canonicalize().ok())
        .filter(|top| root.starts_with(top))
        .unwrap_or_else(|| root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_has_its_whole_path_and_is_gone_afterwards() {
        // Relative to this crate's folder, where tests run.
        let scratch = Scratch::new(Path::new("../../target/tmp"), "whole").unwrap();
        let path = scratch.path().to_owned();
        assert!(path.is_absolute() && path.is_dir(), "{}", path.display());
        drop(scratch);
        assert!(!path.exists());
    }
}
