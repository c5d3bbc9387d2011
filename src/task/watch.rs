//! Being told of every poll.

use super::info::TaskInfo;

/// Who is told of every poll of a [`Tasks::run`](super::Tasks::run).
pub(crate) trait Watch {
    /// `task` is polled now: `None` for the root future.
    fn begin(&self, task: impl FnOnce() -> Option<TaskInfo>);
    /// Its poll is over, and it as well if it `ended`. Not called where the poll unwinds.
    fn end(&self, ended: bool);
    /// Runs a callback of the loop.
    fn callback(&self, run: impl FnOnce());
}

/// Nobody: it compiles to nothing.
pub(crate) struct Unwatched;

impl Watch for Unwatched {
    #[inline(always)]
    fn begin(&self, _task: impl FnOnce() -> Option<TaskInfo>) {}

    #[inline(always)]
    fn end(&self, _ended: bool) {}

    #[inline(always)]
    fn callback(&self, run: impl FnOnce()) {
        run();
    }
}
