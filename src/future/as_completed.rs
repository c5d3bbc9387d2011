//! Results in the order in which they come.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;

use crate::task::ReadySet;

/// Runs futures together and gives their results as they come; asyncio's [`as_completed`].
///
/// They begin with the first call of [`next`](AsCompleted::next). A result comes with the position of its
/// future, counted from zero. With a [`timeout`](crate::time::timeout) around each `next`, or around the
/// loop, those that were not ready go on with the following call: none is lost.
///
/// [`as_completed`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.as_completed
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ringloop::future::as_completed;
/// use ringloop::time::sleep;
///
/// ringloop::run(async {
///     let naps = [20, 0, 10].map(|ms| sleep(Duration::from_millis(ms)));
///     let mut naps = as_completed(naps);
///     let mut order = Vec::new();
///     while let Some((position, ())) = naps.next().await {
///         order.push(position);
///     }
///     assert_eq!(order, [1, 2, 0]);
/// });
/// ```
pub fn as_completed<I>(futures: I) -> AsCompleted<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator,
    I::Item: IntoFuture,
{
    let futures = futures.into_iter().map(|future| Box::pin(future.into_future()));
    AsCompleted { futures: futures.collect() }
}

/// Futures that run together; made by [`as_completed`]. Dropping it drops those that have not ended.
#[must_use = "futures do nothing unless awaited"]
pub struct AsCompleted<F> {
    futures: ReadySet<Pin<Box<F>>>,
}

impl<F: Future> AsCompleted<F> {
    /// Waits for the next result, with the position of its future. `None` after the last.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: the futures go on with the next call.
    pub async fn next(&mut self) -> Option<(usize, F::Output)> {
        poll_fn(|cx| self.futures.poll_next(cx)).await
    }
}

impl<F> AsCompleted<F> {
    /// How many have not ended.
    pub fn len(&self) -> usize {
        self.futures.len()
    }

    /// Whether all have ended.
    pub fn is_empty(&self) -> bool {
        self.futures.is_empty()
    }
}

impl<F> fmt::Debug for AsCompleted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("len", &self.len()).finish()
    }
}
