//! Ctrl-C: SIGINT is blocked and read from a descriptor, so nothing is cut off in its middle.
//!
//! The server inherits the mask: the Ctrl-C that a terminal sends to both does not end it before
//! the measurement has been wound up.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// How often a pause looks for a signal.
const GLANCE: Duration = Duration::from_millis(20);

/// Whether the user has had enough.
pub(crate) struct Interrupt {
    signals: SignalFd,
    seen: Cell<bool>,
}

impl Interrupt {
    /// Takes SIGINT over. Threads and processes that are started later inherit this.
    pub(crate) fn new() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGINT);
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self { signals: SignalFd::with_flags(&set, flags)?, seen: Cell::new(false) })
    }

    /// Whether SIGINT has come. From then on another one ends the process as usual.
    pub(crate) fn seen(&self) -> bool {
        if !self.seen.get() && matches!(self.signals.read_signal(), Ok(Some(_))) {
            self.seen.set(true);
            let mut set = SigSet::empty();
            set.add(Signal::SIGINT);
            let _ = set.thread_unblock();
        }
        self.seen.get()
    }

    /// Sleeps for `duration`, or until SIGINT comes: then it returns false.
    pub(crate) async fn pause(&self, duration: Duration) -> bool {
        let end = Instant::now() + duration;
        while !self.seen() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            ringloop::time::sleep(left.min(GLANCE)).await;
        }
        false
    }
}
