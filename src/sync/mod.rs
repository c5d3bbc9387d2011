//! Synchronization between the tasks of one thread: no atomics, no system calls, any executor.
//!
//! Everything here is first come, first served: what is released is handed to whoever waits longest, and
//! a waiter that is dropped after that passes it on.
//!
//! | to … | asyncio's | |
//! |---|---|---|
//! | let one task at a time touch a value | `Lock` | [`Mutex`] |
//! | let many read it, or one write it | | [`RwLock`] |
//! | let so many do something at once | `Semaphore`, `BoundedSemaphore` | [`Semaphore`], [`BoundedSemaphore`] |
//! | wait until something has happened | `Event` | [`Event`] |
//! | wake whoever should look again | | [`Notify`] |
//! | wait for a change of what a mutex guards | `Condition` | [`Condvar`] |
//! | wait for each other | `Barrier` | [`Barrier`] |
//! | make a value when it is first needed | | [`OnceCell`] |
//!
//! To share one among tasks put it into an [`Rc`](std::rc::Rc): none of them leaves its thread. A future or
//! a guard that is forgotten (`std::mem::forget`) takes what it has, or is handed, with it.

mod barrier;
mod bounded;
mod cell;
mod condvar;
mod event;
#[cfg(test)]
mod model;
mod mutex;
mod notify;
mod once_cell;
mod permits;
mod rwlock;
mod semaphore;
mod waiters;

pub use barrier::{Barrier, BarrierWaitResult, BrokenBarrier};
pub use bounded::{BoundedPermit, BoundedSemaphore, OverRelease};
pub use condvar::Condvar;
pub use event::Event;
pub use mutex::{Mutex, MutexGuard, OwnedMutexGuard};
pub use notify::Notify;
pub use once_cell::OnceCell;
pub use rwlock::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
pub use semaphore::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
