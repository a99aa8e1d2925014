//! A command that is started to be measured, in a cgroup of its own where that is allowed.
//!
//! In a cgroup nothing that the command starts can be missed. Whoever compares starts the process;
//! this module says with which command line, and makes the probe of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use super::instance::Instance;
use super::system::System;
use super::{Probe, ProbeError, Target};

/// What was prepared for one command.
#[derive(Debug)]
pub struct Exec {
    system: System,
    cgroup: Option<FreshCgroup>,
}

/// An empty cgroup below our own; the kernel gives it up once nothing runs in it.
#[derive(Debug)]
pub(super) struct FreshCgroup {
    system: System,
    folder: PathBuf,
}

impl FreshCgroup {
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for FreshCgroup {
    fn drop(&mut self) {
        // Whoever still runs in it keeps it; nothing else is lost.
        let _ = self.system.remove_folder(&self.folder);
    }
}

impl Exec {
    /// Makes a cgroup, or does without.
    pub fn prepare() -> Exec {
        let system = System::real();
        let cgroup = fresh(&system);
        Exec { system, cgroup }
    }

    /// As where no cgroup may be made.
    pub fn without_cgroup() -> Exec {
        Exec { system: System::real(), cgroup: None }
    }

    /// The cgroup that was made.
    pub fn folder(&self) -> Option<&Path> {
        self.cgroup.as_ref().map(FreshCgroup::folder)
    }

    /// Whether all that the command starts will be seen, although its parents end.
    pub fn has_cgroup(&self) -> bool {
        self.cgroup.is_some()
    }

    /// `text` as a shell runs it, in place of the shell: the pid of the child is that of the
    /// program, so that a signal reaches it. It moves itself into the cgroup before it becomes the
    /// program, so that nothing is started outside.
    pub fn command(&self, text: &str) -> Command {
        let become_it = if begins_with_a_variable(text) { "exec env" } else { "exec" };
        let mut command = Command::new("sh");
        match &self.cgroup {
            Some(cgroup) => {
                let script = format!("echo $$ >\"$1\"/cgroup.procs; {become_it} {text}");
                command.arg("-c").arg(script).arg("sh").arg(&cgroup.folder);
            }
            None => {
                command.arg("-c").arg(format!("{become_it} {text}"));
            }
        }
        command
    }

    /// The probe of the command that was started as process `pid`.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn probe(self, text: &str, pid: u32) -> Result<Probe, ProbeError> {
        let Exec { system, cgroup } = self;
        let target = Target::Exec(text.to_owned());
        let instance = Instance::started(&system, target, pid, cgroup)?;
        Ok(Probe { system, instances: vec![instance] })
    }
}

fn fresh(system: &System) -> Option<FreshCgroup> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let mount = system.mounts().iter().find(|mount| mount.controllers.is_none())?;
    let own = system.table("self/cgroup").ok()?;
    let own = super::cgroup_text::memberships(&own).into_iter();
    let path = own.filter(|own| own.controllers.is_none()).map(|own| own.path).next()?;
    let below = path.strip_prefix(&mount.root).unwrap_or(&path);
    let below = below.strip_prefix("/").unwrap_or(below);
    let (pid, number) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let folder = mount.at.join(below).join(format!("tandem-compare-{pid}-{number}"));
    system.make_folder(&folder).ok()?;
    let made = FreshCgroup { system: system.clone(), folder };
    system.may_join(&made.folder).then_some(made)
}

/// `GOGC=400 ./svc`, which `exec` alone would take for a program's name.
fn begins_with_a_variable(text: &str) -> bool {
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}
