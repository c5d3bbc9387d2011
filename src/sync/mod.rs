//! Synchronization between the tasks of one thread: no atomics, no system calls, any executor.
//!
//! Everything here is first come, first served: what is released is handed to whoever waits longest, and
//! a waiter that is dropped after that passes it on.
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

pub mod broadcast;
pub(crate) mod line;
pub mod mpsc;
pub mod oneshot;
#[cfg(test)]
pub(crate) mod polled;
pub(crate) mod rights;
pub(crate) mod seat;
pub mod watch;
