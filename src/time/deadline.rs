//! A deadline that flows down: into what is called, and into tasks that are spawned.

use std::time::Instant;

use super::sleep::sleep_until_if_ever;
use super::timeout::{Elapsed, limit};
use crate::task::LocalKey;

/// The earliest of all that are set.
static DEADLINE: LocalKey<Instant> = LocalKey::new();

/// Gives `future`, and all that it calls and spawns, time until `at`.
///
/// As [`timeout_at`](super::timeout_at), which ends `future` alone, and three things more for what runs within:
///
/// - [`deadline`] says when time is up, so that work which would take too long need not be begun.
/// - Every [`timeout`](super::timeout()), [`timeout_at`](super::timeout_at) and [`Timeout`](super::Timeout) that
///   is made within ends then at the latest.
/// - Tasks that are spawned within inherit both. A task is not ended by it; one that should be runs its
///   future in [`until_deadline`].
///
/// A deadline within another can be earlier, not later. asyncio has no such thing; it is Go's `context`.
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
/// use std::future::pending;
/// use std::time::Duration;
/// use ringloop::time::{Elapsed, deadline, now, until_deadline, with_deadline};
///
/// ringloop::run(async {
///     let at = now() + Duration::from_millis(2);
///     let child = with_deadline(at, async {
///         assert_eq!(deadline(), Some(at));
///         Ok::<_, Elapsed>(ringloop::spawn(until_deadline(pending::<()>())))
///     });
///     let child = child.await.unwrap()?;
///     // It outlives what spawned it, and not the deadline.
///     assert!(child.await.unwrap().is_err());
/// #   Ok::<_, Elapsed>(())
/// });
/// ```
pub fn with_deadline<F: Future>(
    at: Instant,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    let at = capped(Some(at));
    let limited = limit(sleep_until_if_ever(at), future);
    DEADLINE.scope(at.expect("it can only be earlier"), limited)
}

/// The deadline of the innermost [`with_deadline`] around here, or around the spawn of this task.
pub fn deadline() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).ok()
}

/// Gives `future` time until the [`deadline`] of where this is called; for ever, if there is none.
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
pub fn until_deadline<F: Future>(future: F) -> impl Future<Output = Result<F::Output, Elapsed>> {
    limit(sleep_until_if_ever(deadline()), future)
}

/// `when`, or the deadline if that is earlier.
pub(super) fn capped(when: Option<Instant>) -> Option<Instant> {
    match (when, deadline()) {
        (Some(when), Some(deadline)) => Some(when.min(deadline)),
        (when, deadline) => when.or(deadline),
    }
}
