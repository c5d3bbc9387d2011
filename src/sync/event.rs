//! A flag that tasks wait for.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::waiters::Waiters;
use crate::task::{has_budget, poll_proceed, spend};
use crate::wait_list::Ticket;

/// A flag that is set or not, and that tasks wait for; asyncio's [`Event`].
///
/// [`Event`]: https://docs.python.org/3/library/asyncio-sync.html#asyncio.Event
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use ringloop::sync::Event;
///
/// ringloop::run(async {
///     let ready = Rc::new(Event::new());
///     let seen = ready.clone();
///     let waiter = ringloop::spawn(async move { seen.wait().await });
///     ready.set();
///     waiter.await.unwrap();
///     ready.wait().await; // it is set: at once
/// });
/// ```
pub struct Event {
    set: Cell<bool>,
    line: Waiters<(), ()>,
}

impl Event {
    /// An event that is not set.
    pub const fn new() -> Self {
        Self { set: Cell::new(false), line: Waiters::new() }
    }

    /// Sets it, and wakes all who wait now: they have their event even if [`clear`](Self::clear) follows
    /// before they run.
    pub fn set(&self) {
        if !self.set.replace(true) {
            self.line.hand_over_many(usize::MAX, || ());
        }
    }

    /// Takes the flag back: who comes from now on waits for the next [`set`](Self::set).
    pub fn clear(&self) {
        self.set.set(false);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.set.get()
    }

    /// Waits until it is set; at once if it is.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes nothing from anybody.
    #[inline]
    pub fn wait(&self) -> impl Future<Output = ()> + Unpin {
        Wait { event: self, ticket: None }
    }
}

struct Wait<'a> {
    event: &'a Event,
    ticket: Option<Ticket>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { event, ticket } = &mut *self;
        if ticket.is_none() && !has_budget() {
            // In line all the same: a `set` that a `clear` follows must find it.
            event.line.enter(ticket, (), cx, "Event::wait");
            if event.set.get() {
                event.line.hand_over_many(usize::MAX, || ());
            }
            return Poll::Pending;
        }
        ready!(poll_proceed(cx));
        if ticket.is_some() {
            ready!(event.line.poll(ticket, cx, "Event::wait"));
        } else {
            let at_once = || event.set.get().then_some(());
            ready!(event.line.enter_unless(ticket, (), cx, "Event::wait", at_once));
        }
        spend();
        Poll::Ready(())
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.event.line.leave(ticket);
        }
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("is_set", &self.is_set())
            .field("waiting", &self.line.len())
            .finish()
    }
}
