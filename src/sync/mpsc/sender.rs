//! Those who send.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;

use super::chan::Chan;
use super::permit::Permit;
use super::{SendError, TrySendError};
use crate::sync::rights::Refused;

/// Sends to a bounded [`channel`](super::channel). Clone it for other tasks; when the last is dropped, the
/// receiver comes to the end.
pub struct Sender<T> {
    chan: Rc<Chan<T>>,
}

/// Sends to an [`unbounded_channel`](super::unbounded_channel). Clone it for other tasks; when the last is
/// dropped, the receiver comes to the end.
pub struct UnboundedSender<T> {
    chan: Rc<Chan<T>>,
}

impl<T> Sender<T> {
    /// Sends a value; waits while the channel is full.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the value, when the receiver was closed or dropped, also while this waited.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it sends nothing: the value is dropped with it, and its place in line
    /// goes to the next. To keep the value, [`reserve`](Self::reserve) first.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::run(async {
    ///     let (sender, mut receiver) = ringloop::sync::mpsc::channel(1);
    ///     sender.send(1).await.unwrap();
    ///     assert_eq!(receiver.recv().await, Some(1));
    ///     drop(receiver);
    ///     assert_eq!(sender.send(2).await.unwrap_err().0, 2);
    /// });
    /// ```
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.chan.slots.take("mpsc::Sender::send").await {
            Ok(right) => {
                self.chan.put(right, value);
                Ok(())
            }
            Err(()) => Err(SendError(value)),
        }
    }

    /// Sends a value if there is a place that nobody waits for.
    ///
    /// # Errors
    ///
    /// The value comes back in [`TrySendError::Full`], or in [`TrySendError::Disconnected`] when the
    /// receiver was closed or dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::sync::mpsc::{self, TrySendError};
    ///
    /// let (sender, receiver) = mpsc::channel(1);
    /// sender.try_send(1).unwrap();
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TrySendError::Disconnected(3)));
    /// ```
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.chan.slots.try_take() {
            Ok(right) => {
                self.chan.put(right, value);
                Ok(())
            }
            Err(refused) => Err(because(refused, value)),
        }
    }

    /// Waits for a place and keeps it, for a value that need not be there yet.
    ///
    /// # Errors
    ///
    /// When the receiver was closed or dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: its place goes to the next.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::run(async {
    ///     let (sender, mut receiver) = ringloop::sync::mpsc::channel(1);
    ///     let permit = sender.reserve().await.unwrap();
    ///     assert!(sender.try_send("too late").is_err());
    ///     permit.send("in time");
    ///     assert_eq!(receiver.recv().await, Some("in time"));
    /// });
    /// ```
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        match self.chan.slots.take("mpsc::Sender::send").await {
            Ok(right) => Ok(Permit::new(&self.chan, right)),
            Err(()) => Err(SendError(())),
        }
    }

    /// Keeps a place if there is one that nobody waits for.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`], or [`TrySendError::Disconnected`] when the receiver was closed or dropped.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        match self.chan.slots.try_take() {
            Ok(right) => Ok(Permit::new(&self.chan, right)),
            Err(refused) => Err(because(refused, ())),
        }
    }

    /// How many values could be sent right now without waiting: none once the receiver was closed or
    /// dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = ringloop::sync::mpsc::channel(3);
    /// sender.try_send(1).unwrap();
    /// assert_eq!((sender.capacity(), sender.max_capacity(), sender.len()), (2, 3, 1));
    /// ```
    pub fn capacity(&self) -> usize {
        if self.is_closed() { 0 } else { self.chan.slots.free() }
    }

    /// How many values it holds at most.
    pub fn max_capacity(&self) -> usize {
        self.chan.capacity
    }
}

impl<T> UnboundedSender<T> {
    /// Sends a value. It never waits.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the value, when the receiver was closed or dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = ringloop::sync::mpsc::unbounded_channel();
    /// sender.send(1).unwrap();
    /// drop(receiver);
    /// assert_eq!(sender.send(2).unwrap_err().0, 2);
    /// ```
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.chan.slots.try_take() {
            Ok(right) => {
                self.chan.put(right, value);
                Ok(())
            }
            // Memory ends before the places do.
            Err(_) => Err(SendError(value)),
        }
    }
}

/// What both kinds of sender have.
macro_rules! senders {
    ($($name:ident<T>),+) => {$(
        impl<T> $name<T> {
            pub(super) fn new(chan: Rc<Chan<T>>) -> Self {
                chan.senders.set(chan.senders.get() + 1);
                Self { chan }
            }

            /// Waits until the receiver is closed or dropped: until sending makes no sense any more.
            ///
            /// # Cancel safety
            ///
            /// Dropping it does nothing.
            pub async fn closed(&self) {
                let mut waiting = self.chan.closers.wait("mpsc::Sender::closed");
                poll_fn(|cx| waiting.poll(cx, |_| self.is_closed().then_some(()))).await;
            }

            /// Whether the receiver was closed or dropped.
            pub fn is_closed(&self) -> bool {
                self.chan.slots.is_closed()
            }

            /// How many values wait to be received.
            pub fn len(&self) -> usize {
                self.chan.len()
            }

            /// Whether no value waits to be received.
            pub fn is_empty(&self) -> bool {
                self.chan.is_empty()
            }

            /// Whether both send to the same receiver.
            pub fn same_channel(&self, other: &Self) -> bool {
                Rc::ptr_eq(&self.chan, &other.chan)
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self::new(self.chan.clone())
            }
        }

        impl<T> Drop for $name<T> {
            fn drop(&mut self) {
                self.chan.senders.set(self.chan.senders.get() - 1);
                if self.chan.senders.get() == 0 {
                    self.chan.receiver.wake();
                }
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("len", &self.len())
                    .field("is_closed", &self.is_closed())
                    .finish_non_exhaustive()
            }
        }
    )+};
}

senders!(Sender<T>, UnboundedSender<T>);

fn because<T>(refused: Refused, value: T) -> TrySendError<T> {
    match refused {
        Refused::Closed => TrySendError::Disconnected(value),
        Refused::Now => TrySendError::Full(value),
    }
}
