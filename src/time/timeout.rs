//! Time limits.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use super::deadline::capped;
use super::sleep::{Sleep, sleep, sleep_until_if_ever};
use crate::task::{has_budget, poll_proceed};

/// Gives `future` at most `duration`, counted from this call; asyncio's [`wait_for`].
///
/// At the deadline the future is dropped. It is polled first, so a result that is there is never
/// thrown away for the clock's sake; a duration of zero gives it one poll. Within a
/// [`with_deadline`](super::with_deadline) it ends at that deadline at the latest.
///
/// [`Timeout`](super::Timeout) is a limit that can be moved.
///
/// [`wait_for`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.wait_for
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
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ringloop::time::timeout;
///
/// ringloop::run(async {
///     let never = std::future::pending::<()>();
///     assert!(timeout(Duration::from_millis(1), never).await.is_err());
///     assert_eq!(timeout(Duration::from_millis(1), async { 7 }).await, Ok(7));
/// });
/// ```
#[doc(alias = "wait_for")]
pub fn timeout<F: Future>(
    duration: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    let mut sleep = sleep(duration);
    sleep.move_to(capped(sleep.deadline()));
    limit(sleep, future)
}

/// Gives `future` time until `deadline`; see [`timeout`].
///
/// # Errors
///
/// [`Elapsed`] when time is up.
///
/// # Panics
///
/// Outside a runtime.
pub fn timeout_at<F: Future>(
    deadline: Instant,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    limit(sleep_until_if_ever(capped(Some(deadline))), future)
}

pub(super) async fn limit<F: Future>(sleep: Sleep, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut sleep = pin!(sleep);
    let mut elapsed = false;
    poll_fn(|cx| {
        let had_budget = has_budget();
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if !elapsed {
            ready!(sleep.as_mut().poll(cx));
            elapsed = true;
        }
        if !had_budget {
            // Perhaps the result is there and could not be taken: the next poll finds out.
            ready!(poll_proceed(cx));
        }
        Poll::Ready(Err(Elapsed(())))
    })
    .await
}

/// Time was up; asyncio's `TimeoutError`.
#[doc(alias = "TimeoutError")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(pub(super) ());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit was reached")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}
