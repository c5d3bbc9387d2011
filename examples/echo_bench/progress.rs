//! A progress bar on stderr, when that is a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// Characters in the bar.
const WIDTH: usize = 24;

/// The bar. Dropping it wipes the line.
pub(crate) struct Progress {
    shown: bool,
    done: usize,
    total: usize,
    step: Duration,
}

impl Progress {
    /// A bar for `total` steps that take about `step` each.
    pub(crate) fn new(total: usize, step: Duration) -> Self {
        Self { shown: io::stderr().is_terminal(), done: 0, total, step }
    }

    /// Says what is being done now.
    pub(crate) fn say(&self, what: &str) {
        if self.shown {
            let full = WIDTH * self.done / self.total.max(1);
            let bar = format!("{}{}", "█".repeat(full), "·".repeat(WIDTH - full));
            let left = self.step * (self.total - self.done) as u32;
            let _ = write!(io::stderr(), "\r\x1b[K{bar} {what}, {} s left", left.as_secs());
        }
    }

    /// Makes room for a line of the report.
    pub(crate) fn wipe(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    /// One step is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.wipe();
    }
}
