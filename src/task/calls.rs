//! Callbacks of the loop: plain functions that stand in the ready queue between the tasks.
//!
//! The queue holds an address that no task has ([`Address::CALL`](super::waker::Address::CALL)) for each, and
//! the callbacks themselves stand in a queue of their own, in the same order.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use super::local::here;
use super::locals::{Snapshot, Within, snapshot};
use super::tasks::Tasks;
use super::unhandled::run_callback;

/// A callback that runs at most once.
pub(crate) trait Call {
    /// Runs it, if that is still to be done.
    fn run(&self);
    /// Drops it unrun, and what it captured.
    fn cancel(&self);
    fn is_cancelled(&self) -> bool;
}

struct Callback<F> {
    /// `None` once it has begun, or was cancelled.
    todo: Cell<Option<(F, Snapshot)>>,
    cancelled: Cell<bool>,
    scheduled_at: &'static Location<'static>,
}

impl<F: FnOnce()> Call for Callback<F> {
    fn run(&self) {
        if let Some((callback, locals)) = self.todo.take() {
            let within = Within::if_any(&locals);
            run_callback(callback, self.scheduled_at);
            drop(within);
            // It may hold the last of a value: user code.
            run_callback(|| drop(locals), self.scheduled_at);
        }
    }

    fn cancel(&self) {
        if let Some(todo) = self.todo.take() {
            self.cancelled.set(true);
            drop(todo);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }
}

/// `callback`, to be scheduled: it will see the task-locals of now.
pub(crate) fn new_call(
    callback: impl FnOnce() + 'static,
    scheduled_at: &'static Location<'static>,
) -> Rc<dyn Call> {
    let todo = Cell::new(Some((callback, snapshot())));
    Rc::new(Callback { todo, cancelled: Cell::new(false), scheduled_at })
}

/// Runs `callback` in the next turn of the current runtime's loop; asyncio's [`call_soon`].
///
/// Callbacks and tasks that are ready run in the order in which they became so. One that is scheduled while
/// a turn runs waits for the next, behind the I/O: nothing is ever called from within `call_soon`. No task is
/// the [current](crate::task::current) one meanwhile; the task-locals are those of the call to `call_soon`. A
/// panic goes to the hook of [`Builder::on_unhandled`](crate::Builder::on_unhandled), and the loop goes on.
///
/// What is still waiting when [`block_on`](crate::Runtime::block_on) returns runs in the next one; the end of
/// the runtime drops it unrun. [`Handle::call_soon`](crate::Handle::call_soon) is for other threads.
///
/// [`call_soon`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.call_soon
///
/// # Panics
///
/// Outside a runtime. While a runtime ends, the callback is refused: it is dropped, and its handle says
/// that it is cancelled.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// ringloop::run(async {
///     let called = Rc::new(Cell::new(false));
///     let here = called.clone();
///     ringloop::call_soon(move || here.set(true));
///     assert!(!called.get(), "not yet");
///     ringloop::task::yield_now().await;
///     assert!(called.get());
/// });
/// ```
#[track_caller]
pub fn call_soon(callback: impl FnOnce() + 'static) -> CallHandle {
    let deferred = defer(callback, Location::caller());
    let handle = deferred.handle();
    deferred.schedule();
    handle
}

/// A callback of the current runtime that is yet to be scheduled.
#[track_caller]
pub(crate) fn defer(
    callback: impl FnOnce() + 'static,
    scheduled_at: &'static Location<'static>,
) -> Deferred {
    let Some(tasks) = here() else {
        panic!("no ringloop runtime runs on this thread: schedule callbacks within ringloop::run");
    };
    Deferred { tasks, call: new_call(callback, scheduled_at) }
}

/// A callback, and where it will run.
pub(crate) struct Deferred {
    tasks: Rc<Tasks>,
    call: Rc<dyn Call>,
}

impl Deferred {
    /// Queues it, behind whatever is ready.
    pub(crate) fn schedule(self) {
        self.tasks.call(self.call);
    }

    pub(crate) fn handle(&self) -> CallHandle {
        CallHandle { call: self.call.clone() }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.call.is_cancelled()
    }
}

/// A callback that [`call_soon`] scheduled. Dropping the handle changes nothing.
///
/// asyncio's [`Handle`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Handle).
#[derive(Clone)]
pub struct CallHandle {
    call: Rc<dyn Call>,
}

impl CallHandle {
    /// Drops the callback, with what it captured, now, so that it never runs. Does nothing once it has begun.
    pub fn cancel(&self) {
        self.call.cancel();
    }

    /// Whether it was cancelled in time, and so never ran.
    #[doc(alias = "cancelled")]
    pub fn is_cancelled(&self) -> bool {
        self.call.is_cancelled()
    }
}

impl fmt::Debug for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHandle").field("is_cancelled", &self.is_cancelled()).finish()
    }
}
