//! A place in a channel that is kept for a value to come.

use std::fmt;

use super::chan::Chan;
use crate::sync::rights::Right;

/// A place that is kept for one value; see [`Sender::reserve`](super::Sender::reserve).
///
/// Dropping it gives the place to the next sender. Forgetting it loses the place for good.
#[must_use = "dropping it gives the place back"]
pub struct Permit<'a, T> {
    /// `None` once it has sent.
    right: Option<Right<'a>>,
    chan: &'a Chan<T>,
}

impl<'a, T> Permit<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>, right: Right<'a>) -> Self {
        chan.permits.set(chan.permits.get() + 1);
        Self { right: Some(right), chan }
    }

    /// Sends the value: it never waits and never fails.
    ///
    /// The receiver waits for permits even after it has closed the channel. If it has been dropped, the
    /// value is dropped as well.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = ringloop::sync::mpsc::channel(1);
    /// let permit = sender.try_reserve().unwrap();
    /// receiver.close();
    /// permit.send(1);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    pub fn send(mut self, value: T) {
        if let Some(right) = self.right.take() {
            self.chan.put(right, value);
        }
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.chan.permits.set(self.chan.permits.get() - 1);
        drop(self.right.take());
        if self.chan.is_over() {
            self.chan.receiver.wake();
        }
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
