//! When a run is warming up, measured, or over; and what it has shown.

use std::io;
use std::time::{Duration, Instant};

use nix::unistd::getpid;

use crate::account::{Moment, Spent};
use crate::child::Target;
use crate::histogram::Histogram;

/// The longest silence before a run has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a run goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// Measured for `window`, after caches, allocators and congestion windows have settled.
    Time { warm_up: Duration, window: Duration },
    /// Not measured: about so many requests.
    Requests(u64),
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    WarmUp,
    Measured,
    /// What is under way comes in; nothing new leaves.
    Drain,
}

/// What the measured window has shown.
#[derive(Clone)]
pub(crate) struct Window {
    /// By the server.
    pub(crate) spent: Spent,
    /// By the load generator.
    pub(crate) own: Spent,
    pub(crate) requests: u64,
    pub(crate) latency: Histogram,
    /// The share of time that the load generator did not spend asking in vain: near 1 it is the
    /// load generator that was measured.
    pub(crate) busy: f64,
}

/// A run's counts.
pub(crate) struct Meter {
    server: Target,
    until: Until,
    phase: Phase,
    begin: Instant,
    /// When the last answer came.
    heard: Instant,
    completed: u64,
    asked: Duration,
    latency: Histogram,
    mark: Option<Mark>,
    window: Option<Window>,
}

/// Where the measured window began.
struct Mark {
    moment: Moment,
    own: Moment,
    completed: u64,
    asked: Duration,
}

impl Meter {
    pub(crate) fn new(server: Target, until: Until) -> Self {
        let now = Instant::now();
        Self {
            server,
            until,
            phase: Phase::WarmUp,
            begin: now,
            heard: now,
            completed: 0,
            asked: Duration::ZERO,
            latency: Histogram::new(),
            mark: None,
            window: None,
        }
    }

    /// The load generator has asked, from `from` to `now`, what has come.
    pub(crate) fn asked(&mut self, from: Instant, now: Instant) -> io::Result<Phase> {
        self.asked += now - from;
        match (self.until, self.phase) {
            (_, Phase::Drain) => {}
            (Until::Requests(number), _) => {
                if self.completed >= number {
                    self.phase = Phase::Drain;
                }
            }
            (Until::Time { warm_up, .. }, Phase::WarmUp) => {
                if now - self.begin >= warm_up {
                    self.open()?;
                }
            }
            (Until::Time { window, .. }, Phase::Measured) => {
                if self.mark.as_ref().is_none_or(|mark| now - mark.moment.at >= window) {
                    self.close()?;
                }
            }
        }
        if now.saturating_duration_since(self.heard) > PATIENCE {
            let silence = format!("no answer has come for {} s", PATIENCE.as_secs());
            return Err(io::Error::other(silence));
        }
        Ok(self.phase)
    }

    /// An answer is complete, and all its bytes are right.
    pub(crate) fn answered(&mut self, sent: Instant, now: Instant) {
        self.completed += 1;
        self.heard = now;
        if self.phase == Phase::Measured {
            self.latency.record(now.saturating_duration_since(sent));
        }
    }

    /// Requests of the whole run, and what its window has shown if it had one.
    pub(crate) fn finish(self) -> (u64, Option<Window>) {
        (self.completed, self.window)
    }

    fn open(&mut self) -> io::Result<()> {
        let own = Moment::now(getpid())?;
        let moment = Moment::now(self.server.pid)?;
        self.mark = Some(Mark { moment, own, completed: self.completed, asked: self.asked });
        self.phase = Phase::Measured;
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.phase = Phase::Drain;
        let Some(mark) = self.mark.take() else { return Ok(()) };
        let spent = mark.moment.spent(self.server.pid)?;
        self.window = Some(Window {
            spent,
            own: mark.own.spent(getpid())?,
            requests: self.completed - mark.completed,
            latency: std::mem::replace(&mut self.latency, Histogram::new()),
            busy: 1.0 - (self.asked - mark.asked).as_secs_f64() / spent.took.as_secs_f64(),
        });
        Ok(())
    }
}
