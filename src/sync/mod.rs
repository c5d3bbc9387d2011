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
//! Between tasks: [`oneshot`], [`mpsc`], [`watch`], [`broadcast`].
//!
//! One poll of a ringloop task takes 128 results at most; then whatever it awaits is pending, so that others
//! run. That includes what runs within that poll: another executor's `block_on` inside a task gets no more
//! than the task has left, and then polls in vain for ever. Under another executor's own tasks there is no limit.
//!
//! # Between threads
//!
//! What is here belongs to one thread. Between threads use [`tokio::sync`], the well-kept library: it needs
//! no runtime of its own, and its futures run on ringloop as they are, for ringloop's wakers may be woken
//! from anywhere. It is not re-exported, so that whoever does not need it does not build it:
//!
//! ```toml
//! tokio = { version = "1", default-features = false, features = ["sync"] }
//! ```
//!
//! ```
//! let (sender, mut receiver) = tokio::sync::mpsc::channel(16);
//! let producer = std::thread::spawn(move || {
//!     ringloop::run(async move {
//!         for number in 0..100 {
//!             sender.send(number).await.unwrap();
//!         }
//!     })
//! });
//! let sum = ringloop::run(async move {
//!     let mut sum = 0;
//!     while let Some(number) = receiver.recv().await {
//!         sum += number;
//!     }
//!     sum
//! });
//! assert_eq!(sum, 4950);
//! producer.join().unwrap();
//! ```
//!
//! [`tokio::sync`]: https://docs.rs/tokio/1/tokio/sync/index.html

mod barrier;
mod bounded;
pub mod broadcast;
mod cell;
mod condvar;
mod event;
pub(crate) mod line;
#[cfg(test)]
mod model;
pub mod mpsc;
mod mutex;
mod notify;
mod once_cell;
pub mod oneshot;
mod permits;
#[cfg(test)]
pub(crate) mod polled;
pub(crate) mod rights;
mod rwlock;
pub(crate) mod seat;
mod semaphore;
mod waiters;
pub mod watch;

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
