//! What failed where nobody awaits it, and who is told.

use std::any::Any;
use std::cell::Cell;
use std::fmt::{self, Display};
use std::io::Write;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

use super::cell::{forget_panicking, quietly};
use super::info::{TaskInfo, current};
use super::join::{JoinError, JoinHandle, payload_text};
use super::local::{Spawn, here};
use crate::sys::sync::Arc;

/// A failure that nobody awaits: what [`Builder::on_unhandled`](crate::Builder::on_unhandled) is told.
///
/// Its `Display` says all of it in one line. asyncio's [context] of an exception handler.
///
/// [context]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.call_exception_handler
#[doc(alias = "call_exception_handler")]
#[non_exhaustive]
pub struct Unhandled<'a> {
    /// What happened: "a task panicked", "a task failed", "a callback panicked", "a job panicked" and the like.
    pub message: &'static str,
    /// What went wrong: the error, or the text of the panic.
    pub error: &'a dyn Display,
    /// The panic's payload, if it was a panic.
    pub panic: Option<&'a (dyn Any + Send)>,
    /// The task, if it was one.
    pub task: Option<TaskInfo>,
    /// Where the task was spawned, the callback scheduled, the child added, the group opened, or the job
    /// submitted.
    pub location: &'static Location<'static>,
}

impl Display for Unhandled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; ", self.message, self.error)?;
        match &self.task {
            Some(task) => task.fmt(f),
            None => write!(f, "scheduled at {}:{}", self.location.file(), self.location.line()),
        }
    }
}

impl fmt::Debug for Unhandled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unhandled({self})")
    }
}

/// Whom a runtime tells.
#[derive(Clone)]
pub(crate) struct Hook(Arc<dyn Fn(&Unhandled<'_>) + Send + Sync>);

impl Hook {
    pub(crate) fn new(hook: impl Fn(&Unhandled<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    /// That of the runtime that runs on this thread.
    pub(crate) fn current() -> Option<Self> {
        here()?.hook()
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

thread_local! {
    /// Whether a hook runs here.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Tells `hook`. If there is none, or it panics, or this happened while one runs here, stderr is told,
/// where that is asked for: a hook that makes failures would be called without end.
fn tell(hook: Option<&Hook>, what: &Unhandled<'_>) {
    let mut told = false;
    if let Some(hook) = hook
        && !TELLING.replace(true)
    {
        quietly(|| {
            (hook.0)(what);
            told = true;
        });
        TELLING.set(false);
    }
    if !told && crate::sys::is_debug_asked_for() {
        // The text is user code, and stderr may be closed.
        quietly(|| drop(writeln!(std::io::stderr(), "ringloop: {what}")));
    }
}

/// The result of a task that nobody asked for, nor will: a panic is told, to the hook of its runtime.
#[cold]
pub(crate) fn report_task(task: TaskInfo, error: JoinError) {
    if let Some((payload, hook)) = error.into_parts() {
        report_panic(hook.as_ref(), "a task panicked", payload, task.spawned_at(), Some(task));
    }
}

/// The panic of a job on another thread whose result nobody asked for.
#[cold]
pub(super) fn report_job(submitted_at: &'static Location<'static>, error: JoinError) {
    if let Some((payload, hook)) = error.into_parts() {
        report_panic(hook.as_ref(), "a job panicked", payload, submitted_at, None);
    }
}

/// Runs a callback of the current runtime; a panic is reported and goes no further.
pub(crate) fn run_callback(callback: impl FnOnce(), location: &'static Location<'static>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(callback)) {
        report_panic(Hook::current().as_ref(), "a callback panicked", payload, location, None);
    }
}

/// The panic of a callback that serves the running task: tells it, and gives its text.
#[cold]
pub(crate) fn report_caught(
    message: &'static str,
    payload: Box<dyn Any + Send>,
    location: &'static Location<'static>,
) -> String {
    let text = payload_text(&*payload).unwrap_or("a panic without a text").to_owned();
    report_panic(Hook::current().as_ref(), message, payload, location, current());
    text
}

/// A failure of what the running task serves, or of what was asked of it.
#[cold]
pub(crate) fn report_error(
    message: &'static str,
    error: &dyn Display,
    location: &'static Location<'static>,
) {
    let what = Unhandled { message, error, panic: None, task: current(), location };
    tell(Hook::current().as_ref(), &what);
}

#[cold]
pub(super) fn report_panic(
    hook: Option<&Hook>,
    message: &'static str,
    payload: Box<dyn Any + Send>,
    location: &'static Location<'static>,
    task: Option<TaskInfo>,
) {
    let error = payload_text(&*payload).unwrap_or("a panic without a text");
    tell(hook, &Unhandled { message, error: &error, panic: Some(&*payload), task, location });
    forget_panicking(payload);
}

/// Runs `future` as a task of the current runtime that nobody awaits, and reports its error.
///
/// An `Err` goes to the hook of [`Builder::on_unhandled`](crate::Builder::on_unhandled), as its panic would;
/// what `Ok` holds is dropped. The handle is there to cancel the task, or to wait for its end. See
/// [`spawn`](crate::spawn), and [`Spawn::spawn_reporting`] for a task with a name.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// use std::sync::mpsc::channel;
///
/// let (tell, told) = channel();
/// let mut runtime = ringloop::Builder::new()
///     .on_unhandled(move |what| tell.send(what.error.to_string()).unwrap())
///     .build()?;
/// runtime.block_on(async {
///     let task = ringloop::task::spawn_reporting(async { "seven".parse::<i32>() });
///     task.await.unwrap();
/// });
/// assert_eq!(told.recv().unwrap(), "invalid digit found in string");
/// # std::io::Result::Ok(())
/// ```
#[track_caller]
pub fn spawn_reporting<F, T, E>(future: F) -> JoinHandle<()>
where
    F: Future<Output = Result<T, E>> + 'static,
    E: Display,
{
    Spawn::new().spawn_reporting(future)
}

impl Spawn {
    /// Runs `future` as a task that nobody awaits, and reports its error; see [`spawn_reporting`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_reporting<F, T, E>(self, future: F) -> JoinHandle<()>
    where
        F: Future<Output = Result<T, E>> + 'static,
        E: Display,
    {
        let location = Location::caller();
        self.spawn(async move {
            if let Err(error) = future.await {
                report_error("a task failed", &error, location);
            }
        })
    }
}
