//! When a driver that need not sleep looks at epoll: a look is a syscall, and there is other work.

use std::time::{Duration, Instant};

/// The waits since the last look.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Waits without a look.
    skipped: u32,
    /// When the third of them was; a loop that alternates between work and sleep reads no clock.
    since: Option<Instant>,
}

impl Look {
    const TURNS: u32 = 61;
    const TIME: Duration = Duration::from_micros(200);

    /// Books a wait that need not sleep: whether it looks all the same.
    pub(super) fn is_due(&mut self) -> bool {
        self.skipped += 1;
        if self.skipped < 3 {
            return false;
        }
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        self.skipped >= Self::TURNS || now.duration_since(since) >= Self::TIME
    }
}
