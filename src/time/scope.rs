//! A time limit that can be moved.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use super::deadline::capped;
use super::sleep::{Sleep, after, sleep_until_if_ever};
use super::timeout::Elapsed;
use crate::task::{discard, has_budget, poll_proceed, wake};

/// A time limit for one future, which can be moved while that runs; asyncio's [`Timeout`].
///
/// Where the limit stays what it is, [`timeout`](super::timeout()) is shorter.
///
/// Time limits nest: each ends its own future and no more, and says [`Elapsed`] at its own
/// [`run`](Self::run) only. An error of the future, and whatever it gave before it was ended, passes through.
///
/// [`Timeout`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.Timeout
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ringloop::time::{Timeout, now, sleep};
///
/// ringloop::run(async {
///     let limit = Timeout::after(Duration::from_millis(2));
///     let done = limit.run(async {
///         // A sign of life: it may take longer.
///         limit.reschedule(now() + Duration::from_secs(10))?;
///         sleep(Duration::from_millis(5)).await;
///         Ok::<_, ringloop::time::RescheduleError>("done")
///     });
///     assert_eq!(done.await.unwrap(), Ok("done"));
///     assert!(!limit.expired());
/// });
/// ```
pub struct Timeout {
    /// `None`: never.
    when: Cell<Option<Instant>>,
    state: Cell<State>,
    /// Of whoever waits in `run`; not while the future is polled, for then it looks by itself.
    waiter: Cell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    New,
    Running,
    /// Time is up, and the future may say once more whether it is ready.
    Expiring,
    Expired,
    /// The future ended, or was dropped, in time.
    Finished,
}

impl Timeout {
    /// A limit at `when`; `None`: there is none as yet. A moment in the past ends the future at its first await.
    pub fn new(when: impl Into<Option<Instant>>) -> Self {
        Self { when: Cell::new(when.into()), state: Cell::new(State::New), waiter: Cell::new(None) }
    }

    /// A limit in `duration`, counted from this call. One that the clock cannot count to is none.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn after(duration: Duration) -> Self {
        Self::new(after(duration))
    }

    /// Runs `future` until the limit, where it is dropped.
    ///
    /// It is polled first: a result that is there is never thrown away for the clock's sake.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when time is up.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops `future`.
    ///
    /// # Panics
    ///
    /// Outside a runtime, and if it was run before.
    pub async fn run<F: Future>(&self, future: F) -> Result<F::Output, Elapsed> {
        let fresh = self.state.get() == State::New;
        assert!(fresh, "a Timeout limits one future: make another one for the next");
        self.state.set(State::Running);
        let _finish = Finish(self);
        let mut future = pin!(future);
        let mut sleep = sleep_until_if_ever(capped(self.when.get()));
        poll_fn(|cx| {
            let waiter = self.waiter.take();
            let had_budget = has_budget();
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                discard(waiter);
                return Poll::Ready(Ok(output));
            }
            let when = self.when.get();
            let expired = self.poll_limit(&mut sleep, had_budget, cx);
            if expired.is_pending() {
                self.wait(waiter, cx);
                // The clone of a waker is user code, which may have moved the limit, and told nobody.
                if self.when.get() != when {
                    self.wake();
                }
            } else {
                discard(waiter);
            }
            expired.map(Err)
        })
        .await
    }

    fn poll_limit(
        &self,
        sleep: &mut Sleep,
        had_budget: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Elapsed> {
        if self.state.get() == State::Running {
            sleep.move_to(capped(self.when.get()));
            ready!(Pin::new(sleep).poll(cx));
            self.state.set(State::Expiring);
        }
        if !had_budget {
            // Perhaps the result is there and could not be taken: the next poll finds out.
            ready!(poll_proceed(cx));
        }
        self.state.set(State::Expired);
        Poll::Ready(Elapsed(()))
    }

    /// Keeps a waker: the old one, if it does.
    fn wait(&self, old: Option<Waker>, cx: &Context<'_>) {
        let waiter = match old {
            Some(old) if old.will_wake(cx.waker()) => old,
            old => {
                discard(old);
                cx.waker().clone()
            }
        };
        discard(self.waiter.replace(Some(waiter)));
    }

    /// Moves the limit: later, earlier, into the past, or, with `None`, away.
    ///
    /// # Errors
    ///
    /// [`RescheduleError`] when it is too late: the time was up, or the future has ended.
    pub fn reschedule(&self, when: impl Into<Option<Instant>>) -> Result<(), RescheduleError> {
        match self.state.get() {
            State::New | State::Running => {}
            State::Expiring | State::Expired => return Err(RescheduleError { expired: true }),
            State::Finished => return Err(RescheduleError { expired: false }),
        }
        self.when.set(when.into());
        self.wake();
        Ok(())
    }

    fn wake(&self) {
        if let Some(waiter) = self.waiter.take() {
            wake(waiter);
        }
    }

    /// When time is up; `None`: never. An outer [`with_deadline`](super::with_deadline) may end it before.
    pub fn when(&self) -> Option<Instant> {
        self.when.get()
    }

    /// Whether the limit has ended its future.
    pub fn expired(&self) -> bool {
        self.state.get() == State::Expired
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("when", &self.when.get())
            .field("state", &self.state.get())
            .finish()
    }
}

/// The end of a run, however it comes.
struct Finish<'a>(&'a Timeout);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        if self.0.state.get() != State::Expired {
            self.0.state.set(State::Finished);
        }
        discard(self.0.waiter.take());
    }
}

/// It is too late to move a [`Timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RescheduleError {
    expired: bool,
}

impl RescheduleError {
    /// Whether it has expired; else its future ended in time.
    pub fn expired(&self) -> bool {
        self.expired
    }
}

impl fmt::Display for RescheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.expired {
            true => "the time limit was reached before it could be moved",
            false => "the future of this time limit has ended: there is nothing to move it for",
        })
    }
}

impl std::error::Error for RescheduleError {}
