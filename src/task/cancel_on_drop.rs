//! Tasks that end with whoever waits for them, and tasks that do not.

use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::join::{JoinError, JoinHandle};
use super::local::spawn;

/// A handle that cancels its task when it is dropped; made by [`JoinHandle::cancel_on_drop`].
///
/// The task's future is dropped in the loop's next turn, not within the handle's drop.
///
/// # Cancel safety
///
/// Polling by reference (`(&mut handle).await`) loses nothing when dropped. Dropping the handle itself
/// cancels.
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     let (alive, gone) = std::sync::mpsc::channel::<()>();
///     let task = ringloop::spawn(async move {
///         let _alive = alive;
///         std::future::pending::<()>().await
///     });
///     drop(task.cancel_on_drop());
///     while gone.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
///         ringloop::task::yield_now().await;
///     }
/// });
/// ```
#[doc(alias = "AbortOnDropHandle")]
#[must_use = "it cancels its task at once where it is dropped at once"]
#[derive(Debug)]
pub struct CancelOnDrop<T> {
    /// `None` once it was detached.
    handle: Option<JoinHandle<T>>,
}

impl<T> CancelOnDrop<T> {
    pub(super) fn new(handle: JoinHandle<T>) -> Self {
        Self { handle: Some(handle) }
    }

    /// The plain handle again, whose drop lets the task run on.
    pub fn detach(mut self) -> JoinHandle<T> {
        self.handle.take().expect("only this takes it")
    }
}

impl<T> Deref for CancelOnDrop<T> {
    type Target = JoinHandle<T>;

    fn deref(&self) -> &JoinHandle<T> {
        self.handle.as_ref().expect("only `detach` takes it")
    }
}

impl<T> Future for CancelOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(self.handle.as_mut().expect("only `detach` takes it")).poll(cx)
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.cancel();
        }
    }
}

/// Runs `future` to its end, even where whoever awaits it is dropped; asyncio's [`shield`].
///
/// It is [`spawn`] by the name of its purpose: the future runs as a task from now on, and a drop of the
/// handle lets it run on alone. What has failed by then is nobody's to see: a panic is reported as that
/// of any detached task is.
///
/// asyncio's warning about keeping a reference does not apply: the runtime owns its tasks.
///
/// [`shield`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.shield
///
/// # Cancel safety
///
/// That is what it is for. To end the task as well, call [`JoinHandle::cancel`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use std::time::Duration;
///
/// use ringloop::task::{shield, yield_now};
/// use ringloop::time::timeout;
///
/// ringloop::run(async {
///     let saved = Rc::new(Cell::new(false));
///     let save = {
///         let saved = saved.clone();
///         async move {
///             yield_now().await;
///             saved.set(true);
///         }
///     };
///     assert!(timeout(Duration::ZERO, shield(save)).await.is_err());
///     while !saved.get() {
///         yield_now().await;
///     }
/// });
/// ```
#[track_caller]
pub fn shield<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
{
    spawn(future)
}
