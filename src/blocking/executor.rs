//! Pools of one's own.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::task::BlockingTask;

/// What an [`Executor`] runs, once, on a thread of its own.
pub type Job = Box<dyn FnOnce() + Send>;

/// Something that runs closures on other threads: a pool of one's own, another library's.
///
/// # Examples
///
/// ```
/// use ringloop::blocking::{Executor, Job, run_in_executor};
///
/// /// A thread a job.
/// struct Threads;
///
/// impl Executor for Threads {
///     fn execute(&self, job: Job) -> std::io::Result<()> {
///         std::thread::Builder::new().spawn(job).map(drop)
///     }
/// }
///
/// let sum = ringloop::run(async { run_in_executor(&Threads, || 1 + 2).await });
/// assert_eq!(sum.unwrap(), 3);
/// ```
pub trait Executor {
    /// Runs `job` soon, on a thread that it may block.
    ///
    /// A job that is dropped without having run says `Cancelled` to whoever awaits it. Its panics do not
    /// come out of it.
    ///
    /// # Errors
    ///
    /// It does not take the job, and drops it: it is full, or has ended. The text reaches whoever awaits.
    fn execute(&self, job: Job) -> io::Result<()>;
}

impl<E: Executor + ?Sized> Executor for &E {
    fn execute(&self, job: Job) -> io::Result<()> {
        (**self).execute(job)
    }
}

impl<E: Executor + ?Sized> Executor for Arc<E> {
    fn execute(&self, job: Job) -> io::Result<()> {
        (**self).execute(job)
    }
}

impl<E: Executor + ?Sized> Executor for Rc<E> {
    fn execute(&self, job: Job) -> io::Result<()> {
        (**self).execute(job)
    }
}

/// Runs `f` on `executor`; the handle gives its result here.
///
/// It needs no runtime. What [`spawn_blocking`](super::spawn_blocking) says of panics holds here too.
/// asyncio's [`run_in_executor`].
///
/// [`run_in_executor`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.run_in_executor
///
/// # Cancel safety
///
/// Dropping the handle takes `f` back if it has not started (the executor then runs an empty job); else it
/// runs to its end, and its result is dropped.
///
/// # Examples
///
/// ```
/// use ringloop::blocking::{BlockingPool, run_in_executor};
///
/// let pool = BlockingPool::new("hash", 2);
/// ringloop::run(async {
///     let hash = run_in_executor(&pool, || (0..1000u32).fold(0, |hash, n| u32::wrapping_mul(hash, 31) ^ n));
///     println!("{}", hash.await.unwrap());
/// });
/// ```
#[track_caller]
pub fn run_in_executor<E, F, T>(executor: &E, f: F) -> BlockingTask<T>
where
    E: Executor + ?Sized,
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    BlockingTask::execute(executor, f)
}
