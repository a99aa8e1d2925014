//! The only place of this crate that opens a file.
//!
//! Every read is bounded before it begins, also where a file grows meanwhile or is no file. What
//! is written is for its owner alone and lies under its name whole or not at all.
//!
//! Not here: what stands in the files.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Entries of a folder that are looked at.
const ENTRIES_MAX: usize = 10_000;
/// Bytes of one .proto file.
const PROTO_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of all .proto files of a contract.
const PROTOS_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Folders in folders of .proto files.
const FOLDERS_DEPTH_MAX: usize = 16;

/// What a read can come to beside its content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileFault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("larger than {0} bytes")]
    TooLarge(u64),
    #[error("`{0}` is larger than {1} bytes")]
    FileTooLarge(String, u64),
    #[error("folders nest deeper than {0}")]
    TooDeep(usize),
    #[error("there is no .proto file")]
    NoProto,
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

/// Where systems keep the root certificates that they trust: Debian, Fedora, Alpine and openSUSE,
/// the BSDs.
const ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const ROOTS_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The root certificates that this machine trusts; `None` where it has none that can be read.
pub(crate) fn system_roots() -> Option<Vec<CertificateDer<'static>>> {
    let pem = ROOTS.iter().find_map(|path| read(Path::new(path), ROOTS_BYTES_MAX).ok())?;
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    (!roots.is_empty()).then_some(roots)
}

/// As [`read`], for a file that must lie below `folder` when all links are followed.
pub(crate) fn read_below(
    folder: &Path,
    relative: &Path,
    bytes_max: u64,
) -> Result<Vec<u8>, FileFault> {
    read(&inside(folder, relative)?, bytes_max)
}

/// Where `relative` leads, which must be below `folder`.
fn inside(folder: &Path, relative: &Path) -> Result<PathBuf, FileFault> {
    let folder = folder.canonicalize()?;
    let path = folder.join(relative).canonicalize()?;
    if path.starts_with(&folder) {
        return Ok(path);
    }
    let error = io::Error::new(io::ErrorKind::PermissionDenied, "a link leads out of the folder");
    Err(error.into())
}

/// The .proto files at `relative`, which must lie below `folder` when all links are followed: that
/// file, or all in that folder and the folders in it, hidden ones left out. Each with its name
/// from there, as imports name it, and its bytes.
pub(crate) fn protos(folder: &Path, relative: &Path) -> Result<Vec<(String, Vec<u8>)>, FileFault> {
    let start = folder.join(relative);
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    if std::fs::metadata(&start)?.is_dir() {
        let mut todo = vec![(String::new(), relative.to_owned(), 0)];
        let mut entries = 0;
        while let Some((prefix, path, depth)) = todo.pop() {
            for entry in std::fs::read_dir(inside(folder, &path)?)? {
                entries += 1;
                if entries > ENTRIES_MAX {
                    return Err(FileFault::TooLarge(ENTRIES_MAX as u64));
                }
                let name = entry?.file_name();
                let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                    continue;
                };
                let (full_name, path) = (format!("{prefix}{name}"), path.join(name));
                if std::fs::metadata(folder.join(&path))?.is_dir() {
                    if depth == FOLDERS_DEPTH_MAX {
                        return Err(FileFault::TooDeep(FOLDERS_DEPTH_MAX));
                    }
                    todo.push((full_name + "/", path, depth + 1));
                } else if name.ends_with(".proto") {
                    found.push((full_name, path));
                }
            }
        }
    } else if let Some(name) = relative.file_name().and_then(|name| name.to_str()) {
        found.push((name.to_owned(), relative.to_owned()));
    }
    found.sort();
    if found.is_empty() {
        return Err(FileFault::NoProto);
    }
    let mut left = PROTOS_BYTES_MAX;
    let mut files = Vec::with_capacity(found.len());
    for (name, path) in found {
        let bytes = match read_below(folder, &path, left.min(PROTO_BYTES_MAX)) {
            Err(FileFault::TooLarge(PROTO_BYTES_MAX)) => {
                return Err(FileFault::FileTooLarge(name, PROTO_BYTES_MAX));
            }
            Err(FileFault::TooLarge(_)) => return Err(FileFault::TooLarge(PROTOS_BYTES_MAX)),
            read => read?,
        };
        left -= bytes.len() as u64;
        files.push((name, bytes));
    }
    Ok(files)
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

/// Makes a folder for its owner alone, and those above it; nothing where it is there.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    sync_folder_of(path)
}

/// The file, locked for this process; `None` where another has it. The lock is free when the
/// file is closed, also by a crash.
pub(crate) fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = owners().create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A new, empty file in the place of whatever stood there.
pub(crate) fn create_anew(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => owners().create_new(true).open(path),
    }
}

/// A regular file that is there, for reading and writing.
pub(crate) fn open_for_writing(path: &Path) -> Result<File, FileFault> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file").into());
    }
    Ok(OpenOptions::new().read(true).write(true).open(path)?)
}

/// Gives a finished file its name, and makes that safe.
pub(crate) fn put_in_place(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_folder_of(to)
}

/// Writes a whole file: aside, made safe, then put in its place.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("part");
    let written = create_anew(&aside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| put_in_place(&aside, path));
    if written.is_err() {
        // A full disk must not keep half a file either.
        let _ = std::fs::remove_file(&aside);
    }
    written
}

/// The names of a folder's entries, in order; none where there is no folder.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries.take(ENTRIES_MAX) {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

fn owners() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// A name is safe when its folder is.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if folder != Path::new("") => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
