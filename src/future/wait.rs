//! Waiting for some of a number of tasks.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::task::{JoinHandle, ReadySet, poll_proceed, spend};
use crate::time::timeout;

/// How long [`wait`] waits.
pub struct Until<T> {
    ends_at: EndsAt<T>,
}

enum EndsAt<T> {
    First,
    /// The first panic, or value of which this says yes.
    Failure(fn(&T) -> bool),
    All,
}

impl<T> Until<T> {
    /// Until a task has ended.
    #[doc(alias = "FIRST_COMPLETED")]
    pub const fn first_completed() -> Self {
        Self { ends_at: EndsAt::First }
    }

    /// Until a task has panicked, or all have ended. One that was cancelled has not failed.
    pub const fn first_panic() -> Self {
        Self { ends_at: EndsAt::Failure(|_| false) }
    }

    /// Until all tasks have ended.
    #[doc(alias = "ALL_COMPLETED")]
    pub const fn all() -> Self {
        Self { ends_at: EndsAt::All }
    }
}

impl<T, E> Until<Result<T, E>> {
    /// Until a task has ended with an error or panicked, or all have ended. One that was cancelled has
    /// not failed.
    #[doc(alias = "FIRST_EXCEPTION")]
    pub const fn first_error() -> Self {
        Self { ends_at: EndsAt::Failure(Result::is_err) }
    }
}

impl<T> fmt::Debug for Until<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.ends_at {
            EndsAt::First => "Until::first_completed",
            EndsAt::Failure(_) => "Until::first_error",
            EndsAt::All => "Until::all",
        })
    }
}

/// Waits for tasks without taking their results, for at most `limit`; asyncio's [`wait`].
///
/// It returns the handles of those that have ended, which it takes out of `tasks`; those that go on stay
/// there. Both keep their order. A handle that is done gives its result at the first poll. Nothing is
/// cancelled, and that time is up is no error. Without tasks it returns at once.
///
/// [`wait`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.wait
///
/// # Cancel safety
///
/// Dropping it loses nothing: the handles stay in `tasks`, with their results.
///
/// # Panics
///
/// With a limit, outside a runtime.
///
/// # Examples
///
/// ```
/// use ringloop::future::{Until, wait};
///
/// ringloop::run(async {
///     let quick = ringloop::spawn(async { "done" });
///     let slow = ringloop::spawn(std::future::pending());
///     let mut tasks = vec![slow, quick];
///     let done = wait(&mut tasks, Until::first_completed(), None).await;
///     assert_eq!((done.len(), tasks.len()), (1, 1));
///     for task in done {
///         assert_eq!(task.await.unwrap(), "done");
///     }
/// });
/// ```
#[doc(alias = "FIRST_COMPLETED")]
#[doc(alias = "FIRST_EXCEPTION")]
#[doc(alias = "ALL_COMPLETED")]
pub async fn wait<T>(
    tasks: &mut Vec<JoinHandle<T>>,
    until: Until<T>,
    limit: impl Into<Option<Duration>>,
) -> Vec<JoinHandle<T>> {
    let enough = enough(tasks, until);
    match limit.into() {
        None => enough.await,
        Some(limit) => {
            // Those that have ended by then are told from the others below.
            let _ = timeout(limit, enough).await;
        }
    }
    tasks.extract_if(.., |task| task.is_finished()).collect()
}

async fn enough<T>(tasks: &[JoinHandle<T>], until: Until<T>) {
    let mut ends: ReadySet<End<'_, T>> = tasks.iter().map(End).collect();
    let mut is_enough = tasks.is_empty();
    poll_fn(|cx| {
        ready!(poll_proceed(cx));
        // All that have ended by now are seen: they count for the caller as well.
        while let Poll::Ready(Some((position, ()))) = ends.poll_next(cx) {
            is_enough |= match until.ends_at {
                EndsAt::First => true,
                EndsAt::Failure(is_error) => tasks[position].has_failed(is_error),
                EndsAt::All => false,
            };
        }
        if is_enough || ends.is_empty() {
            spend();
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// The end of a task, whose result stays where it is.
struct End<'a, T>(&'a JoinHandle<T>);

impl<T> Future for End<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_finished(cx)
    }
}
