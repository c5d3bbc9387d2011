//! A call that wakes one, or all who wait.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::waiters::Waiters;
use crate::task::{has_budget, poll_proceed, spend};
use crate::wait_list::Ticket;

/// Wakes a task that waits, or the next that will; tokio's `Notify`.
///
/// asyncio has none; its nearest is an `Event` that each waiter clears. It keeps one permit:
/// [`notify_one`](Self::notify_one) wakes whoever waits longest, and if nobody waits, the next
/// [`notified`](Self::notified) is ready at once. Calls that nobody took in between become one.
///
/// # Examples
///
/// ```
/// use std::cell::RefCell;
/// use std::rc::Rc;
/// use ringloop::sync::Notify;
///
/// ringloop::run(async {
///     let (inbox, news) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Notify::new()));
///     let (letters, bell) = (inbox.clone(), news.clone());
///     let reader = ringloop::spawn(async move {
///         loop {
///             if let Some(letter) = letters.borrow_mut().pop() {
///                 return letter;
///             }
///             bell.notified().await;
///         }
///     });
///     inbox.borrow_mut().push("hello");
///     news.notify_one();
///     assert_eq!(reader.await.unwrap(), "hello");
/// });
/// ```
pub struct Notify {
    /// A call that nobody has taken. Never set while somebody waits.
    stored: Cell<bool>,
    /// Calls of `notify_waiters` so far.
    rounds: Cell<u64>,
    line: Waiters<(), Notice>,
}

/// How a waiter was notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// Alone: if it never sees it, somebody else must.
    One,
    /// With all the others.
    All,
}

impl Notify {
    /// With no permit.
    pub const fn new() -> Self {
        Self { stored: Cell::new(false), rounds: Cell::new(0), line: Waiters::new() }
    }

    /// Wakes whoever waits longest; if nobody does, the next [`notified`](Self::notified) is ready at once.
    pub fn notify_one(&self) {
        if self.line.hand_over(Notice::One).is_err() {
            self.stored.set(true);
        }
    }

    /// Wakes all who wait now, and those whose [`notified`](Self::notified) was called before this even if
    /// it was not polled yet. Stores no permit.
    pub fn notify_waiters(&self) {
        self.rounds.set(self.rounds.get() + 1);
        self.line.hand_over_many(usize::MAX, || Notice::All);
    }

    /// Waits for a call.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in line. One that [`notify_one`](Self::notify_one) has woken passes
    /// the call on: to the next in line, or to who comes next.
    #[inline]
    pub fn notified(&self) -> impl Future<Output = ()> + Unpin {
        Notified { notify: self, rounds: self.rounds.get(), ticket: None }
    }
}

struct Notified<'a> {
    notify: &'a Notify,
    /// How many there were when this was made.
    rounds: u64,
    ticket: Option<Ticket>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { notify, rounds, ticket } = &mut *self;
        if ticket.is_none() && !has_budget() {
            // In line all the same: of two calls for one, none must be stored while two wait.
            let called = || (notify.rounds.get() != *rounds).then_some(());
            if notify.line.enter_unless(ticket, (), cx, "Notify::notified", called).is_ready() {
                // It stays called.
                cx.waker().wake_by_ref();
            } else if notify.stored.replace(false) {
                notify.notify_one();
            }
            return Poll::Pending;
        }
        ready!(poll_proceed(cx));
        if ticket.is_some() {
            ready!(notify.line.poll(ticket, cx, "Notify::notified"));
        } else {
            let at_once = || {
                let called = notify.rounds.get() != *rounds || notify.stored.replace(false);
                called.then_some(())
            };
            ready!(notify.line.enter_unless(ticket, (), cx, "Notify::notified", at_once));
        }
        spend();
        Poll::Ready(())
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take()
            && self.notify.line.leave(ticket) == Some(Notice::One)
        {
            self.notify.notify_one();
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify")
            .field("stored", &self.stored.get())
            .field("waiting", &self.line.len())
            .finish()
    }
}
