//! A pool beside the runtime's.

use std::fmt;
use std::io;
use std::time::Duration;

use super::executor::{Executor, Job};
use super::task::error;
use crate::worker::Workers;

/// A pool of threads of one's own, for [`run_in_executor`](super::run_in_executor): so that jobs of one
/// kind neither hold up nor are held up by those of another. It belongs to no runtime; several may share
/// it.
///
/// asyncio's `ThreadPoolExecutor`. The threads are started when needed and end after 10 s without work. The
/// queue has no end unless [`max_queued`](Self::max_queued) gives it one.
///
/// Dropping it throws away the jobs that have not started and waits for none: threads end when their job
/// has. [`shutdown_timeout`](Self::shutdown_timeout) waits.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ringloop::blocking::{BlockingPool, run_in_executor};
///
/// let pool = BlockingPool::new("hash", 2).max_queued(100);
/// ringloop::run(async {
///     let name = run_in_executor(&pool, || std::thread::current().name().map(str::to_owned));
///     assert_eq!(name.await.unwrap().as_deref(), Some("hash-0"));
/// });
/// assert_eq!(pool.shutdown_timeout(Duration::from_secs(1)), 0);
/// ```
#[doc(alias = "ThreadPoolExecutor")]
pub struct BlockingPool {
    workers: Workers,
}

impl BlockingPool {
    /// A pool of at most `threads` threads (at least one), called `name-0`, `name-1`, …
    ///
    /// Tools such as `top` see the first 15 bytes of a thread's name.
    ///
    /// # Panics
    ///
    /// If `name` has a zero byte.
    pub fn new(name: &str, threads: usize) -> Self {
        assert!(!name.contains('\0'), "the name of a thread must have no zero byte: {name:?}");
        Self { workers: Workers::new(threads, name) }
    }

    /// How many jobs may wait while all threads are at work: one more is refused.
    #[must_use]
    pub fn max_queued(self, jobs: usize) -> Self {
        Self { workers: self.workers.max_queued(jobs) }
    }

    /// Ends the pool: it refuses jobs from now on. Blocks this thread until those that it has are done,
    /// for `limit` at most; how many are left then.
    ///
    /// Of those that are left, the ones that run go on, and the ones that wait may still be started, until
    /// the pool is dropped.
    #[doc(alias = "shutdown")]
    pub fn shutdown_timeout(&self, limit: Duration) -> usize {
        self.workers.finish(limit)
    }
}

impl Executor for BlockingPool {
    fn execute(&self, job: Job) -> io::Result<()> {
        self.workers.submit(job).map(drop).map_err(error)
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingPool").field("workers", &self.workers).finish()
    }
}
