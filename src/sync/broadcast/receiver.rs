//! Those who receive.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;

use super::ring::Shared;
use super::{RecvError, TryRecvError};

/// Receives every value that is sent while it lives, unless it is too slow.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// Number of the value that is its next.
    next: u64,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Rc<Shared<T>>) -> Self {
        let next = shared.join();
        Self { shared, next }
    }

    /// Another receiver: of what is sent from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = ringloop::sync::broadcast::channel(4);
    /// sender.send(1).unwrap();
    /// let mut other = receiver.resubscribe();
    /// sender.send(2).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(other.try_recv(), Ok(2));
    /// ```
    pub fn resubscribe(&self) -> Self {
        Self::new(self.shared.clone())
    }

    /// How many values it has not received, those that it has lost included.
    pub fn len(&self) -> usize {
        usize::try_from(self.shared.behind(self.next)).unwrap_or(usize::MAX)
    }

    /// Whether it has received everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all senders are gone: what is there can still be received.
    pub fn is_closed(&self) -> bool {
        self.shared.senders.get() == 0
    }
}

impl<T: Clone> Receiver<T> {
    /// Waits for the next value. The last receiver that it reaches gets the value itself, the others a
    /// clone.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`], once, when values are lost to this receiver; [`RecvError::Closed`] when all
    /// senders are gone and everything has been received.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a value counts as received in the very poll that returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::sync::broadcast::{self, RecvError};
    ///
    /// ringloop::run(async {
    ///     let (sender, mut receiver) = broadcast::channel(8);
    ///     ringloop::spawn(async move { sender.send("news") });
    ///     assert_eq!(receiver.recv().await, Ok("news"));
    ///     assert_eq!(receiver.recv().await, Err(RecvError::Closed));
    /// });
    /// ```
    pub async fn recv(&mut self) -> Result<T, RecvError> {
        loop {
            let (shared, next) = (&*self.shared, self.next);
            let mut waiting = shared.news.wait("broadcast::Receiver::recv");
            poll_fn(|cx| waiting.poll(cx, |_| shared.has_news(next).then_some(()))).await;
            // Cloning is user code, so it is not done in line.
            if let Some(result) = shared.get(&mut self.next) {
                return result;
            }
        }
    }

    /// Takes the next value if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] when there is none yet, and those of [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let found = self.shared.get(&mut self.next).ok_or(TryRecvError::Empty)?;
        found.map_err(TryRecvError::from)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.part(self.next);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}
