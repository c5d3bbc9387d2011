//! Reaching a runtime from other threads.

use super::calls::RemoteCallHandle;
use super::context::current;
use super::run::Runtime;
use crate::task::{self, HomeRef, RemoteJoinHandle, TaskInfo};

/// Reaches a runtime from any thread. Cheap to copy; harmless once the runtime has ended.
///
/// asyncio's `call_soon_threadsafe` and `run_coroutine_threadsafe`.
///
/// # Examples
///
/// ```
/// let mut runtime = ringloop::Builder::new().build()?;
/// let handle = runtime.handle();
/// let thread = std::thread::spawn(move || {
///     let sum = handle.spawn(|| async { 1 + 2 }).join();
///     handle.stop();
///     sum
/// });
/// runtime.run_forever();
/// assert_eq!(thread.join().unwrap().unwrap(), 3);
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "call_soon_threadsafe")]
#[doc(alias = "run_coroutine_threadsafe")]
#[derive(Clone, Debug)]
pub struct Handle {
    home: HomeRef,
}

impl Handle {
    pub(super) fn new(home: HomeRef) -> Self {
        Self { home }
    }

    /// The handle of the runtime that runs on this thread, if one does.
    #[doc(alias = "get_running_loop")]
    pub fn current() -> Option<Self> {
        current().ok().map(|core| Self::new(core.tasks().home_ref()))
    }

    /// Runs `make` on the runtime's thread and its future as a task there.
    ///
    /// The closure travels, the future does not: it need not be `Send`. When the runtime ends first,
    /// or has ended, the result is `Cancelled`.
    pub fn spawn<M, F>(&self, make: M) -> RemoteJoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let (sender, handle) = task::remote();
        let letter = Box::new(move || {
            let task = task::spawn(async move { make().await });
            let info = task.info();
            // A second task carries the result, so that a panic of the first arrives too.
            drop(task::spawn(async move {
                sender.send(task.await.map_err(|error| error.of_task(info)));
            }));
        });
        // A letter that comes back is dropped, and its sender says Cancelled.
        drop(self.home.post(letter));
        handle
    }

    /// Runs `callback` on the runtime's thread, soon, in order of posting.
    ///
    /// It runs between two turns of the loop. A panic in it goes to the hook of
    /// [`Builder::on_unhandled`](crate::Builder::on_unhandled), and no further. On the runtime's own thread
    /// [`call_soon`](crate::call_soon) is cheaper, and its callback need not be `Send`.
    ///
    /// # Errors
    ///
    /// The runtime has ended.
    #[doc(alias = "call_soon_threadsafe")]
    #[track_caller]
    pub fn call_soon(
        &self,
        callback: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<RemoteCallHandle> {
        let (handle, receipt) = RemoteCallHandle::new(Box::new(callback));
        match self.home.post(Box::new(move || receipt.run())) {
            Ok(()) => Ok(handle),
            Err(_) => Err(super::core::ended()),
        }
    }

    /// The runtime's tasks that have not ended, in the order of their spawning; see
    /// [`task::all`]. The runtime's thread says it in its next turn.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::run(async {
    ///     let handle = ringloop::Handle::current().unwrap();
    ///     let task = ringloop::spawn(std::future::pending::<()>());
    ///     let all = handle.tasks().await.unwrap();
    ///     assert_eq!(all[0].id(), task.id());
    /// });
    /// ```
    #[doc(alias = "all_tasks")]
    pub fn tasks(&self) -> RemoteJoinHandle<Vec<TaskInfo>> {
        let (sender, handle) = task::remote();
        drop(self.home.post(Box::new(move || sender.send(Ok(task::all())))));
        handle
    }

    /// Makes [`Runtime::run_forever`] return, now or, if it does not run, when it next begins.
    ///
    /// A run of [`Runtime::block_on`] goes on: only its future ends it. Does nothing once the runtime has ended.
    pub fn stop(&self) {
        let letter = Box::new(|| {
            if let Ok(core) = current() {
                core.stop();
            }
        });
        drop(self.home.post(letter));
    }
}

impl Runtime {
    /// A handle for other threads.
    pub fn handle(&self) -> Handle {
        Handle::new(self.core().tasks().home_ref())
    }
}
