//! The cooperative budget: how many ready results one poll of a task may take.
//!
//! A task whose inbox is never empty would otherwise never return Pending, and no timer would fire.
//! Outside our own polls (under another executor) the budget has no end.

use std::cell::Cell;
use std::task::{Context, Poll};

/// Ready results a poll.
const BUDGET: u16 = 128;

const UNLIMITED: u16 = u16::MAX;

thread_local! {
    static LEFT: Cell<u16> = const { Cell::new(UNLIMITED) };
}

/// Runs one poll of a task under a fresh budget.
pub(super) fn with_budget<T>(poll: impl FnOnce() -> T) -> T {
    struct Restore(u16);
    impl Drop for Restore {
        fn drop(&mut self) {
            LEFT.set(self.0);
        }
    }
    // Not always UNLIMITED before: a runtime may end within a poll of another's task.
    let _restore = Restore(LEFT.replace(BUDGET));
    poll()
}

/// Pending, with the task queued again, when the budget is used up.
///
/// A leaf future asks before it looks for a result, and [`spend`]s when it found one.
#[inline]
pub(crate) fn poll_proceed(cx: &Context<'_>) -> Poll<()> {
    if LEFT.get() > 0 {
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Waits until there is budget, and counts one result: for what is found without a leaf future.
#[inline]
pub(crate) async fn proceed() {
    std::future::poll_fn(|cx| poll_proceed(cx)).await;
    spend();
}

/// Whether this poll may still take a ready result.
#[inline]
pub(crate) fn has_budget() -> bool {
    LEFT.get() > 0
}

/// Counts one ready result.
#[inline]
pub(crate) fn spend() {
    spend_many(1);
}

/// Counts one that was as much work as `results`.
#[inline]
pub(crate) fn spend_many(results: u16) {
    LEFT.with(|left| {
        if left.get() != UNLIMITED {
            left.set(left.get().saturating_sub(results));
        }
    });
}
