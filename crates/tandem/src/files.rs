//! Files of the person, written whole or not at all.
//!
//! Each is written aside, brought to the disk and then put in its place. What fails before the last
//! step, as a full disk does, leaves everything as it was; what fails in it takes new files away
//! again and names those that were replaced.
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
    for (position, (aside, new)) in aside.iter().zip(all).enumerate() {
        let Err(error) = aside.place(new) else { continue };
        let placed = &all[..position];
        for made in placed.iter().filter(|made| made.over == Over::Keep) {
            // It was not there before; that it cannot go is no more to be told than this failure.
            let _ = fs::remove_file(&made.path);
        }
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Err(is_there(&[new.path.display().to_string()]));
        }
        let replaced: Vec<String> = placed
            .iter()
            .filter(|made| made.over == Over::Replace)
            .map(|made| made.path.display().to_string())
            .collect();
        let failure = not_written(&new.path, &error);
        return Err(match replaced.is_empty() {
            true => failure,
            false => failure.because(format!("{error}; replaced already: {}", replaced.join(", "))),
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_files_go_again_where_one_of_them_cannot_be_placed() {
        let folder = std::env::temp_dir().join(format!("tandem-files-{}", std::process::id()));
        // A folder stands where the last file should be; what replaces cannot replace it.
        fs::create_dir_all(folder.join("last/inside")).unwrap();
        let new = |name: &str, over| New { path: folder.join(name), bytes: b"x".to_vec(), over };
        let failure = write(&[new("first", Over::Keep), new("last", Over::Replace)]).unwrap_err();
        assert_eq!(failure.code, Some(Tnd::NotWritten));
        assert!(failure.why.unwrap().contains("nothing was changed"));
        let left: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left, ["last"]);

        let all = [new("one", Over::Replace), new("last", Over::Replace)];
        let failure = write(&all).unwrap_err();
        assert!(failure.why.unwrap().contains("replaced already: "));
        fs::remove_dir_all(&folder).unwrap();
    }
}
