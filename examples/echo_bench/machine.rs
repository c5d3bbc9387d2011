//! What the machine offers: CPUs, open files, and its name for the report.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// Where the two sides run.
#[derive(Clone, Copy)]
pub(crate) struct Cpus {
    pub(crate) server: usize,
    pub(crate) load: usize,
}

impl Cpus {
    /// The server gets the first CPU that this process may use, the load generator the next one,
    /// on another core where there is one.
    pub(crate) fn choose() -> Self {
        let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
        let allowed: Vec<usize> =
            (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect();
        let server = allowed.first().copied().unwrap_or(0);
        let core = siblings(server);
        let load = allowed.iter().find(|cpu| !core.contains(cpu)).or_else(|| allowed.get(1));
        Self { server, load: load.copied().unwrap_or(server) }
    }

    /// Whether both share one CPU.
    pub(crate) fn shared(self) -> bool {
        self.server == self.load
    }
}

/// The CPUs on the core of `cpu`, itself included.
fn siblings(cpu: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let list = fs::read_to_string(path).unwrap_or_default();
    list.trim()
        .split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
        })
        .flatten()
        .collect()
}

/// Raises the limit of open files as far as it goes, and tells it. Children inherit it.
pub(crate) fn raise_open_files() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let limit = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// One line about the machine.
pub(crate) fn describe() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpus = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    format!("Linux {}, {cpus} × {}", kernel.trim(), model.map_or("unknown CPU", |(_, name)| name))
}
