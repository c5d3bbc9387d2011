//! Waiting for a task's result.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use super::cancel_on_drop::CancelOnDrop;
use super::cell::Join;
use super::info::TaskInfo;
use super::unhandled::{self, Hook};
use crate::note::{self, Note, On};

/// A task of this thread: await it for its result, drop it to let the task run on alone.
///
/// asyncio's `Task`. Dropping the handle detaches; it never cancels.
///
/// # Cancel safety
///
/// Polling by reference (`(&mut handle).await`) loses nothing when dropped: the result stays with
/// the handle.
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     let task = ringloop::spawn(std::future::pending::<()>());
///     task.cancel();
///     assert!(task.await.unwrap_err().is_cancelled());
/// });
/// ```
#[doc(alias = "Task")]
pub struct JoinHandle<T> {
    task: Rc<dyn Join<T>>,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(task: Rc<dyn Join<T>>) -> Self {
        Self { task }
    }

    /// Asks the task to end: its future is dropped in the loop's next turn, at whatever await it
    /// stands, and the handle says `Cancelled`.
    ///
    /// A task that was never polled never runs. A result that is already there, or that comes out of
    /// the poll that is under way, is kept. Doing it twice, or late, does nothing.
    #[doc(alias = "abort")]
    pub fn cancel(&self) {
        self.task.cancel();
    }

    /// Whether the result is there, or will never come (in a forked child).
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// The handle that cancels the task when it is dropped.
    #[doc(alias = "AbortOnDropHandle")]
    pub fn cancel_on_drop(self) -> CancelOnDrop<T> {
        CancelOnDrop::new(self)
    }

    /// The task's number, never used twice in a runtime.
    pub fn id(&self) -> TaskId {
        self.task.info().id
    }

    /// The task's name, if it was given one.
    #[doc(alias = "get_name")]
    pub fn name(&self) -> Option<Arc<str>> {
        self.task.info().name
    }

    /// Names the task anew, for people who look at it.
    pub fn set_name(&self, name: impl Into<Arc<str>>) {
        self.task.set_name(name.into());
    }

    /// What can be said about the task.
    pub fn info(&self) -> TaskInfo {
        self.task.info()
    }

    /// The result, without a question of budget; else `cx` hears of the end.
    pub(super) fn poll_join(&self, cx: &Context<'_>) -> Poll<Result<T, JoinError>> {
        let polled = self.task.poll_join(cx);
        if polled.is_pending() {
            self.note();
        }
        polled
    }

    /// Whether the task has ended; else `cx` hears of it. The result stays.
    pub(crate) fn poll_finished(&self, cx: &Context<'_>) -> Poll<()> {
        if self.task.is_finished() {
            return Poll::Ready(());
        }
        let pending = self.task.poll_join(cx);
        debug_assert!(pending.is_pending());
        self.note();
        Poll::Pending
    }

    #[inline]
    fn note(&self) {
        note::waits_for(|| Note { what: "the end", on: On::Task(self.task.info().id.0) });
    }

    /// Whether the task has panicked, or left a value of which `is_error` says yes. It must not touch
    /// the task.
    pub(crate) fn has_failed(&self, is_error: fn(&T) -> bool) -> bool {
        self.task.has_failed(is_error)
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        std::task::ready!(super::poll_proceed(cx));
        match self.task.poll_join(cx) {
            Poll::Ready(result) => {
                super::spend();
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.note();
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("is_finished", &self.is_finished())
            .finish()
    }
}

/// The number of a task, unique within its runtime.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(super) u64);

impl TaskId {
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    pub(crate) fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({})", self.0)
    }
}

/// Why a task has no result: it was cancelled, it panicked, or it was refused and never began.
pub struct JoinError(Why);

/// The box keeps it small: every result of a task has room for one.
enum Why {
    Cancelled,
    Failed(Box<Failure>),
}

enum Failure {
    Panic {
        /// The mutex makes the error `Sync`, so that every error type takes it.
        payload: Mutex<Box<dyn Any + Send>>,
        /// Who is told if nobody asks.
        hook: Option<Hook>,
        /// Of whom, where the result leaves its task.
        origin: Option<Origin>,
    },
    Refused(io::Error),
}

/// What panicked.
enum Origin {
    Task(TaskInfo),
    /// Where it was submitted.
    Job(&'static Location<'static>),
}

impl JoinError {
    pub(super) fn cancelled() -> Self {
        Self(Why::Cancelled)
    }

    pub(crate) fn panic(payload: Box<dyn Any + Send>) -> Self {
        Self::panic_of(payload, Hook::current(), None)
    }

    /// The panic of a job on another thread.
    pub(crate) fn panic_of_job(
        payload: Box<dyn Any + Send>,
        hook: Option<Hook>,
        submitted_at: &'static Location<'static>,
    ) -> Self {
        Self::panic_of(payload, hook, Some(Origin::Job(submitted_at)))
    }

    fn panic_of(payload: Box<dyn Any + Send>, hook: Option<Hook>, origin: Option<Origin>) -> Self {
        let payload = Mutex::new(payload);
        Self(Why::Failed(Box::new(Failure::Panic { payload, hook, origin })))
    }

    /// The error of `task`, that leaves it.
    pub(crate) fn of_task(mut self, task: TaskInfo) -> Self {
        if let Why::Failed(failure) = &mut self.0
            && let Failure::Panic { origin, .. } = &mut **failure
        {
            *origin = Some(Origin::Task(task));
        }
        self
    }

    /// Nobody asks for it: tells a panic whose origin is known.
    #[cold]
    pub(super) fn report(mut self) {
        let origin = match &mut self.0 {
            Why::Failed(failure) => match &mut **failure {
                Failure::Panic { origin, .. } => origin.take(),
                Failure::Refused(_) => None,
            },
            Why::Cancelled => None,
        };
        match origin {
            Some(Origin::Task(task)) => unhandled::report_task(task, self),
            Some(Origin::Job(submitted_at)) => unhandled::report_job(submitted_at, self),
            None => {}
        }
    }

    pub(crate) fn refused(why: io::Error) -> Self {
        Self(Why::Failed(Box::new(Failure::Refused(why))))
    }

    /// The panic's payload, and who is told of it.
    pub(super) fn into_parts(self) -> Option<(Box<dyn Any + Send>, Option<Hook>)> {
        match self.0 {
            Why::Failed(failure) => failure.into_parts().ok(),
            Why::Cancelled => None,
        }
    }

    /// Whether the task was cancelled, by its handle or by the end of its runtime.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Why::Cancelled)
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(&self.0, Why::Failed(failure) if matches!(**failure, Failure::Panic { .. }))
    }

    /// Whether it never began, because a pool of threads did not take it: its queue is full, or it has
    /// ended. The error's text says which.
    pub fn is_refused(&self) -> bool {
        matches!(&self.0, Why::Failed(failure) if matches!(**failure, Failure::Refused(_)))
    }

    /// The panic's payload, to look at or to resume.
    ///
    /// # Errors
    ///
    /// The error itself, where the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self.0 {
            Why::Failed(failure) => match failure.into_parts() {
                Ok((payload, _hook)) => Ok(payload),
                Err(why) => Err(Self::refused(why)),
            },
            Why::Cancelled => Err(self),
        }
    }
}

impl Failure {
    /// A panic's payload, and who is told of it; else why it was refused.
    fn into_parts(self) -> Result<(Box<dyn Any + Send>, Option<Hook>), io::Error> {
        match self {
            Self::Panic { payload, hook, .. } => {
                Ok((payload.into_inner().unwrap_or_else(PoisonError::into_inner), hook))
            }
            Self::Refused(why) => Err(why),
        }
    }
}

/// What a panic says.
pub(super) fn payload_text(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failure = match &self.0 {
            Why::Cancelled => return f.write_str("the task was cancelled"),
            Why::Failed(failure) => failure,
        };
        match &**failure {
            Failure::Refused(why) => write!(f, "the task was refused: {why}"),
            Failure::Panic { payload, .. } => {
                let payload = payload.lock().unwrap_or_else(PoisonError::into_inner);
                match payload_text(&**payload) {
                    Some(text) => write!(f, "the task panicked: {text}"),
                    None => f.write_str("the task panicked"),
                }
            }
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        Self::other(error.to_string())
    }
}
