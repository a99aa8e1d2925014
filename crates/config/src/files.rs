//! The only place of this crate that opens a file.
//!
//! Every read is bounded before it begins, also where a file grows meanwhile or is no file.
//!
//! Not here: what stands in the files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Entries of a folder that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// What a read can come to beside its content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileFault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("larger than {0} bytes")]
    TooLarge(u64),
    #[error("not UTF-8 from byte {0}")]
    NotUtf8(usize),
}

/// A regular file of at most `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileFault> {
    // Asked before opening: to open a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file").into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(FileFault::TooLarge(bytes_max));
    }
    Ok(bytes)
}

/// As [`read`], for text; a byte order mark in front is dropped.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String, FileFault> {
    let bytes = read(path, bytes_max)?;
    let mut text = String::from_utf8(bytes)
        .map_err(|error| FileFault::NotUtf8(error.utf8_error().valid_up_to()))?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// As [`read`], for a file that must lie below `folder` when all links are followed.
pub(crate) fn read_below(
    folder: &Path,
    relative: &Path,
    bytes_max: u64,
) -> Result<Vec<u8>, FileFault> {
    let folder = folder.canonicalize()?;
    let path = folder.join(relative).canonicalize()?;
    if !path.starts_with(&folder) {
        let error =
            io::Error::new(io::ErrorKind::PermissionDenied, "a link leads out of the folder");
        return Err(error.into());
    }
    read(&path, bytes_max)
}

/// The documents of a folder by name: `*.yaml`, `*.yml` and `*.json`, hidden files left out.
/// None where the folder does not exist.
pub(crate) fn documents(folder: &Path) -> Result<Vec<PathBuf>, FileFault> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for (number, entry) in entries.enumerate() {
        if number >= ENTRIES_MAX {
            return Err(FileFault::TooLarge(ENTRIES_MAX as u64));
        }
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let document = path.extension().is_some_and(|extension| {
            ["yaml", "yml", "json"].iter().any(|known| extension == *known)
        });
        if document && !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether users beyond owner and group may read it; so it is where nobody can say.
pub(crate) fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).map_or(true, |found| found.permissions().mode() & 0o004 != 0)
}
