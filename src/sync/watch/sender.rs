//! Those who set the value.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;

use super::shared::Shared;
use super::{Receiver, Ref, SendError};

/// Sets the value of a watch channel. Clone it for other tasks; when the last is dropped, receivers that
/// wait are told.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    pub(super) fn new(shared: Rc<Shared<T>>) -> Self {
        shared.senders.set(shared.senders.get() + 1);
        Self { shared }
    }

    /// Sets the value and wakes all who wait for a change.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the value, which is not set, when there is no receiver. To set it all the same,
    /// use [`send_replace`](Self::send_replace).
    ///
    /// # Panics
    ///
    /// Within the closure of a [`send_modify`](Self::send_modify) of the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = ringloop::sync::watch::channel(0);
    /// sender.send(1).unwrap();
    /// drop(receiver);
    /// assert_eq!(sender.send(2).unwrap_err().0, 2);
    /// ```
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        self.send_replace(value);
        Ok(())
    }

    /// Sets the value, whether or not there is a receiver, and wakes all who wait for a change. The value
    /// before is dropped after that, or with the last [`Ref`] of it.
    ///
    /// # Panics
    ///
    /// Within the closure of a [`send_modify`](Self::send_modify) of the same channel.
    pub fn send_replace(&self, value: T) {
        let old = self.shared.replace(value);
        self.shared.announce();
        // User code, and last.
        drop(old);
    }

    /// Changes the value in its place and wakes all who wait for a change.
    ///
    /// # Panics
    ///
    /// When a [`Ref`] of the value is held, when the closure uses this channel, and when it panics: then
    /// nobody is told.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = ringloop::sync::watch::channel(vec![1]);
    /// sender.send_modify(|list| list.push(2));
    /// assert_eq!(*receiver.borrow(), [1, 2]);
    /// ```
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.shared.modify(change);
        self.shared.announce();
    }

    /// As [`send_modify`](Self::send_modify), where the closure says whether it has changed anything: only
    /// then is anybody told. The result is what it said.
    ///
    /// # Panics
    ///
    /// As [`send_modify`](Self::send_modify).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = ringloop::sync::watch::channel(5);
    /// assert!(!sender.send_if_modified(|most| 3 > *most));
    /// assert!(sender.send_if_modified(|most| {
    ///     *most = 7;
    ///     true
    /// }));
    /// assert_eq!(*receiver.borrow(), 7);
    /// ```
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let changed = self.shared.modify(change);
        if changed {
            self.shared.announce();
        }
        changed
    }

    /// The value.
    ///
    /// # Panics
    ///
    /// Within the closure of a [`send_modify`](Self::send_modify) of the same channel.
    pub fn borrow(&self) -> Ref<T> {
        self.shared.get(false)
    }

    /// Another receiver, which has seen the value of now.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _) = ringloop::sync::watch::channel("first");
    /// let receiver = sender.subscribe();
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// sender.send("second").unwrap();
    /// assert_eq!(receiver.has_changed(), Ok(true));
    /// ```
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(self.shared.clone())
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// Dropping it does nothing.
    pub async fn closed(&self) {
        let mut waiting = self.shared.ends.wait("watch::Sender::closed");
        poll_fn(|cx| waiting.poll(cx, |_| self.is_closed().then_some(()))).await;
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.get()
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
            self.shared.changes.tell_all();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("receivers", &self.receiver_count()).finish_non_exhaustive()
    }
}
