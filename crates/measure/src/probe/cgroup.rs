//! Cgroups: found by path or by what they are called, and what they count.
//!
//! Of version 2 and 1 alike; on a machine with both, a service is in one cgroup of each hierarchy,
//! and each is asked for what only it counts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup_text::{self, CpuStat, Membership, Mount};
use super::processes::MEMBERS_MOST;
use super::source::CpuSource;
use super::system::System;

/// One cgroup in each hierarchy that has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Groups {
    v2: Option<PathBuf>,
    cpu_v1: Option<PathBuf>,
    memory_v1: Option<PathBuf>,
}

/// Cgroups that are looked at in a search, and how deep it goes.
const FOLDERS_MOST: usize = 20_000;
const DEPTH_MOST: usize = 16;

impl Groups {
    /// By the path below the root of a hierarchy, or the whole path.
    pub(super) fn at(system: &System, path: &Path) -> Option<Groups> {
        let below = system.mounts().iter().find_map(|mount| path.strip_prefix(&mount.at).ok());
        let below = match below {
            Some(below) => below.to_owned(),
            None => path.strip_prefix("/").unwrap_or(path).to_owned(),
        };
        // The root of a hierarchy is the whole machine and no implementation.
        let named = !below.as_os_str().is_empty();
        named.then(|| Groups::below(system, &below)).filter(Groups::is_any)
    }

    /// The path below each mount, where it is.
    fn below(system: &System, below: &Path) -> Groups {
        let mut groups = Groups::default();
        for mount in system.mounts() {
            let folder = mount.at.join(below);
            if system.inode(&folder).is_some() {
                groups.put(mount, folder);
            }
        }
        groups
    }

    fn put(&mut self, mount: &Mount, folder: PathBuf) {
        match &mount.controllers {
            None => self.v2 = Some(folder),
            Some(names) => {
                let has = |name| names.iter().any(|each| each == name);
                if has("cpuacct") {
                    self.cpu_v1 = Some(folder.clone());
                }
                if has("memory") {
                    self.memory_v1 = Some(folder);
                }
            }
        }
    }

    fn is_any(&self) -> bool {
        self.folders().next().is_some()
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        [&self.v2, &self.cpu_v1, &self.memory_v1].into_iter().flatten().map(PathBuf::as_path)
    }

    /// Those whose last name `matches`, by their paths below the roots. What lies in one that
    /// matches is not looked at.
    pub(super) fn named(system: &System, matches: impl Fn(&str) -> bool) -> Vec<Groups> {
        let mut paths = BTreeSet::new();
        let mut left = FOLDERS_MOST;
        for mount in system.mounts() {
            let wanted = match &mount.controllers {
                None => true,
                Some(names) => names.iter().any(|name| name == "cpuacct" || name == "memory"),
            };
            let mut next = match wanted {
                true => vec![(mount.at.clone(), 0)],
                false => Vec::new(),
            };
            while let Some((folder, depth)) = next.pop() {
                for inner in system.folders(&folder) {
                    left = left.saturating_sub(1);
                    let name = inner.file_name().and_then(|name| name.to_str());
                    if name.is_some_and(&matches) {
                        paths.extend(inner.strip_prefix(&mount.at).map(Path::to_owned));
                    } else if depth < DEPTH_MOST && left > 0 {
                        next.push((inner, depth + 1));
                    }
                }
            }
        }
        paths.iter().map(|path| Groups::below(system, path)).collect()
    }

    /// The cgroup of version 2 that a process is in.
    pub(super) fn of_process(system: &System, pid: u32) -> Option<Groups> {
        let text = system.of_process(pid, "cgroup").ok()?;
        let of = cgroup_text::memberships(&text).into_iter();
        let path = of.filter(|of| of.controllers.is_none()).map(|of| of.path).next()?;
        Groups::at(system, &path)
    }

    /// Which cgroup this is: one that was made again under the same path is another.
    pub(super) fn inode(&self, system: &System) -> Option<u64> {
        self.folders().next().and_then(|folder| system.inode(folder))
    }

    /// The processes in it and below it.
    pub(super) fn pids(&self, system: &System) -> BTreeSet<u32> {
        let mut pids = BTreeSet::new();
        let mut left = FOLDERS_MOST;
        let mut next: Vec<(PathBuf, usize)> =
            self.folders().next().map(|folder| (folder.to_owned(), 0)).into_iter().collect();
        while let Some((folder, depth)) = next.pop() {
            if let Ok(text) = system.text(&folder.join("cgroup.procs")) {
                pids.extend(cgroup_text::pids(&text));
            }
            left = left.saturating_sub(1);
            if pids.len() >= MEMBERS_MOST || left == 0 {
                break;
            }
            if depth < DEPTH_MOST {
                next.extend(system.folders(&folder).into_iter().map(|inner| (inner, depth + 1)));
            }
        }
        pids
    }

    pub(super) fn cpu(&self, system: &System) -> Option<(CpuSource, Duration)> {
        if let Some(CpuStat { usage, throttled: _ }) = self.cpu_stat(system) {
            return Some((CpuSource::CgroupV2, usage));
        }
        let text = system.text(&self.cpu_v1.as_ref()?.join("cpuacct.usage")).ok()?;
        Some((CpuSource::CgroupV1, Duration::from_nanos(cgroup_text::number(&text)?)))
    }

    fn cpu_stat(&self, system: &System) -> Option<CpuStat> {
        cgroup_text::cpu_stat(&system.text(&self.v2.as_ref()?.join("cpu.stat")).ok()?)
    }

    pub(super) fn throttled(&self, system: &System) -> Option<u64> {
        self.cpu_stat(system)?.throttled
    }

    pub(super) fn pressure(&self, system: &System) -> Option<Duration> {
        cgroup_text::pressure(&system.text(&self.v2.as_ref()?.join("cpu.pressure")).ok()?)
    }

    /// Anonymous memory, where the controller is on.
    pub(super) fn anonymous(&self, system: &System) -> Option<u64> {
        let folders = [&self.v2, &self.memory_v1].into_iter().flatten();
        let mut texts = folders.filter_map(|folder| system.text(&folder.join("memory.stat")).ok());
        texts.find_map(|text| cgroup_text::anonymous(&text))
    }

    pub(super) fn v2(&self) -> Option<&Path> {
        self.v2.as_deref()
    }
}

/// The cores that the cgroup of a process allows by itself, and the least on the way to the root.
pub(super) fn quota(system: &System, pid: u32) -> (Option<f64>, Option<f64>) {
    let Ok(text) = system.of_process(pid, "cgroup") else { return (None, None) };
    let mut own = None;
    let mut tightest: Option<f64> = None;
    for Membership { controllers, path } in cgroup_text::memberships(&text) {
        let with_cpu = |names: &Vec<String>| names.iter().any(|name| name == "cpu");
        if !controllers.as_ref().is_none_or(with_cpu) {
            continue;
        }
        let same = |mount: &&Mount| match (&controllers, &mount.controllers) {
            (None, None) => true,
            (Some(_), Some(names)) => with_cpu(names),
            (None, Some(_)) | (Some(_), None) => false,
        };
        let Some(mount) = system.mounts().iter().find(same) else { continue };
        let below = path.strip_prefix(&mount.root).unwrap_or(&path);
        let below = below.strip_prefix("/").unwrap_or(below);
        for (above, folder) in below.ancestors().take(DEPTH_MOST).enumerate() {
            let Some(limit) = limit(system, &mount.at.join(folder)) else { continue };
            if above == 0 {
                own = Some(limit);
            }
            tightest = Some(tightest.map_or(limit, |tightest| tightest.min(limit)));
        }
    }
    (own, tightest)
}

fn limit(system: &System, folder: &Path) -> Option<f64> {
    if let Ok(text) = system.text(&folder.join("cpu.max")) {
        return cgroup_text::quota(&text);
    }
    let text = |file| system.text(&folder.join(file)).ok();
    // -1 where there is no limit, which is no number here.
    let quota = cgroup_text::number(&text("cpu.cfs_quota_us")?)?;
    let period = cgroup_text::number(&text("cpu.cfs_period_us")?)?;
    cgroup_text::quota(&format!("{quota} {period}"))
}

/// Whether a folder is that of the container whose id begins with `prefix`.
///
/// Runtimes call it by the id alone or `docker-ID.scope`, `cri-containerd-ID.scope`,
/// `libpod-ID.scope`; `…-conmon-…` is the keeper of one, not the container.
pub(super) fn is_container(name: &str, prefix: &str) -> bool {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (by, id) = name.rsplit_once('-').unwrap_or(("", name));
    let whole = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole && id.starts_with(prefix) && !by.ends_with("conmon")
}

/// Whether a folder is that of the pod: `podUID`, or `kubepods-…-podUID.slice` with `_` for `-`.
pub(super) fn is_pod(name: &str, uid: &str) -> bool {
    let name = name.strip_suffix(".slice").unwrap_or(name);
    let Some(at) = name.rfind("pod") else { return false };
    let begins = at == 0 || name.as_bytes()[at - 1] == b'-';
    begins && name[at + 3..].replace('_', "-") == uid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_known_by_the_beginning_of_its_id() {
        let id = "0123abcd".repeat(8);
        for (name, expected) in [
            (id.clone(), true),
            (format!("docker-{id}.scope"), true),
            (format!("cri-containerd-{id}.scope"), true),
            (format!("libpod-{id}.scope"), true),
            (format!("libpod-conmon-{id}.scope"), false),
            (format!("docker-{}.scope", "f".repeat(64)), false),
            ("0123abcd".to_owned(), false),
            (format!("{id}0"), false),
            (String::new(), false),
            ("é".repeat(32), false),
        ] {
            assert_eq!(is_container(&name, "0123abcd"), expected, "{name}");
        }
    }

    #[test]
    fn a_pod_is_known_by_its_uid_in_both_spellings() {
        let uid = "7f1c2f6e-1a2b-4c3d-8e9f-001122334455";
        for (name, expected) in [
            (format!("pod{uid}"), true),
            (format!("kubepods-burstable-pod{}.slice", uid.replace('-', "_")), true),
            (format!("kubepods-pod{}.slice", uid.replace('-', "_")), true),
            (format!("xpod{uid}"), false),
            ("kubepods-burstable.slice".to_owned(), false),
            ("pod".to_owned(), false),
            ("épod".to_owned(), false),
        ] {
            assert_eq!(is_pod(&name, uid), expected, "{name}");
        }
    }
}
