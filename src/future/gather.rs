//! All results.

use std::array;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use crate::task::ReadySet;

/// Runs futures together and waits for all: their results in the order of the arguments, as they are.
///
/// It takes a tuple of up to eight futures of any kinds, an array, or a vector of one kind. An empty one
/// is ready at once. That a result is an error means nothing to it: asyncio's [`gather`] with
/// `return_exceptions=True`; [`try_gather`] ends with the first.
///
/// [`gather`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.gather
///
/// # Cancel safety
///
/// Dropping it drops the futures, and the results of those that have ended. Use
/// [`as_completed`](super::as_completed()) where they should be kept. A dropped [`JoinHandle`] lets its task
/// run on: [`cancel_on_drop`] ends it.
///
/// [`JoinHandle`]: crate::JoinHandle
/// [`cancel_on_drop`]: crate::JoinHandle::cancel_on_drop
///
/// # Panics
///
/// When one of them does; the others are dropped.
///
/// # Examples
///
/// ```
/// use ringloop::future::gather;
///
/// ringloop::run(async {
///     let (number, text) = gather((async { 1 }, async { "one" })).await;
///     assert_eq!((number, text), (1, "one"));
///
///     let squares: Vec<_> = (1..=3).map(|n| async move { n * n }).collect();
///     assert_eq!(gather(squares).await, [1, 4, 9]);
/// });
/// ```
#[doc(alias = "join")]
#[doc(alias = "join_all")]
#[doc(alias = "join!")]
#[doc(alias = "gather_settled")]
pub fn gather<G: Gather>(futures: G) -> impl Future<Output = G::Output> {
    futures.gather()
}

/// Runs fallible futures together: their values in the order of the arguments, or the first error.
///
/// It takes what [`gather`] takes. At the first error the others are dropped: they do not go on, as
/// those of asyncio's [`gather`] do. Let tasks go on by giving [`JoinHandle`]s.
///
/// [`gather`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.gather
/// [`JoinHandle`]: crate::JoinHandle
///
/// # Errors
///
/// The error that comes first in time.
///
/// # Cancel safety
///
/// As of [`gather()`].
///
/// # Panics
///
/// When one of them does; the others are dropped.
///
/// # Examples
///
/// ```
/// use ringloop::future::try_gather;
///
/// ringloop::run(async {
///     let never = std::future::pending::<Result<(), _>>();
///     assert_eq!(try_gather((never, async { Err::<(), _>("broken") })).await, Err("broken"));
///
///     let parsed = ["1", "2"].map(|text| async move { text.parse::<i32>() });
///     assert_eq!(try_gather(parsed).await, Ok([1, 2]));
/// });
/// ```
#[doc(alias = "try_join")]
#[doc(alias = "try_join_all")]
#[doc(alias = "try_join!")]
pub fn try_gather<G: TryGather>(futures: G) -> impl Future<Output = Result<G::Output, G::Error>> {
    futures.try_gather()
}

/// Futures that [`gather`] takes: tuples, arrays and vectors.
pub trait Gather {
    /// Their results.
    type Output;

    #[doc(hidden)]
    fn gather(self) -> impl Future<Output = Self::Output>;
}

/// Futures that [`try_gather`] takes: tuples, arrays and vectors of those that give a [`Result`].
pub trait TryGather {
    /// Their values.
    type Output;
    /// Their common error.
    type Error;

    #[doc(hidden)]
    fn try_gather(self) -> impl Future<Output = Result<Self::Output, Self::Error>>;
}

impl<F: Future> Gather for Vec<F> {
    type Output = Vec<F::Output>;

    async fn gather(self) -> Self::Output {
        let all = all(self, Ok::<_, std::convert::Infallible>).await;
        all.unwrap_or_else(|never| match never {})
    }
}

impl<F: Future, const N: usize> Gather for [F; N] {
    type Output = [F::Output; N];

    async fn gather(self) -> Self::Output {
        array_of(Vec::from(self).gather().await)
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> TryGather for Vec<F> {
    type Output = Vec<T>;
    type Error = E;

    async fn try_gather(self) -> Result<Vec<T>, E> {
        all(self, |result| result).await
    }
}

impl<T, E, F: Future<Output = Result<T, E>>, const N: usize> TryGather for [F; N] {
    type Output = [T; N];
    type Error = E;

    async fn try_gather(self) -> Result<[T; N], E> {
        Vec::from(self).try_gather().await.map(array_of)
    }
}

/// All values, or the first error.
async fn all<F, T, E>(futures: Vec<F>, judge: fn(F::Output) -> Result<T, E>) -> Result<Vec<T>, E>
where
    F: Future,
{
    let mut values: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    let mut futures: ReadySet<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    poll_fn(|cx| {
        loop {
            match futures.poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some((position, output))) => match judge(output) {
                    Ok(value) => values[position] = Some(value),
                    Err(error) => return Poll::Ready(Err(error)),
                },
            }
        }
    })
    .await?;
    Ok(values.into_iter().map(|value| value.expect("all have ended")).collect())
}

fn array_of<T, const N: usize>(values: Vec<T>) -> [T; N] {
    let mut values = values.into_iter();
    array::from_fn(|_| values.next().expect("there are as many results as futures"))
}
