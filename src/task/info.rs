//! What can be said about a task: which it is, and where it came from.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::join::TaskId;
use super::local::here;

/// A task, for people who look at it: what was known of it when it was asked.
///
/// Its `Display` says all of it: ``task 17 `conn` (src/main.rs:42)``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskInfo {
    pub(super) id: TaskId,
    pub(super) name: Option<Arc<str>>,
    pub(super) spawned_at: &'static Location<'static>,
}

impl TaskInfo {
    /// The task's number, never used twice in a runtime.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The task's name, if it was given one.
    #[doc(alias = "get_name")]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        write!(f, " ({}:{})", self.spawned_at.file(), self.spawned_at.line())
    }
}

/// The task that runs now; asyncio's [`current_task`].
///
/// `None` outside of a task: in a callback of the loop, outside a runtime, and in the future of
/// [`block_on`](crate::Runtime::block_on), which is none.
///
/// [`current_task`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.current_task
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     let task = ringloop::spawn(async { ringloop::task::current().map(|task| task.id()) });
///     let id = task.id();
///     assert_eq!(task.await.unwrap(), Some(id));
/// });
/// ```
#[doc(alias = "current_task")]
pub fn current() -> Option<TaskInfo> {
    here()?.current()
}

/// The tasks of the current runtime that have not ended, in the order of their spawning; asyncio's
/// [`all_tasks`].
///
/// [`Handle::tasks`](crate::Handle::tasks) asks from another thread.
///
/// [`all_tasks`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.all_tasks
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     let task = ringloop::spawn(std::future::pending::<()>());
///     task.set_name("waits for ever");
///     let names: Vec<_> = ringloop::task::all().iter().map(ToString::to_string).collect();
///     assert!(names[0].starts_with("task 1 `waits for ever` ("));
/// });
/// ```
#[doc(alias = "all_tasks")]
pub fn all() -> Vec<TaskInfo> {
    let Some(tasks) = here() else {
        panic!("no ringloop runtime runs on this thread: ask within ringloop::run");
    };
    tasks.all()
}
