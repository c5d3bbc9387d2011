//! The one who receives.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::TryRecvError;
use super::chan::Chan;
use crate::sync::seat::Leaves;
use crate::task;

/// Receives what the senders send, in order. Of both kinds of channel.
///
/// Dropping it closes the channel, and drops what was not received.
pub struct Receiver<T> {
    chan: Rc<Chan<T>>,
}

impl<T> Receiver<T> {
    pub(super) fn new(chan: Rc<Chan<T>>) -> Self {
        Self { chan }
    }

    /// Waits for the next value. `None`: there is none and none will come, for all senders are gone or the
    /// channel was [closed](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a value leaves the channel in the very poll that returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::run(async {
    ///     let (sender, mut receiver) = ringloop::sync::mpsc::channel(4);
    ///     sender.send("hello").await.unwrap();
    ///     drop(sender);
    ///     assert_eq!(receiver.recv().await, Some("hello"));
    ///     assert_eq!(receiver.recv().await, None);
    /// });
    /// ```
    pub async fn recv(&mut self) -> Option<T> {
        let _leaves = Leaves(&self.chan.receiver);
        poll_fn(|cx| self.chan.receiver.poll(cx, "mpsc::Receiver::recv", || self.look())).await
    }

    /// As [`recv`](Self::recv), for futures that are written by hand: when it is pending, the waker of
    /// `cx` is woken once, when there is a value or the end.
    ///
    /// Only the waker of the last call is woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// ringloop::run(async {
    ///     let (sender, mut receiver) = ringloop::sync::mpsc::channel(4);
    ///     sender.send("hello").await.unwrap();
    ///     assert_eq!(poll_fn(|cx| receiver.poll_recv(cx)).await, Some("hello"));
    /// });
    /// ```
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.chan.receiver.poll(cx, "mpsc::Receiver::recv", || self.look())
    }

    /// Waits for at least one value, and moves as many as there are, `limit` at most, to the end of
    /// `buffer`. The result is how many; zero is the end, or a `limit` of zero.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: values leave the channel in the very poll that returns.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::run(async {
    ///     let (sender, mut receiver) = ringloop::sync::mpsc::unbounded_channel();
    ///     for number in 0..5 {
    ///         sender.send(number).unwrap();
    ///     }
    ///     let mut numbers = Vec::new();
    ///     assert_eq!(receiver.recv_many(&mut numbers, 3).await, 3);
    ///     assert_eq!(numbers, [0, 1, 2]);
    /// });
    /// ```
    pub async fn recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        let _leaves = Leaves(&self.chan.receiver);
        let count = poll_fn(|cx| {
            self.chan.receiver.poll(cx, "mpsc::Receiver::recv", || {
                match self.chan.pop_many(buffer, limit) {
                    0 => self.chan.is_over().then_some(0),
                    count => Some(count),
                }
            })
        })
        .await;
        // One was counted when it was found.
        task::spend_many(u16::try_from(count.saturating_sub(1)).unwrap_or(u16::MAX));
        count
    }

    /// Takes the next value if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] when there is none yet, [`TryRecvError::Disconnected`] when none will come.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::sync::mpsc::{self, TryRecvError};
    ///
    /// let (sender, mut receiver) = mpsc::channel::<u8>(4);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.look() {
            Some(Some(value)) => Ok(value),
            Some(None) => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Lets nothing more be sent. What has been sent can still be received, and so can what a
    /// [`Permit`](super::Permit) will send; sends that wait for a place fail.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = ringloop::sync::mpsc::channel(4);
    /// sender.try_send(1).unwrap();
    /// receiver.close();
    /// assert!(sender.try_send(2).is_err());
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    pub fn close(&mut self) {
        self.chan.close();
    }

    /// Whether nothing can be sent any more: it was closed, or all senders are gone.
    pub fn is_closed(&self) -> bool {
        self.chan.slots.is_closed() || self.chan.senders.get() == 0
    }

    /// How many values wait to be received.
    pub fn len(&self) -> usize {
        self.chan.len()
    }

    /// Whether no value waits to be received.
    pub fn is_empty(&self) -> bool {
        self.chan.is_empty()
    }

    /// A value, or the end, or nothing yet.
    fn look(&self) -> Option<Option<T>> {
        match self.chan.pop() {
            Some(value) => Some(Some(value)),
            None => self.chan.is_over().then_some(None),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.chan.abandon();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
