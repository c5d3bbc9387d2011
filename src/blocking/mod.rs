//! Calls that block, on threads of their own.
//!
//! What waits in a system call, or computes for long, holds up every task of its thread. It goes to
//! another one: [`spawn_blocking`] is for what waits (a library without an asynchronous form),
//! [`run_in_executor`] for pools of one's own, such as a small one for what computes.
//!
//! ```text
//!   spawn_blocking ──► queue (bounded) ──► the runtime's threads ──┐
//!   look-ups of names ───────────────────► threads of their own ───┼──► the task that awaits
//!   run_in_executor ─────────────────────► an Executor of yours ───┘
//! ```
//!
//! See asyncio's [`to_thread`] and [`run_in_executor`][asyncio].
//!
//! [`to_thread`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.to_thread
//! [asyncio]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.run_in_executor

mod executor;
mod pool;
mod task;

use std::io;

use crate::runtime::{Lane, current};

pub use executor::{Executor, Job, run_in_executor};
pub use pool::BlockingPool;
pub use task::BlockingTask;

/// Runs `f` on a thread of the runtime's pool; the handle gives its result here.
///
/// The threads are started when needed, [`Builder::blocking_threads`] at most, and end after 10 s
/// without work. While all of them are at work, jobs wait in a queue, first in, first out. A queue that is
/// full ([`Builder::blocking_queue`]) **refuses** the job: its handle says so at once
/// ([`JoinError::is_refused`]). To let the job wait instead would bound nothing: it would have to be kept
/// somewhere in the meantime. Who wants to submit no faster than the threads work awaits each job, or
/// holds a permit of a semaphore for it.
///
/// A panic of `f` comes out of the handle, and costs no thread. Name look-ups and the runtime's files have
/// threads of their own: jobs that are stuck hold up neither, nor are they held up.
///
/// asyncio's [`to_thread`].
///
/// [`Builder::blocking_threads`]: crate::Builder::blocking_threads
/// [`Builder::blocking_queue`]: crate::Builder::blocking_queue
/// [`JoinError::is_refused`]: crate::JoinError::is_refused
/// [`to_thread`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.to_thread
///
/// # Panics
///
/// Outside a runtime. While a runtime ends, the job is refused.
///
/// # Cancel safety
///
/// Dropping the handle takes the job back if it has not started; else it runs to its end, and its result
/// is dropped. [`BlockingTask::detach`] lets it run in any case.
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     let lines = ringloop::spawn_blocking(|| {
///         let hosts = std::fs::read_to_string("/etc/hosts")?;
///         std::io::Result::Ok(hosts.lines().count())
///     });
///     println!("{} lines", lines.await??);
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[doc(alias = "to_thread")]
#[doc(alias = "run_in_executor")]
#[doc(alias = "unblock")]
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> BlockingTask<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match current() {
        Ok(core) => match core.lane(Lane::Calls) {
            Ok(workers) => BlockingTask::submit(workers, f),
            Err(why) => BlockingTask::refused(why),
        },
        Err(_) => panic!(
            "no ringloop runtime runs on this thread: call spawn_blocking within ringloop::run"
        ),
    }
}

/// Runs a look-up of a name. Dropped, it takes back what has not begun.
///
/// # Errors
///
/// No runtime runs here, it ends, no thread can be had, or `f` panicked.
pub(crate) async fn look_up<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let look_up = BlockingTask::submit(current()?.lane(Lane::LookUps)?, f);
    Ok(look_up.await?)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::runtime::Builder;

    // L-48. Seen to hang when both had the same threads.
    #[test]
    fn look_ups_that_are_stuck_hold_up_no_call_and_dropped_ones_are_taken_back() {
        let mut builder = Builder::new();
        builder.blocking_threads(1).lookup_threads(1).build().unwrap().block_on(async {
            let (hold, held) = channel::<()>();
            let (started, starts) = channel();
            let stuck = crate::task::spawn(look_up(move || {
                started.send(()).unwrap();
                let _ = held.recv();
            }));
            crate::task::yield_now().await;
            starts.recv().unwrap();
            let dropped = crate::task::spawn(look_up(|| unreachable!("it was taken back")));
            crate::task::yield_now().await;
            dropped.cancel();
            assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
            assert!(dropped.await.unwrap_err().is_cancelled());
            drop(hold);
            stuck.await.unwrap().unwrap();
            assert_eq!(look_up(|| 8).await.unwrap(), 8);
        });
    }
}
