//! The one place of the probes that opens files and asks for clocks.
//!
//! Every reading is bounded: what a service, or the machine, makes long is cut, and the parsers
//! refuse what is cut.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::cgroup_text::{self, Mount};

/// A machine as it is to be seen below one `/proc`.
#[derive(Debug, Clone)]
pub(super) struct System {
    proc: PathBuf,
    mounts: Vec<Mount>,
}

/// Of most files; `smaps_rollup`, the longest of them, has 2 KiB.
const TEXT_BYTES_MOST: u64 = 256 << 10;
/// Of tables of sockets and of mounts, which grow with the machine.
const TABLE_BYTES_MOST: u64 = 32 << 20;
/// Entries of a folder; Linux has no more pids.
const ENTRIES_MOST: usize = 4_194_304;

impl System {
    pub(super) fn real() -> System {
        System::at(Path::new("/proc"))
    }

    /// Another `/proc`, for tests.
    pub(super) fn at(proc: &Path) -> System {
        let mounts = text(&proc.join("self/mountinfo"), TABLE_BYTES_MOST).unwrap_or_default();
        System { proc: proc.to_owned(), mounts: cgroup_text::mounts(&mounts) }
    }

    pub(super) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// `/proc/PID/FILE`.
    pub(super) fn of_process(&self, pid: u32, file: &str) -> io::Result<String> {
        text(&self.process(pid).join(file), TEXT_BYTES_MOST)
    }

    /// A table of the whole machine, such as `net/tcp`.
    pub(super) fn table(&self, file: &str) -> io::Result<String> {
        text(&self.proc.join(file), TABLE_BYTES_MOST)
    }

    pub(super) fn text(&self, path: &Path) -> io::Result<String> {
        text(path, TEXT_BYTES_MOST)
    }

    /// The pids that are there now.
    pub(super) fn pids(&self) -> Vec<u32> {
        numbers(&self.proc)
    }

    pub(super) fn threads(&self, pid: u32) -> Vec<u32> {
        numbers(&self.process(pid).join("task"))
    }

    /// What the descriptors of a process point at; none where that may not be seen.
    pub(super) fn descriptors(&self, pid: u32) -> impl Iterator<Item = String> {
        let entries = std::fs::read_dir(self.process(pid).join("fd")).into_iter().flatten();
        entries.take(ENTRIES_MOST).filter_map(|entry| {
            let link = std::fs::read_link(entry.ok()?.path()).ok()?;
            Some(link.to_string_lossy().into_owned())
        })
    }

    /// The folders in `folder`.
    pub(super) fn folders(&self, folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut folders: Vec<PathBuf> =
            folders.take(ENTRIES_MOST).map(|entry| entry.path()).collect();
        folders.sort();
        folders
    }

    /// What a folder is called by the kernel: another one of the same name has another number.
    pub(super) fn inode(&self, folder: &Path) -> Option<u64> {
        std::fs::metadata(folder).ok().filter(|found| found.is_dir()).map(|found| found.ino())
    }

    /// CPU of all threads of a process, dead ones too, by its clock.
    pub(super) fn clock(&self, pid: u32) -> Option<Duration> {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?);
        let read = clock_getcpuclockid(pid).and_then(clock_gettime).ok()?;
        let seconds = u64::try_from(read.tv_sec()).ok()?;
        Some(Duration::new(seconds, u32::try_from(read.tv_nsec()).ok()?))
    }

    /// Takes the mark of the highest resident size of a process back to what is resident.
    pub(super) fn clear_high_water(&self, pid: u32) -> io::Result<()> {
        write(&self.process(pid).join("clear_refs"), "5")
    }

    /// A mark of the highest use that begins here, if the kernel keeps one for each reader.
    pub(super) fn peak(&self, cgroup: &Path) -> io::Result<Peak> {
        let mut file =
            OpenOptions::new().read(true).write(true).open(cgroup.join("memory.peak"))?;
        file.write_all(b"reset")?;
        Ok(Peak(file))
    }

    pub(super) fn make_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir(folder)
    }

    /// Only ever an empty cgroup: the kernel keeps one in which something runs.
    pub(super) fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::remove_dir(folder)
    }

    /// Whether processes may be moved into a cgroup.
    pub(super) fn may_join(&self, cgroup: &Path) -> bool {
        OpenOptions::new().write(true).open(cgroup.join("cgroup.procs")).is_ok()
    }

    fn process(&self, pid: u32) -> PathBuf {
        self.proc.join(pid.to_string())
    }
}

/// `memory.peak`, opened by one reader; since Linux 6.12 each has a mark of its own.
#[derive(Debug)]
pub(super) struct Peak(File);

impl Peak {
    pub(super) fn read(&mut self) -> Option<u64> {
        let mut text = String::new();
        self.0.seek(SeekFrom::Start(0)).ok()?;
        (&self.0).take(TEXT_BYTES_MOST).read_to_string(&mut text).ok()?;
        cgroup_text::number(&text)
    }
}

fn text(path: &Path, bytes_most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_most).read_to_end(&mut bytes)?;
    // Names of programs are any bytes.
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

fn numbers(folder: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    entries.take(ENTRIES_MOST).filter_map(number).collect()
}
