//! Files of the person, written whole or not at all.
//!
//! Each is written aside, brought to the disk and then put in its place. Whatever fails before the
//! last step leaves everything as it was.
//!
//! Not here: what stands in them (`draft`).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tandem_config::Tnd;

use crate::failure::{Exit, Failure};

/// A file to be written.
pub(crate) struct New {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) over: Over,
}

/// What becomes of a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// It stays, and nothing is written.
    Keep,
    Replace,
}

/// Writes all of them, with the folders that they need.
///
/// # Errors
/// TND0005 for files that are there and are to stay, TND0006 for what the system refuses.
pub(crate) fn write(all: &[New]) -> Result<(), Failure> {
    let there: Vec<String> = all
        .iter()
        .filter(|new| new.over == Over::Keep && fs::symlink_metadata(&new.path).is_ok())
        .map(|new| new.path.display().to_string())
        .collect();
    if !there.is_empty() {
        return Err(is_there(&there));
    }
    let mut aside: Vec<Aside> = Vec::new();
    for new in all {
        aside.push(Aside::write(new).map_err(|error| not_written(&new.path, &error))?);
    }
    for (aside, new) in aside.iter().zip(all) {
        aside.place(new).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => is_there(&[new.path.display().to_string()]),
            _ => not_written(&new.path, &error),
        })?;
    }
    Ok(())
}

/// Files that would be overwritten unasked.
pub(crate) fn is_there(names: &[String]) -> Failure {
    let verb = if names.len() == 1 { "is" } else { "are" };
    Failure::new(Exit::Failed, format!("{} {verb} there already", names.join(", ")))
        .coded(Tnd::FileIsThere)
        .because("nothing that a person may have written is overwritten unasked")
        .fix("write elsewhere with `--config FOLDER/tandem.yaml`, or overwrite with `--force`")
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{} cannot be written", path.display()))
        .coded(Tnd::NotWritten)
        .because(format!("{error}; nothing was changed"))
        .fix("make room, or name another folder with `--config FOLDER/tandem.yaml`")
}

/// A file beside its place; gone when it is dropped.
struct Aside(PathBuf);

impl Aside {
    fn write(new: &New) -> io::Result<Aside> {
        if let Some(folder) = new.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut name = std::ffi::OsString::from(".");
        name.push(new.path.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        // Made before it is written, so that half of it goes as well.
        let aside = Aside(new.path.with_file_name(name));
        let mut file = File::create(&aside.0)?;
        file.write_all(&new.bytes)?;
        file.sync_all()?;
        Ok(aside)
    }

    fn place(&self, new: &New) -> io::Result<()> {
        if new.over == Over::Replace {
            return fs::rename(&self.0, &new.path);
        }
        // A link is made only where nothing is, whoever came meanwhile; not every file system has
        // links, and there the place is taken by an empty file first.
        match fs::hard_link(&self.0, &new.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                File::create_new(&new.path)?;
                fs::rename(&self.0, &new.path)
            }
            linked => linked,
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Renamed already, or never made: both are well.
        let _ = fs::remove_file(&self.0);
    }
}
