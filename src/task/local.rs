//! The tasks of the runtime that runs on this thread right now.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use super::join::JoinHandle;
use super::tasks::Tasks;
use super::waker::Address;

thread_local! {
    /// Never dropped, so that it serves destructors of other thread-locals, in which a runtime may
    /// end; `Entered` takes out what it put in.
    static HERE: RefCell<ManuallyDrop<Option<Rc<Tasks>>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
}

/// While it lives, wakes and spawns of this thread go to its tasks.
#[derive(Debug)]
pub(crate) struct Entered {
    /// Whose they were before.
    before: Option<Rc<Tasks>>,
}

impl Entered {
    /// Enters although another runtime may run on this thread; that one stands aside meanwhile.
    pub(crate) fn over(tasks: &Rc<Tasks>) -> Self {
        Self { before: HERE.with_borrow_mut(|here| here.replace(tasks.clone())) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Taken out first: dropping it may wake.
        let tasks = HERE.with_borrow_mut(|here| std::mem::replace(&mut **here, self.before.take()));
        drop(tasks);
    }
}

/// The tasks of the runtime that runs on this thread.
#[inline]
pub(super) fn here() -> Option<Rc<Tasks>> {
    HERE.with_borrow(|here| Option::clone(here))
}

/// Wakes `address` if its home runs on this thread.
#[inline]
pub(super) fn wake(address: Address) -> bool {
    HERE.with_borrow(|here| match &**here {
        Some(tasks) if tasks.home_id() == address.home() && tasks.lives() => {
            tasks.wake(address);
            true
        }
        _ => false,
    })
}

/// Runs `future` as a task of the current runtime, on this thread.
///
/// The task starts in the next turn of the loop and runs until it ends, is
/// [cancelled](JoinHandle::cancel), or the runtime ends; dropping the handle detaches it. The future
/// need not be `Send`: it never leaves this thread. The task sees the [task-locals](crate::task_local) that are
/// set here. See asyncio's [`create_task`].
///
/// [`create_task`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task
///
/// # Panics
///
/// Outside a runtime. While a runtime ends, the task is refused: its handle says `Cancelled`.
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     let task = ringloop::spawn(async { 6 * 7 });
///     assert_eq!(task.await.unwrap(), 42);
/// });
/// ```
#[doc(alias = "create_task")]
#[doc(alias = "spawn_local")]
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
{
    Spawn::new().spawn(future)
}

/// How to spawn a task: with a name.
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     let task = ringloop::task::Spawn::new().name("answer").spawn(async { 42 });
///     assert_eq!(task.name().as_deref(), Some("answer"));
/// });
/// ```
#[derive(Debug, Default)]
pub struct Spawn {
    name: Option<Arc<str>>,
}

impl Spawn {
    /// A task without a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the task, for people who look at it.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Runs `future` as a task of the current runtime; see [`spawn`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        self.spawn_at(future, Location::caller())
    }

    /// Runs `future` as a task that was spawned at `location`, as far as people see.
    #[track_caller]
    pub(crate) fn spawn_at<F>(
        self,
        future: F,
        location: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        let Some(tasks) = here() else {
            panic!("no ringloop runtime runs on this thread: spawn within ringloop::run");
        };
        tasks.spawn(future, self.name, location)
    }
}
