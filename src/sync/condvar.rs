//! Waiting for a change of what a mutex guards.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use super::mutex::MutexGuard;
use super::notify::Notice;
use super::waiters::Waiters;
use crate::task::{poll_proceed, spend};
use crate::wait_list::Ticket;

/// Tasks that wait until what a [`Mutex`](super::Mutex) guards has changed; asyncio's [`Condition`].
///
/// It is tied to no mutex: the guard says which one, and several condition variables may share one. To
/// notify one need not hold the lock, but whoever changed the value usually does.
///
/// [`Condition`]: https://docs.python.org/3/library/asyncio-sync.html#asyncio.Condition
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use ringloop::sync::{Condvar, Mutex};
///
/// ringloop::run(async {
///     let shared = Rc::new((Mutex::new(Vec::new()), Condvar::new()));
///     let theirs = shared.clone();
///     let consumer = ringloop::spawn(async move {
///         let (items, arrived) = &*theirs;
///         let items = items.lock().await;
///         let mut items = arrived.wait_while(items, |items| items.is_empty()).await;
///         items.pop()
///     });
///     let (items, arrived) = &*shared;
///     items.lock().await.push("parcel");
///     arrived.notify_one();
///     assert_eq!(consumer.await.unwrap(), Some("parcel"));
/// });
/// ```
#[doc(alias = "Condition")]
pub struct Condvar {
    line: Waiters<(), Notice>,
}

impl Condvar {
    /// With nobody waiting.
    pub const fn new() -> Self {
        Self { line: Waiters::new() }
    }

    /// Unlocks the mutex, waits to be notified, and locks it again.
    ///
    /// It stands in line before the mutex is unlocked, so no change goes unnoticed. It may also wake for no
    /// reason that the caller knows: look at the value again, or use [`wait_while`](Self::wait_while).
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves the mutex unlocked. One that [`notify`](Self::notify) has woken, and that does not
    /// have the lock yet, passes the call on to the next in line.
    pub async fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let place = guard.place();
        let mut turn = Turn { condvar: self, ticket: None, notice: None };
        let mut guard = Some(guard);
        poll_fn(|cx| turn.poll(cx, &mut guard)).await;
        let guard = MutexGuard::again(place).await;
        turn.notice = None;
        guard
    }

    /// Waits as long as `condition` says so of the value, to be asked at once and after each notification.
    ///
    /// # Cancel safety
    ///
    /// As for [`wait`](Self::wait).
    #[doc(alias = "wait_for")]
    pub async fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut *guard) {
            guard = self.wait(guard).await;
        }
        guard
    }

    /// Wakes the `count` tasks that have waited longest, or all if they are fewer. They need the lock to go
    /// on.
    pub fn notify(&self, count: usize) {
        self.line.hand_over_many(count, || Notice::One);
    }

    /// Wakes the task that has waited longest, if one waits.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes all who wait now.
    pub fn notify_all(&self) {
        self.line.hand_over_many(usize::MAX, || Notice::All);
    }
}

/// A wait that has not ended: what it was notified of goes on to the next if it is dropped.
struct Turn<'a> {
    condvar: &'a Condvar,
    ticket: Option<Ticket>,
    /// Taken, while the lock is not.
    notice: Option<Notice>,
}

impl Turn<'_> {
    fn poll<G>(&mut self, cx: &Context<'_>, guard: &mut Option<G>) -> Poll<()> {
        if guard.is_some() {
            // Whatever the budget says: once this was polled, a notification must find it in line.
            let entered =
                self.condvar
                    .line
                    .enter_unless(&mut self.ticket, (), cx, "Condvar::wait", || None::<()>);
            debug_assert!(entered.is_pending());
            drop(guard.take());
            return Poll::Pending;
        }
        ready!(poll_proceed(cx));
        self.notice = Some(ready!(self.condvar.line.poll(&mut self.ticket, cx, "Condvar::wait")));
        spend();
        Poll::Ready(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let handed = self.ticket.take().and_then(|ticket| self.condvar.line.leave(ticket));
        if handed.or(self.notice) == Some(Notice::One) {
            self.condvar.notify_one();
        }
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").field("waiting", &self.line.len()).finish()
    }
}
