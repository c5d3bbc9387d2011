//! Ticks at a steady pace.

use std::fmt;
use std::time::{Duration, Instant};

use super::sleep::Sleep;
use super::{now, sleep_until};

/// Ticks every `period`, for the first time at once.
///
/// # Panics
///
/// If `period` is zero, or outside a runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// ringloop::run(async {
///     let mut interval = ringloop::time::interval(Duration::from_millis(1));
///     for _ in 0..3 {
///         interval.tick().await;
///     }
/// });
/// ```
pub fn interval(period: Duration) -> Interval {
    interval_at(now(), period)
}

/// Ticks every `period`, for the first time at `start`.
///
/// # Panics
///
/// If `period` is zero, or outside a runtime.
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period above zero");
    Interval { sleep: sleep_until(start), due: start, period, missed: MissedTickBehavior::Burst }
}

/// What an [`Interval`] does about ticks that nobody awaited in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Makes them up at once, one after the other, until it is back in step.
    #[default]
    Burst,
    /// Counts the period from the late tick on.
    Delay,
    /// Leaves them out and stays in step.
    Skip,
}

/// Ticks at a steady pace; see [`interval`].
pub struct Interval {
    sleep: Sleep,
    due: Instant,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick: the moment at which it was due.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses no tick: the next call waits for the same one.
    pub async fn tick(&mut self) -> Instant {
        (&mut self.sleep).await;
        let due = self.due;
        self.due = self.after(due, self.sleep.now());
        self.sleep.reset(self.due);
        due
    }

    /// Counts anew: the next tick comes one period from now.
    pub fn reset(&mut self) {
        self.due = far(self.sleep.now(), self.period);
        self.sleep.reset(self.due);
    }

    /// Sets what happens to missed ticks; [`Burst`](MissedTickBehavior::Burst) by default.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }

    /// What happens to missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// The tick that follows the one of `due`, which was awaited at `now`.
    fn after(&self, due: Instant, now: Instant) -> Instant {
        let next = far(due, self.period);
        if now < next {
            return next;
        }
        match self.missed {
            MissedTickBehavior::Burst => next,
            MissedTickBehavior::Delay => far(now, self.period),
            MissedTickBehavior::Skip => {
                let late = now.saturating_duration_since(due).as_nanos();
                let into = late % self.period.as_nanos();
                let rest = self.period.as_nanos() - into;
                far(now, Duration::from_nanos(u64::try_from(rest).unwrap_or(u64::MAX)))
            }
        }
    }
}

/// `start + by`, or as far ahead as the clock can count.
fn far(start: Instant, by: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    start.checked_add(by).unwrap_or(start + CENTURY)
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval")
            .field("period", &self.period)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}
