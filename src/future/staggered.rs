//! A race in which each has a head start on the next.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use crate::task::ReadySet;
use crate::time::{Sleep, sleep};

/// Starts one future after the other until one succeeds; asyncio's `staggered_race`, the heart of happy
/// eyeballs.
///
/// The next one is taken from `futures` and started when the one before has failed, or `delay` after its
/// start, whatever comes first; those that run go on meanwhile. Without a delay (`None`) only a failure
/// starts the next. The first success counts; the others are dropped, and no more are taken.
///
/// # Errors
///
/// When all have failed: their errors in the order of their starting. None, where there were no futures.
///
/// # Cancel safety
///
/// Dropping it drops the futures that run.
///
/// # Panics
///
/// Outside a runtime, with a delay. When one of the futures does; the others are dropped.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ringloop::future::race_staggered;
///
/// ringloop::run(async {
///     let tries = ["no", "42", "43"].map(|text| async move { text.parse::<i32>() });
///     assert_eq!(race_staggered(Duration::from_millis(250), tries).await, Ok(42));
/// });
/// ```
#[doc(alias = "staggered_race")]
#[doc(alias = "happy eyeballs")]
pub async fn race_staggered<I, T, E>(
    delay: impl Into<Option<Duration>>,
    futures: I,
) -> Result<T, Vec<E>>
where
    I: IntoIterator,
    I::Item: Future<Output = Result<T, E>>,
{
    let delay = delay.into();
    let mut waiting = futures.into_iter().fuse();
    let mut running = ReadySet::new();
    let mut errors: Vec<Option<E>> = Vec::new();
    // By key: the start's number of who stands there.
    let mut numbers: Vec<usize> = Vec::new();
    let mut timer: Pin<&mut Option<Sleep>> = pin!(None);
    let mut may_start = true;
    poll_fn(|cx| {
        loop {
            if may_start {
                may_start = false;
                timer.set(None);
                if let Some(next) = waiting.next() {
                    let key = running.insert(Box::pin(next));
                    numbers.resize(numbers.len().max(key + 1), 0);
                    numbers[key] = errors.len();
                    errors.push(None);
                    timer.set(delay.map(sleep));
                }
            }
            match running.poll_next(cx) {
                Poll::Ready(Some((_, Ok(value)))) => return Poll::Ready(Some(value)),
                Poll::Ready(Some((key, Err(error)))) => {
                    errors[numbers[key]] = Some(error);
                    may_start = true;
                    continue;
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {}
            }
            match timer.as_mut().as_pin_mut().map(|timer| timer.poll(cx)) {
                Some(Poll::Ready(())) => may_start = true,
                Some(Poll::Pending) | None => return Poll::Pending,
            }
        }
    })
    .await
    .ok_or_else(|| errors.into_iter().flatten().collect())
}
