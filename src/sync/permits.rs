//! Permits, and the line of those who wait for some: the core of `Semaphore`, `Mutex`, `RwLock` and
//! `OnceCell`.
//!
//! ```text
//!                 n <= free, nobody waits
//!   Taking ───────────────────────────────► permits of the taker, until it gives them back
//!      │ else: the last in line                  ▲
//!      ▼          free reaches the need          │ poll
//!   waits ───────────────────────────────► handed over, and woken
//! ```
//!
//! Permits are handed to the first in line and to nobody past it. Whenever user code runs, either the
//! first needs more than there are, or the frame that is to hand it over stands further up the stack.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use super::waiters::Waiters;
use crate::task::{discard, has_budget, poll_proceed, spend, wake};
use crate::wait_list::{Left, Ticket};

pub(super) struct Permits {
    free: Cell<usize>,
    line: Waiters<usize, ()>,
}

/// Whoever leads to permits: a borrow, or an `Rc`.
pub(super) trait Lender: Clone {
    fn permits(&self) -> &Permits;
}

impl<L: Lends + ?Sized> Lender for &L {
    #[inline]
    fn permits(&self) -> &Permits {
        L::permits(self)
    }
}

impl<L: Lends + ?Sized> Lender for Rc<L> {
    #[inline]
    fn permits(&self) -> &Permits {
        L::permits(self)
    }
}

/// What has permits.
pub(super) trait Lends {
    fn permits(&self) -> &Permits;
}

impl Permits {
    /// So many that a sum of a few of them is still a number.
    pub(super) const MAX: usize = usize::MAX >> 3;

    pub(super) const fn new(free: usize) -> Self {
        assert!(free <= Self::MAX, "a semaphore has at most Semaphore::MAX_PERMITS permits");
        Self { free: Cell::new(free), line: Waiters::new() }
    }

    /// How many nobody has.
    pub(super) fn free(&self) -> usize {
        self.free.get()
    }

    /// Whether a newcomer could not have one at once.
    pub(super) fn is_exhausted(&self) -> bool {
        self.free.get() == 0 || !self.line.is_empty()
    }

    #[inline]
    pub(super) fn try_take(&self, count: usize) -> bool {
        let free = self.free.get();
        let fits = free >= count && self.line.is_empty();
        if fits {
            self.free.set(free - count);
        }
        fits
    }

    /// What would be free beyond [`MAX`](Self::MAX) is lost: guards give back in their drop, which must
    /// not panic.
    #[inline]
    pub(super) fn give(&self, count: usize) {
        self.free.set(self.free.get().saturating_add(count).min(Self::MAX));
        if !self.line.is_empty() {
            self.settle();
        }
    }

    /// Takes away up to `count` that nobody has: how many.
    pub(super) fn withdraw(&self, count: usize) -> usize {
        let free = self.free.get();
        let gone = free.min(count);
        self.free.set(free - gone);
        gone
    }

    /// Hands out what is free, to the first in line while there is enough for it.
    #[inline(never)]
    fn settle(&self) {
        while let Some(waker) = self.hand_over() {
            wake(waker);
        }
    }

    fn hand_over(&self) -> Option<Waker> {
        let mut line = self.line.borrow();
        let rest = self.free.get().checked_sub(*line.first()?)?;
        self.free.set(rest);
        line.hand_over(()).ok()
    }

    /// Not inlined, so that a poll that need not wait saves few registers.
    #[inline(never)]
    fn poll_take(
        &self,
        ticket: &mut Option<Ticket>,
        need: usize,
        cx: &Context<'_>,
        what: &'static str,
    ) -> Poll<()> {
        if ticket.is_none() && !has_budget() {
            // First come, first served, also where the task must let others run first.
            self.line.enter(ticket, need, cx, what);
            self.settle();
            return Poll::Pending;
        }
        ready!(poll_proceed(cx));
        if ticket.is_some() {
            self.line.poll(ticket, cx, what)
        } else {
            self.line.enter_unless(ticket, need, cx, what, || self.try_take(need).then_some(()))
        }
    }

    /// Takes out a waiter that is dropped; what it had goes on, and so does who stood behind it.
    fn leave(&self, ticket: Ticket, need: usize) {
        let left = self.line.borrow().leave(ticket);
        match left {
            Left::Handed(()) => self.give(need),
            Left::Waiting { waker, was_first } => {
                if was_first {
                    self.settle();
                }
                discard(waker);
            }
        }
    }
}

/// Waits for permits, then makes something of the place that they come from.
pub(super) struct Taking<P: Lender, F> {
    place: P,
    need: usize,
    /// What its user called.
    what: &'static str,
    ticket: Option<Ticket>,
    make: F,
}

impl<P: Lender, F> Taking<P, F> {
    #[inline]
    pub(super) fn new(place: P, need: usize, what: &'static str, make: F) -> Self {
        Self { place, need, what, ticket: None, make }
    }
}

/// Nothing in it is polled in place.
impl<P: Lender, F> Unpin for Taking<P, F> {}

impl<P: Lender, F: FnMut(P, usize) -> T, T> Future for Taking<P, F> {
    type Output = T;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let at_once = this.ticket.is_none() && has_budget();
        if !(at_once && this.place.permits().try_take(this.need)) {
            ready!(this.place.permits().poll_take(&mut this.ticket, this.need, cx, this.what));
        }
        spend();
        Poll::Ready((this.make)(this.place.clone(), this.need))
    }
}

impl<P: Lender, F> Drop for Taking<P, F> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.place.permits().leave(ticket, self.need);
        }
    }
}

/// Permits that somebody has; they go back when it is dropped.
#[derive(Debug)]
pub(super) struct Held<P: Lender> {
    pub(super) place: P,
    count: usize,
}

impl<P: Lender> Held<P> {
    /// Of permits that were just taken there.
    #[inline]
    pub(super) fn new(place: P, count: usize) -> Self {
        Self { place, count }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Never gives them back: how many.
    pub(super) fn forget(&mut self) -> usize {
        std::mem::take(&mut self.count)
    }

    pub(super) fn split(&mut self, count: usize) -> Option<Self> {
        self.count = self.count.checked_sub(count)?;
        Some(Self { place: self.place.clone(), count })
    }

    pub(super) fn merge(&mut self, mut other: Self) {
        assert!(
            std::ptr::eq(self.place.permits(), other.place.permits()),
            "merge permits of one semaphore only: these are of two"
        );
        self.count = self.count.saturating_add(other.forget());
    }
}

impl<P: Lender> Drop for Held<P> {
    #[inline]
    fn drop(&mut self) {
        let count = self.forget();
        if count > 0 {
            self.place.permits().give(count);
        }
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permits")
            .field("free", &self.free.get())
            .field("waiting", &self.line.len())
            .finish()
    }
}
