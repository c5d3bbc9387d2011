//! The latest of a value, for many tasks of this thread: settings, a state, a progress.
//!
//! A receiver sees the latest value, not each: what was replaced before it looked is gone. Where each value
//! counts, use [`broadcast`](super::broadcast).
//!
//! ```
//! use ringloop::sync::watch;
//!
//! ringloop::run(async {
//!     let (sender, mut receiver) = watch::channel("starting");
//!     ringloop::spawn(async move { sender.send("ready") });
//!     receiver.wait_for(|state| *state == "ready").await.unwrap();
//! });
//! ```
//!
//! Between threads use `tokio::sync::watch`.

mod receiver;
mod sender;
mod shared;

pub use std::sync::mpsc::{RecvError, SendError};

pub use receiver::Receiver;
pub use sender::Sender;
pub use shared::Ref;

use shared::Shared;

/// A channel that holds `value` at first, which its receiver has seen.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = ringloop::sync::watch::channel(1);
/// assert_eq!(*receiver.borrow(), 1);
/// sender.send(2).unwrap();
/// assert_eq!(*receiver.borrow(), 2);
/// ```
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Shared::new(value);
    (Sender::new(shared.clone()), Receiver::new(shared))
}

#[cfg(test)]
mod tests;
