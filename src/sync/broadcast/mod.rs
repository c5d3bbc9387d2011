//! Each value to each of many tasks of this thread.
//!
//! The channel keeps the last `capacity` values for receivers that are slow. A sender never waits: who is
//! slower than that loses the oldest, and is told how many, by [`RecvError::Lagged`].
//!
//! ```
//! use ringloop::sync::broadcast;
//!
//! ringloop::run(async {
//!     let (sender, mut alice) = broadcast::channel(16);
//!     let mut bob = sender.subscribe();
//!     sender.send("hello").unwrap();
//!     assert_eq!(alice.recv().await, Ok("hello"));
//!     assert_eq!(bob.recv().await, Ok("hello"));
//! });
//! ```
//!
//! Between threads use `tokio::sync::broadcast`.

mod error;
mod receiver;
mod ring;
mod sender;

pub use std::sync::mpsc::SendError;

pub use error::{RecvError, TryRecvError};
pub use receiver::Receiver;
pub use sender::Sender;

use ring::Shared;

/// A channel that keeps the last `capacity` values.
///
/// # Panics
///
/// With a capacity of zero.
///
/// # Examples
///
/// ```
/// use ringloop::sync::broadcast::{self, TryRecvError};
///
/// let (sender, mut receiver) = broadcast::channel(2);
/// for number in 1..=3 {
///     sender.send(number).unwrap();
/// }
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Lagged(1)));
/// assert_eq!(receiver.try_recv(), Ok(2));
/// assert_eq!(receiver.try_recv(), Ok(3));
/// ```
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a broadcast channel needs a capacity of at least 1");
    let shared = Shared::new(capacity);
    (Sender::new(shared.clone()), Receiver::new(shared))
}

#[cfg(test)]
mod tests;
