//! Giving way to the others.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Lets every other ready task, and the I/O, have its turn before this task goes on.
///
/// asyncio's `sleep(0)`.
///
/// # Cancel safety
///
/// Dropping it does nothing.
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     ringloop::task::yield_now().await;
/// });
/// ```
#[doc(alias = "sleep(0)")]
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
