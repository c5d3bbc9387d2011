//! What the server has at a moment, as numbers with names.

use std::fs;

/// The names, in the order of the numbers.
const NAMES: [&str; 22] = [
    "descriptors",
    "slots",
    "tasks",
    "timers",
    "leased bytes",
    "unsent",
    "strays",
    "faults",
    "threads",
    "rss KiB",
    "heap KiB",
    "turns",
    "polls",
    "syscalls",
    "completions",
    "connections",
    "bytes",
    "cancels",
    "timers set",
    "file ops",
    "dials",
    "foreign spawns",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Books(pub(crate) [u64; NAMES.len()]);

pub(crate) const DESCRIPTORS: usize = 0;
pub(crate) const SLOTS: usize = 1;
pub(crate) const TASKS: usize = 2;
/// The first so many must be exactly what they were.
pub(crate) const EXACT: usize = 8;
pub(crate) const THREADS: usize = 8;
pub(crate) const RSS: usize = 9;
pub(crate) const HEAP: usize = 10;
pub(crate) const TURNS: usize = 11;
pub(crate) const SYSCALLS: usize = 13;
pub(crate) const BYTES: usize = 16;
pub(crate) const CANCELS: usize = 17;

impl Books {
    pub(crate) fn name(at: usize) -> &'static str {
        NAMES[at]
    }

    /// What must be there besides when so many connections are open and idle.
    pub(crate) fn with_idle(mut self, connections: usize) -> Self {
        for at in [DESCRIPTORS, SLOTS, TASKS] {
            self.0[at] += connections as u64;
        }
        self
    }

    /// What is not as it should be, of what must be exact.
    pub(crate) fn differences(&self, wanted: &Self) -> Vec<String> {
        let differs = |at: &usize| self.0[*at] != wanted.0[*at];
        let text = |at| format!("{} are {}, not {}", NAMES[at], self.0[at], wanted.0[at]);
        (0..EXACT).filter(differs).map(text).collect()
    }

    pub(crate) fn line(&self) -> String {
        self.0.map(|number| number.to_string()).join(" ")
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> =
            line.split_whitespace().map(|word| word.parse().ok()).collect();
        Some(Self(numbers?.try_into().ok()?))
    }
}

pub(crate) fn descriptors() -> u64 {
    let found = fs::read_dir("/proc/self/fd").map(Iterator::count);
    // The one that reads the list is in it.
    found.map_or(0, |count| count as u64 - 1)
}

/// The threads of this process. Those of the kernel's io_uring workers are not counted: it keeps one of
/// each kind for as long as the ring lives.
pub(crate) fn threads() -> u64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return 0 };
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| !name.starts_with("iou-wrk")).count() as u64
}

/// KiB of this process that are in memory, counted by the kernel page by page.
pub(crate) fn rss() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
