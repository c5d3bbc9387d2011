//! Those who send.

use std::fmt;
use std::rc::Rc;

use super::ring::Shared;
use super::{Receiver, SendError};

/// Sends to all receivers. Clone it for other tasks; when the last is dropped, receivers come to the end.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    pub(super) fn new(shared: Rc<Shared<T>>) -> Self {
        shared.senders.set(shared.senders.get() + 1);
        Self { shared }
    }

    /// Sends a value to all receivers there are, and says how many. It never waits: the oldest value that
    /// is kept makes room if it must.
    ///
    /// That it was sent does not say that it will be received: receivers may lag or be dropped.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the value, when there is no receiver. A later one may
    /// [`subscribe`](Self::subscribe).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = ringloop::sync::broadcast::channel(2);
    /// assert_eq!(sender.send('a'), Ok(1));
    /// drop(receiver);
    /// assert_eq!(sender.send('b').unwrap_err().0, 'b');
    /// ```
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        self.shared.send(value).map_err(SendError)
    }

    /// Another receiver: of what is sent from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _) = ringloop::sync::broadcast::channel(4);
    /// let mut receiver = sender.subscribe();
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(self.shared.clone())
    }

    /// How many values are kept for receivers that have not got them.
    pub fn len(&self) -> usize {
        self.shared.kept()
    }

    /// Whether every value has reached all receivers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers()
    }

    /// Whether both send to the same receivers.
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.senders.set(self.shared.senders.get() - 1);
        if self.shared.senders.get() == 0 {
            self.shared.news.tell_all();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("receivers", &self.receiver_count())
            .finish_non_exhaustive()
    }
}
