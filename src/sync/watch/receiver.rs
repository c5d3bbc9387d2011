//! Those who look at the value.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;

use super::shared::Shared;
use super::{RecvError, Ref};
use crate::task;

/// Sees the value of a watch channel, and remembers which it has seen. Clone it for other tasks.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    seen: u64,
}

impl<T> Receiver<T> {
    /// One that has seen the value of now.
    pub(super) fn new(shared: Rc<Shared<T>>) -> Self {
        let seen = shared.version.get();
        Self::with(shared, seen)
    }

    fn with(shared: Rc<Shared<T>>, seen: u64) -> Self {
        shared.receivers.set(shared.receivers.get() + 1);
        Self { shared, seen }
    }

    /// The value. It does not count as seen: [`changed`](Self::changed) still tells of it.
    ///
    /// # Panics
    ///
    /// Within the closure of a [`send_modify`](super::Sender::send_modify) of the same channel.
    pub fn borrow(&self) -> Ref<T> {
        self.shared.get(self.is_behind())
    }

    /// The value, which counts as seen from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = ringloop::sync::watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow_and_update(), 2);
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// ```
    ///
    /// # Panics
    ///
    /// Within the closure of a [`send_modify`](super::Sender::send_modify) of the same channel.
    pub fn borrow_and_update(&mut self) -> Ref<T> {
        let value = self.borrow();
        self.seen = self.shared.version.get();
        value
    }

    /// Waits for a value that this receiver has not seen, and counts it as seen.
    ///
    /// # Errors
    ///
    /// [`RecvError`] when all senders are gone and the last value has been seen.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a change counts as seen in the very poll that returns.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::run(async {
    ///     let (sender, mut receiver) = ringloop::sync::watch::channel(0);
    ///     ringloop::spawn(async move { sender.send(1) });
    ///     receiver.changed().await.unwrap();
    ///     assert_eq!(*receiver.borrow(), 1);
    ///     assert!(receiver.changed().await.is_err(), "the sender is gone");
    /// });
    /// ```
    pub async fn changed(&mut self) -> Result<(), RecvError> {
        let mut waiting = self.shared.changes.wait("watch::Receiver::changed");
        let shared = &*self.shared;
        let seen = &mut self.seen;
        poll_fn(|cx| {
            waiting.poll(cx, |_| {
                let version = shared.version.get();
                if std::mem::replace(seen, version) != version {
                    return Some(Ok(()));
                }
                (shared.senders.get() == 0).then_some(Err(RecvError))
            })
        })
        .await
    }

    /// Waits for a value for which `condition` is true, beginning with the value of now, which counts as
    /// seen.
    ///
    /// asyncio's nearest is [`Condition.wait_for`].
    ///
    /// [`Condition.wait_for`]: https://docs.python.org/3/library/asyncio-sync.html#asyncio.Condition.wait_for
    ///
    /// # Errors
    ///
    /// [`RecvError`] when all senders are gone and the last value is not it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing; values for which `condition` was false count as seen.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::run(async {
    ///     let (sender, mut receiver) = ringloop::sync::watch::channel(0);
    ///     ringloop::spawn(async move {
    ///         for percent in [25, 50, 75, 100] {
    ///             sender.send(percent).unwrap();
    ///             ringloop::task::yield_now().await;
    ///         }
    ///     });
    ///     let percent = receiver.wait_for(|percent| *percent > 60).await.unwrap();
    ///     assert_eq!(*percent, 75);
    /// });
    /// ```
    pub async fn wait_for(
        &mut self,
        mut condition: impl FnMut(&T) -> bool,
    ) -> Result<Ref<T>, RecvError> {
        task::proceed().await;
        loop {
            let value = self.borrow_and_update();
            if condition(&value) {
                return Ok(value);
            }
            drop(value);
            self.changed().await?;
        }
    }

    /// Whether there is a value that this receiver has not seen.
    ///
    /// # Errors
    ///
    /// [`RecvError`] when all senders are gone and the last value has been seen.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        match self.is_behind() {
            false if self.shared.senders.get() == 0 => Err(RecvError),
            behind => Ok(behind),
        }
    }

    fn is_behind(&self) -> bool {
        self.seen != self.shared.version.get()
    }
}

impl<T> Clone for Receiver<T> {
    /// The clone has seen what this one has.
    fn clone(&self) -> Self {
        Self::with(self.shared.clone(), self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.set(self.shared.receivers.get() - 1);
        if self.shared.receivers.get() == 0 {
            self.shared.ends.tell_all();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("is_behind", &self.is_behind()).finish_non_exhaustive()
    }
}
