//! The machine in words, as a report prints it.
//!
//! Everything is read once, from files of the kernel; what is not there is left out. Nothing here
//! names the machine or its user.

use std::path::Path;

use super::pin;

/// What a number was measured on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Machine {
    /// Model of the processor, as it calls itself.
    pub cpu: Option<String>,
    pub cores: usize,
    /// Numbers of the cores that this process may use.
    pub cores_allowed: Vec<usize>,
    pub memory_bytes: Option<u64>,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// `none`, the hypervisor's name, or `yes` where it has none.
    pub virtualisation: String,
    /// Path of this process's cgroup, v2.
    pub cgroup: Option<String>,
    /// Cores that the cgroup allows; `None` without a limit.
    pub cgroup_cores: Option<f64>,
    /// Governor of the first core.
    pub governor: Option<String>,
    /// Mean number of tasks that ran or waited, over a minute.
    pub load: Option<f64>,
}

impl Machine {
    /// This machine, now.
    pub fn read() -> Machine {
        Machine::of(Path::new("/"), pin::allowed().unwrap_or_default())
    }

    /// From the files below `root`.
    fn of(root: &Path, cores_allowed: Vec<usize>) -> Machine {
        let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let line = |path: &str| read(path).map(|text| text.trim().to_owned());
        let cpuinfo = read("proc/cpuinfo").unwrap_or_default();
        let cgroup = read("proc/self/cgroup").as_deref().and_then(cgroup);
        let cgroup_cores = cgroup
            .as_ref()
            .and_then(|path| cgroup_cores(&read(&format!("sys/fs/cgroup{path}/cpu.max"))?));
        Machine {
            cpu: of_cpuinfo(&cpuinfo, "model name").map(str::to_owned),
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            cores_allowed,
            memory_bytes: read("proc/meminfo").as_deref().and_then(memory),
            kernel: line("proc/sys/kernel/osrelease"),
            virtualisation: virtualisation(
                of_cpuinfo(&cpuinfo, "flags").unwrap_or_default(),
                line("sys/hypervisor/type").or_else(|| line("sys/class/dmi/id/sys_vendor")),
            ),
            cgroup,
            cgroup_cores,
            governor: line("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            load: read("proc/loadavg").as_deref().and_then(load),
        }
    }
}

fn of_cpuinfo<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// The hypervisor tells the kernel, which tells by a flag; who it is may be told apart.
fn virtualisation(flags: &str, vendor: Option<String>) -> String {
    if !flags.split_ascii_whitespace().any(|flag| flag == "hypervisor") {
        return "none".to_owned();
    }
    vendor.filter(|vendor| !vendor.is_empty()).unwrap_or_else(|| "yes".to_owned())
}

fn memory(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}

fn cgroup(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix("0::")).map(|path| path.trim().to_owned())
}

/// `cpu.max`: quota and period in microseconds, or `max`.
fn cgroup_cores(text: &str) -> Option<f64> {
    let mut parts = text.split_ascii_whitespace().map(str::parse::<f64>);
    let (quota, period) = (parts.next()?.ok()?, parts.next()?.ok()?);
    (period > 0.0).then(|| quota / period)
}

fn load(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_from_what_its_kernel_says() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Fast CPU @ 2 GHz\nflags\t\t: fpu hypervisor\n\
                       \nprocessor\t: 1\nmodel name\t: Fast CPU @ 2 GHz\n";
        assert_eq!(of_cpuinfo(cpuinfo, "model name"), Some("Fast CPU @ 2 GHz"));
        assert_eq!(virtualisation("fpu hypervisor", Some("QEMU".into())), "QEMU");
        assert_eq!(virtualisation("fpu hypervisor", None), "yes");
        assert_eq!(virtualisation("fpu", Some("Vendor".into())), "none");
        assert_eq!(memory("MemTotal:       1024 kB\nMemFree: 1 kB\n"), Some(1_048_576));
        assert_eq!(cgroup("1:cpu:/old\n0::/a/b\n").as_deref(), Some("/a/b"));
        assert_eq!(load("0.25 0.50 0.75 1/200 999\n"), Some(0.25));
    }

    #[test]
    fn a_cgroup_limits_the_cores_where_it_says_so() {
        for (text, expected) in [
            ("150000 100000\n", Some(1.5)),
            ("max 100000\n", None),
            ("150000 0\n", None),
            ("", None),
        ] {
            assert_eq!(cgroup_cores(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_machine_that_says_nothing_is_described_by_what_is_known() {
        let machine = Machine::of(Path::new("/nowhere"), vec![0, 1]);
        let expected = Machine {
            cores_allowed: vec![0, 1],
            virtualisation: "none".into(),
            ..Machine::default()
        };
        assert_eq!(machine, expected);
        let here = Machine::read();
        assert!(here.kernel.is_some() && !here.cores_allowed.is_empty(), "{here:?}");
    }
}
