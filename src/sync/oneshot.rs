//! One value, from one task of this thread to another.
//!
//! ```
//! use ringloop::sync::oneshot;
//!
//! ringloop::run(async {
//!     let (answer, question) = oneshot::channel();
//!     ringloop::spawn(async move { answer.send(42) });
//!     assert_eq!(question.await, Ok(42));
//! });
//! ```
//!
//! As everything in [`sync`](super) it needs no runtime, and no `Send`. Between threads use
//! `tokio::sync::oneshot`.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::seat::Seat;

pub use std::sync::mpsc::{RecvError, TryRecvError};

/// A channel for one value.
///
/// asyncio's programs use a [`Future`] for it.
///
/// [`Future`]: https://docs.python.org/3/library/asyncio-future.html#asyncio.Future
///
/// # Examples
///
/// ```
/// use ringloop::sync::oneshot;
///
/// let (sender, mut receiver) = oneshot::channel();
/// sender.send("value").unwrap();
/// assert_eq!(receiver.try_recv(), Ok("value"));
/// ```
#[doc(alias = "create_future")]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        value: Cell::new(None),
        sender_gone: Cell::new(false),
        closed: Cell::new(false),
        receiver: Seat::new(),
        sender: Seat::new(),
    });
    (Sender { shared: shared.clone() }, Receiver { shared })
}

/// Sends the value. Dropping it unsent tells the receiver.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

/// A future of the value.
///
/// It ends with [`RecvError`] when the sender was dropped without having sent, and when the value has
/// been taken before.
///
/// # Cancel safety
///
/// Dropping it closes the channel, and drops a value that was sent; polled by reference
/// (`(&mut receiver).await`) it loses nothing.
#[must_use = "dropping it closes the channel"]
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
}

struct Shared<T> {
    value: Cell<Option<T>>,
    sender_gone: Cell<bool>,
    /// By the receiver: nothing may be sent.
    closed: Cell<bool>,
    receiver: Seat,
    sender: Seat,
}

impl<T> Shared<T> {
    fn take(&self) -> Result<T, TryRecvError> {
        match self.value.take() {
            Some(value) => Ok(value),
            None if self.sender_gone.get() || self.closed.get() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    fn close(&self) {
        if !self.closed.replace(true) {
            self.sender.wake();
        }
    }
}

impl<T> Sender<T> {
    /// Sends the value and wakes the receiver. It never waits.
    ///
    /// That it was sent does not say that it will be received: the receiver may still be dropped.
    ///
    /// # Errors
    ///
    /// The value, when the receiver has been closed or dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = ringloop::sync::oneshot::channel();
    /// drop(receiver);
    /// assert_eq!(sender.send(7), Err(7));
    /// ```
    #[doc(alias = "set_result")]
    pub fn send(self, value: T) -> Result<(), T> {
        if self.shared.closed.get() {
            return Err(value);
        }
        self.shared.value.set(Some(value));
        // Dropping `self` wakes the receiver.
        Ok(())
    }

    /// Waits until the receiver is closed or dropped: until nobody wants the value any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping it does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::run(async {
    ///     let (mut sender, receiver) = ringloop::sync::oneshot::channel::<u8>();
    ///     ringloop::spawn(async move { drop(receiver) });
    ///     sender.closed().await;
    ///     assert!(sender.is_closed());
    /// });
    /// ```
    pub async fn closed(&mut self) {
        let seat = &self.shared.sender;
        let _leaves = super::seat::Leaves(seat);
        poll_fn(|cx| {
            seat.poll(cx, "oneshot::Sender::closed", || self.shared.closed.get().then_some(()))
        })
        .await;
    }

    /// Whether the receiver was closed or dropped.
    #[doc(alias = "cancelled")]
    pub fn is_closed(&self) -> bool {
        self.shared.closed.get()
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.sender_gone.set(true);
        self.shared.receiver.wake();
    }
}

impl<T> Receiver<T> {
    /// Takes the value if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] when it may still come, [`TryRecvError::Disconnected`] when it will not.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::sync::oneshot::{self, TryRecvError};
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(7).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(7));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.shared.take()
    }

    /// Refuses a value that has not been sent yet; one that has been sent can still be received.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = ringloop::sync::oneshot::channel();
    /// receiver.close();
    /// assert_eq!(sender.send(7), Err(7));
    /// assert!(receiver.try_recv().is_err());
    /// ```
    pub fn close(&mut self) {
        self.shared.close();
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.shared.receiver.poll(cx, "oneshot::Receiver", || match self.shared.take() {
            Ok(value) => Some(Ok(value)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        })
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receiver.leave();
        self.shared.close();
        // User code, and last.
        drop(self.shared.take());
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.shared;
        f.debug_struct("Receiver")
            .field("is_closed", &shared.closed.get())
            .field("sender_gone", &shared.sender_gone.get())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "oneshot/tests.rs"]
mod tests;
