//! What the benchmarks ask of a runtime.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::primitives::{Channel, Lock, Once, Permits};

/// A runtime in its best documented form for one thread, as its users would call it.
///
/// A value is what a task needs to reach its runtime: nothing for most.
pub(super) trait Runtime: Copy + 'static {
    type File: 'static;
    type Mutex: Lock;
    type Semaphore: Permits;
    type Oneshot: Once;
    type Mpsc: Channel;
    /// The same as [`Mpsc`](Self::Mpsc) where there is no other.
    type Queue: Channel;

    /// Runs what `main` makes, on a new runtime of this thread.
    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static;

    /// A local task; its handle gives the output.
    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static;

    /// The runtime's own way for a task to let others run, or the usual one: it wakes itself.
    fn yield_now(self) -> impl Future<Output = ()> + 'static {
        futures_lite::future::yield_now()
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static;

    /// Opens a file to read it.
    fn open(self, path: &Path) -> impl Future<Output = io::Result<Self::File>>;

    /// Reads [`PAGE`] bytes at `offset`, and hands them to `check`.
    ///
    /// `buf` is as large: for those who read into their caller's buffer.
    fn read(
        file: &Self::File,
        buf: &mut Vec<u8>,
        offset: u64,
        check: impl Fn(&[u8]),
    ) -> impl Future<Output = io::Result<()>>;

    /// Runs what `make` makes as a task: programs spawn and wait in tasks, and some runtimes run
    /// their outermost future in another way.
    fn run_task<F>(make: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Self::run(|runtime| async move { runtime.spawn(make(runtime)).await })
    }
}

/// Bytes of a read.
pub(super) const PAGE: usize = 4096;
