//! Waiting for several futures: all of them, the first, or as they come.
//!
//! | wanted | asyncio | here |
//! |---|---|---|
//! | all results, in the order of the arguments | `gather(…, return_exceptions=True)` | [`gather`](gather()) |
//! | all values, or the first error | `gather` | [`try_gather`] |
//! | the first result; the losers are dropped | `wait(FIRST_COMPLETED)` and a loop | [`race`](race()) |
//! | the first success, each with a head start | `staggered_race` | [`race_staggered`] |
//! | results as they come | `as_completed` | [`as_completed`](as_completed()) |
//! | some of a number of tasks, cancelling none | `wait` | [`wait`](wait()) |
//! | a result that is set by hand, for many who wait | `Future` | [`Promise`] |
//!
//! They are functions, not macros: they take tuples of unlike futures, arrays, or vectors, and what they
//! return is a future like any other. Their futures are polled within the caller's task; a vector's or an
//! array's only when they were woken. Except for `wait` and for `race_staggered` with a delay they run
//! under any executor. Where each should be a task of its own, [`spawn`](crate::spawn) it, or use a
//! [`TaskGroup`](crate::task::TaskGroup).

mod as_completed;
mod gather;
mod promise;
mod race;
mod staggered;
mod tuples;
mod wait;

pub use as_completed::{AsCompleted, as_completed};
pub use gather::{Gather, TryGather, gather, try_gather};
pub use promise::{Promise, PromiseError, PromiseFuture};
pub use race::{Race, race};
pub use staggered::race_staggered;
pub use wait::{Until, wait};
