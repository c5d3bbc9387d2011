//! Waiting for a job's result.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, ready};

use super::executor::{Executor, Job};
use crate::note::{self, On};
use crate::sys::sync::{Arc, Mutex};
use crate::task::{Hook, JoinError, RemoteJoinHandle, poll_proceed, quietly, remote, spend};
use crate::worker::{JobId, Refused, Workers};

/// A job on another thread: await it for its result.
///
/// Unlike a task it is not detached when it is dropped: a job that has not started is taken back, and
/// never runs. One that has started cannot be stopped; it runs to its end, and its result is dropped. So it
/// is with asyncio's `run_in_executor`.
///
/// It may be awaited under any executor and on any thread.
///
/// # Errors
///
/// [`JoinError`], where the job panicked, was taken back or thrown away with its pool, or was
/// [refused](JoinError::is_refused).
///
/// # Cancel safety
///
/// Polling by reference (`(&mut task).await`) loses nothing when dropped: the result stays with the
/// handle.
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     let task = ringloop::spawn_blocking(|| panic!("in the pool"));
///     assert!(task.await.unwrap_err().is_panic());
/// });
/// ```
#[must_use = "dropping it takes the job back if it has not started: await it, or detach it"]
pub struct BlockingTask<T> {
    result: RemoteJoinHandle<T>,
    /// `None` once there is nothing to take back.
    place: Option<Place>,
}

/// Where a job waits to be started.
enum Place {
    Queue(Arc<Workers>, JobId),
    /// In an executor that we cannot look into, and that alone keeps it: taken out, it finds nothing to do
    /// there; thrown away there, it is gone.
    Elsewhere(Weak<Mutex<Option<Job>>>),
}

impl<T: Send + 'static> BlockingTask<T> {
    #[track_caller]
    pub(super) fn submit(workers: &Arc<Workers>, f: impl FnOnce() -> T + Send + 'static) -> Self {
        let (job, result) = job(f);
        match workers.submit(job) {
            Ok(id) => Self { result, place: Some(Place::Queue(workers.clone(), id)) },
            Err(refused) => Self::refused(error(refused)),
        }
    }

    #[track_caller]
    pub(super) fn execute(
        executor: &(impl Executor + ?Sized),
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Self {
        let (job, result) = job(f);
        let there = Arc::new(Mutex::new(Some(job)));
        let place = Some(Place::Elsewhere(Arc::downgrade(&there)));
        let taken = executor.execute(Box::new(move || {
            let job = there.lock().and_then(|mut job| job.take());
            if let Some(job) = job {
                job();
            }
        }));
        match taken {
            Ok(()) => Self { result, place },
            Err(why) => Self::refused(why),
        }
    }

    pub(super) fn refused(why: io::Error) -> Self {
        let (sender, result) = remote();
        sender.send(Err(JoinError::refused(why)));
        Self { result, place: None }
    }
}

/// `f` as a job, and its result. A panic that nobody asks for is told to the runtime that runs here now.
#[track_caller]
fn job<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> (Job, RemoteJoinHandle<T>) {
    let (sender, result) = remote();
    let (hook, submitted_at) = (Hook::current(), Location::caller());
    let job = move || {
        let value = catch_unwind(AssertUnwindSafe(f));
        let result = value.map_err(|payload| JoinError::panic_of_job(payload, hook, submitted_at));
        // Where nobody wants it, the value is dropped here: user code.
        quietly(|| sender.send(result));
    };
    (Box::new(job), result)
}

/// What a pool's refusal is to whoever awaits the job.
pub(super) fn error(refused: Refused) -> io::Error {
    let kind = match refused {
        Refused::Full(_) | Refused::NoThread => io::ErrorKind::WouldBlock,
        Refused::Ended => io::ErrorKind::NotConnected,
        Refused::Forked => io::ErrorKind::Unsupported,
    };
    io::Error::new(kind, refused.to_string())
}

impl<T> BlockingTask<T> {
    /// Takes the job back if it has not started: whether it had not. Then it never runs, and awaiting it
    /// says [`Cancelled`](JoinError::is_cancelled).
    ///
    /// False: it runs, or has ended, and its result can still be awaited.
    #[doc(alias = "abort")]
    pub fn cancel(&mut self) -> bool {
        let job = match self.place.take() {
            Some(Place::Queue(workers, id)) => workers.withdraw(id),
            Some(Place::Elsewhere(there)) => {
                there.upgrade().and_then(|there| there.lock().and_then(|mut job| job.take()))
            }
            None => None,
        };
        let taken_back = job.is_some();
        // What it holds is user code.
        quietly(|| drop(job));
        taken_back
    }

    /// Lets the job run without anybody waiting for it.
    ///
    /// The end of the runtime throws it away if it has not started by then;
    /// [`Runtime::shutdown_timeout`](crate::Runtime::shutdown_timeout) waits for it.
    pub fn detach(mut self) {
        self.place = None;
    }

    /// Whether the result is there, or will never come (in a forked child).
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.result.is_finished()
    }
}

impl<T> Future for BlockingTask<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(poll_proceed(cx));
        let Poll::Ready(result) = Pin::new(&mut self.result).poll(cx) else {
            note::waits("a blocking call", On::Nothing);
            return Poll::Pending;
        };
        self.place = None;
        spend();
        Poll::Ready(result)
    }
}

impl<T> Drop for BlockingTask<T> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<T> fmt::Debug for BlockingTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingTask").field("is_finished", &self.is_finished()).finish()
    }
}
