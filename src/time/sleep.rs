//! Waiting for a moment.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::core;
use crate::note::{self, On};
use crate::runtime::{Core, TimerKey};
use crate::task::{poll_proceed, spend};

/// Waits for `duration`, counted from this call; asyncio's [`sleep`].
///
/// `Duration::MAX` waits for ever. A duration of zero is over at the first poll.
///
/// [`sleep`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.sleep
///
/// # Cancel safety
///
/// Dropping it forgets the timer.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// ringloop::run(async {
///     let start = Instant::now();
///     ringloop::time::sleep(Duration::from_millis(5)).await;
///     assert!(start.elapsed() >= Duration::from_millis(5));
/// });
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    let core = core();
    let deadline = core.now().checked_add(duration);
    Sleep { core, deadline, ahead: duration >= FAR, timer: None }
}

/// Waits until `deadline`. A moment in the past is over at the first poll.
///
/// # Cancel safety
///
/// Dropping it forgets the timer.
///
/// # Panics
///
/// Outside a runtime.
#[doc(alias = "call_at")]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { core: core(), deadline: Some(deadline), ahead: false, timer: None }
}

/// Waits until `deadline`, or for ever.
pub(super) fn sleep_until_if_ever(deadline: Option<Instant>) -> Sleep {
    Sleep { core: core(), deadline, ahead: false, timer: None }
}

/// The moment `duration` from now, if the clock can count to it.
pub(super) fn after(duration: Duration) -> Option<Instant> {
    core().now().checked_add(duration)
}

/// A sleep as long as this does not read the clock again at its first poll. A thread that did nothing
/// else for so long is late anyway: then it is over a turn later.
const FAR: Duration = Duration::from_secs(1);

/// The future of [`sleep`] and [`sleep_until`].
///
/// Polled after its runtime has ended, it is over: there is no clock left to wait for.
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Sleep {
    core: Rc<Core>,
    /// `None`: never.
    deadline: Option<Instant>,
    /// Whether the first poll takes for granted that the deadline is ahead.
    ahead: bool,
    /// Set by the first poll before the deadline; cleared by the one that finds it fired.
    timer: Option<TimerKey>,
}

impl Sleep {
    /// When it ends; `None` if it never does.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Lets it end at `deadline` instead. One that has ended begins anew.
    pub fn reset(&mut self, deadline: Instant) {
        self.clear();
        self.deadline = Some(deadline);
        self.ahead = false;
    }

    /// As `reset`, where it has not fired: nothing if that is its deadline already.
    pub(super) fn move_to(&mut self, deadline: Option<Instant>) {
        if self.deadline != deadline {
            self.clear();
            self.deadline = deadline;
            self.ahead = false;
        }
    }

    /// The time of its own runtime, which need not be the one that runs.
    pub(super) fn now(&self) -> Instant {
        self.core.now()
    }

    fn clear(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.core.clear_timer(timer);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.core.has_ended() {
            return poll_proceed(cx);
        }
        let Some(deadline) = self.deadline else {
            note::waits("sleep for ever", On::Nothing);
            return Poll::Pending;
        };
        match self.timer {
            // No question of budget: between setting and firing lies a turn of the loop. And whoever
            // polls us behind a future that uses up every budget wants to hear of it.
            Some(timer) if self.core.update_timer(timer, cx.waker()) => {}
            Some(_) => {
                self.timer = None;
                spend();
                return Poll::Ready(());
            }
            None if !self.ahead && self.core.now() >= deadline => {
                ready!(poll_proceed(cx));
                spend();
                return Poll::Ready(());
            }
            None => {
                self.ahead = false;
                self.timer = Some(self.core.set_timer(deadline, cx.waker().clone()));
            }
        }
        note::waits("sleep", On::Until(deadline));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clear();
    }
}
