//! Synchronization between the tasks of one thread: no atomics, no system calls, any executor.
//!
//! Everything here is first come, first served: what is released is handed to whoever waits longest, and
//! a waiter that is dropped after that passes it on.

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
