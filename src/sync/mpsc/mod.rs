//! Values from many tasks of this thread to one, in the order of sending.
//!
//! [`channel`] is bounded: senders wait while it is full, first come, first served, and a place that
//! becomes free is handed to whoever waits longest. [`unbounded_channel`] never makes a sender wait.
//!
//! ```
//! use ringloop::sync::mpsc;
//!
//! ringloop::run(async {
//!     let (sender, mut receiver) = mpsc::channel(2);
//!     ringloop::spawn(async move {
//!         for number in 0..10 {
//!             sender.send(number).await.unwrap();
//!         }
//!     });
//!     let mut sum = 0;
//!     while let Some(number) = receiver.recv().await {
//!         sum += number;
//!     }
//!     assert_eq!(sum, 45);
//! });
//! ```
//!
//! Where several tasks receive, or somebody waits until all is done, use a [`queue`](crate::queue). Between
//! threads use `tokio::sync::mpsc`.

mod chan;
mod permit;
mod receiver;
mod sender;

pub use std::sync::mpsc::{SendError, TryRecvError, TrySendError};

pub use permit::Permit;
pub use receiver::Receiver;
pub use sender::{Sender, UnboundedSender};

use chan::Chan;

/// A channel that holds at most `capacity` values.
///
/// Memory is taken as values come.
///
/// # Panics
///
/// With a capacity of zero: what has no place cannot be passed on.
///
/// # Examples
///
/// ```
/// use ringloop::sync::mpsc::{self, TrySendError};
///
/// let (sender, mut receiver) = mpsc::channel(1);
/// sender.try_send('a').unwrap();
/// assert_eq!(sender.try_send('b'), Err(TrySendError::Full('b')));
/// assert_eq!(receiver.try_recv(), Ok('a'));
/// ```
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel needs a capacity of at least 1");
    let chan = Chan::new(capacity.min(UNBOUNDED));
    (Sender::new(chan.clone()), Receiver::new(chan))
}

/// A channel that holds whatever is sent, as far as memory goes.
///
/// A receiver that is slower than its senders lets it grow without end; where that can be, use
/// [`channel`].
///
/// # Examples
///
/// ```
/// let (sender, mut receiver) = ringloop::sync::mpsc::unbounded_channel();
/// sender.send(1).unwrap();
/// assert_eq!(receiver.try_recv(), Ok(1));
/// ```
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, Receiver<T>) {
    let chan = Chan::new(UNBOUNDED);
    (UnboundedSender::new(chan.clone()), Receiver::new(chan))
}

/// More than memory holds, with room to count.
const UNBOUNDED: usize = usize::MAX >> 1;

#[cfg(test)]
mod tests;
