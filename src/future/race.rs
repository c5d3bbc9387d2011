//! The first result.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;

use crate::task::ReadySet;

/// Runs futures against each other: the first result counts, and the losers are dropped.
///
/// It takes a tuple of up to eight futures with results of one type, an array, or a vector. Which of them
/// is polled first changes from race to race, so that in a loop none starves the others. Once there is
/// a winner nobody else is polled: no second result is made and thrown away. What a loser has done so
/// far is as its own *Cancel safety* says; pass `&mut future` for one that should go on afterwards.
///
/// asyncio has [`wait`] with `FIRST_COMPLETED` for that, and a loop to cancel the others.
///
/// [`wait`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.wait
///
/// # Cancel safety
///
/// Dropping it drops the futures.
///
/// # Panics
///
/// When it is given none: nobody would ever win. And when one of them does; the others are dropped.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ringloop::future::race;
/// use ringloop::time::sleep;
///
/// ringloop::run(async {
///     let hare = async {
///         sleep(Duration::from_secs(60)).await;
///         "hare"
///     };
///     let tortoise = async {
///         sleep(Duration::from_millis(1)).await;
///         "tortoise"
///     };
///     assert_eq!(race((hare, tortoise)).await, "tortoise");
/// });
/// ```
#[doc(alias = "select")]
#[doc(alias = "select_all")]
#[doc(alias = "select!")]
#[doc(alias = "FIRST_COMPLETED")]
pub fn race<R: Race>(futures: R) -> impl Future<Output = R::Output> {
    futures.race()
}

/// Futures that [`race()`] takes: tuples, arrays and vectors.
pub trait Race {
    /// Their result.
    type Output;

    #[doc(hidden)]
    fn race(self) -> impl Future<Output = Self::Output>;
}

impl<F: Future> Race for Vec<F> {
    type Output = F::Output;

    async fn race(mut self) -> F::Output {
        assert!(!self.is_empty(), "a race of no futures has no winner: give it one at least");
        let first = rotation(self.len());
        self.rotate_left(first);
        let mut futures: ReadySet<Pin<Box<F>>> = self.into_iter().map(Box::pin).collect();
        let winner = poll_fn(|cx| futures.poll_next(cx)).await;
        winner.expect("one of them at least is left").1
    }
}

impl<F: Future, const N: usize> Race for [F; N] {
    type Output = F::Output;

    async fn race(self) -> F::Output {
        Vec::from(self).race().await
    }
}

/// Who of so many begins the next race of this thread.
pub(super) fn rotation(many: usize) -> usize {
    thread_local! {
        static RACES: Cell<u64> = const { Cell::new(0) };
    }
    // Scattered, for a loop that runs two races a round would give each of them the same one for ever.
    let race = RACES.get();
    RACES.set(race.wrapping_add(1));
    (race.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % many
}
