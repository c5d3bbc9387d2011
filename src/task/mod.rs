//! Tasks: a whole executor that has never heard of I/O.
//!
//! ```text
//!   Waker = Address { home, generation, index }      no pointer, no count, nothing to dangle
//!      │ wake
//!      ├─ home is this thread's ──► Tasks::ready (a queue of addresses)
//!      └─ another thread's ───────► that home's Mail: one bit a task, and the bell if it sleeps
//!                                        │ collected once a turn
//!   Tasks::run ◄─────────────────────────┘  polls what was ready when the turn began
//! ```
//!
//! - `Tasks` owns the tasks of one thread: a slab of `TaskCell`s behind `Rc<dyn Run>`.
//! - A task's future, then its output, stand in one allocation that its [`JoinHandle`] shares.
//! - Panics of a poll or of a drop stay in the task and come out of its `JoinHandle`; those that nobody asks for are
//!   reported when the last holder of the task lets go (`unhandled`).

mod budget;
mod calls;
mod cancel;
mod cancel_on_drop;
mod cell;
mod group;
mod home;
mod info;
mod join;
mod join_set;
mod local;
mod locals;
mod mail;
mod ready_set;
mod remote;
mod table;
mod tasks;
mod unhandled;
mod waker;
mod watch;
mod yield_now;

pub(crate) use budget::{has_budget, poll_proceed, proceed, spend, spend_many};
pub(crate) use calls::{Call, Deferred, defer, new_call};
pub(crate) use cell::quietly;
pub(crate) use home::HomeRef;
pub(crate) use local::Entered;
pub(crate) use ready_set::ReadySet;
pub(crate) use remote::remote;
pub(crate) use tasks::{Ran, Tasks};
pub(crate) use unhandled::{Hook, report_caught, report_error, run_callback};
pub(crate) use watch::{Unwatched, Watch};

pub use calls::{CallHandle, call_soon};
pub use cancel::{CancelToken, Cancelled, DropGuard};
pub use cancel_on_drop::{CancelOnDrop, shield};
pub use group::{ChildHandle, GroupError, TaskGroup};
pub use info::{TaskInfo, all, current};
pub use join::{JoinError, JoinHandle, TaskId};
pub use join_set::JoinSet;
pub use local::{Spawn, spawn};
pub use locals::{AccessError, LocalKey};
pub use remote::RemoteJoinHandle;
pub use unhandled::{Unhandled, spawn_reporting};
pub use yield_now::{YieldNow, yield_now};

/// Wakes whoever it is. A waker that is not ours may panic: the hook has printed it, the loop lives.
pub(crate) fn wake(waker: std::task::Waker) {
    quietly(|| waker.wake());
}

/// Drops a waker that nobody needs any more. One that is not ours may panic in that as well: whoever
/// takes its place must not suffer from it.
pub(crate) fn discard(waker: impl Into<Option<std::task::Waker>>) {
    let waker = waker.into();
    quietly(|| drop(waker));
}
