//! A line of waiters who are told one thing each: what it means is their primitive's business.
//!
//! It keeps the rules of waiting in one place: wakers are cloned, woken and dropped with nothing
//! borrowed; what a waiter waits for is looked for again after its waker was cloned, for that is user
//! code; and the task's budget is asked before, and charged for what was found. Who has none left stands
//! in line without having looked.

use std::fmt;
use std::task::{Context, Poll, ready};

use super::waiters::Waiters;
use crate::note::{self, On};
use crate::task;
use crate::wait_list::Ticket;

/// First come, first told.
pub(crate) struct Line(Waiters<(), ()>);

/// A waiter, which joins the line when it is first polled in vain. Dropping it leaves.
pub(crate) struct Waiting<'a> {
    line: &'a Line,
    /// What its user called.
    what: &'static str,
    ticket: Option<Ticket>,
}

impl Line {
    pub(crate) const fn new() -> Self {
        Self(Waiters::new())
    }

    #[inline]
    pub(crate) fn wait(&self, what: &'static str) -> Waiting<'_> {
        Waiting { line: self, what, ticket: None }
    }

    /// Tells the first, and wakes it. False: nobody waits.
    #[inline]
    pub(crate) fn tell_first(&self) -> bool {
        !self.0.is_empty() && self.tell()
    }

    #[inline(never)]
    fn tell(&self) -> bool {
        self.0.hand_over(()).is_ok()
    }

    /// Tells all who wait now; who comes while they are being woken waits for the next time.
    pub(crate) fn tell_all(&self) {
        self.0.hand_over_many(usize::MAX, || ());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Waiting<'_> {
    /// Waits until `found` finds something. It is told whether this waiter was told, which is so only
    /// once; it must not run user code.
    #[inline]
    pub(crate) fn poll<R>(
        &mut self,
        cx: &Context<'_>,
        found: impl FnMut(bool) -> Option<R>,
    ) -> Poll<R> {
        self.poll_in_turn(cx, found, || cx.waker().wake_by_ref())
    }

    /// As [`poll`](Self::poll), where what is found now may be gone at the next poll: who has no budget
    /// stands in line all the same, and `settle` tells those in line who can go on.
    #[inline]
    pub(crate) fn poll_in_turn<R>(
        &mut self,
        cx: &Context<'_>,
        mut found: impl FnMut(bool) -> Option<R>,
        settle: impl FnOnce(),
    ) -> Poll<R> {
        if self.ticket.is_some() {
            ready!(task::poll_proceed(cx));
        } else if !task::has_budget() {
            self.enter(cx);
            settle();
            return Poll::Pending;
        } else if let Some(result) = found(false) {
            task::spend();
            return Poll::Ready(result);
        }
        self.poll_in_line(cx, found)
    }

    #[inline(never)]
    fn enter(&mut self, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        self.ticket = Some(self.line.0.borrow().enter((), waker));
        self.note();
    }

    #[inline(never)]
    fn poll_in_line<R>(
        &mut self,
        cx: &Context<'_>,
        mut found: impl FnMut(bool) -> Option<R>,
    ) -> Poll<R> {
        if let Some(result) = self.look(&mut found) {
            return Poll::Ready(result);
        }
        if let Some(ticket) = &self.ticket
            && !self.line.0.borrow().is_stale(ticket, cx.waker())
        {
            self.note();
            return Poll::Pending;
        }
        let waker = cx.waker().clone();
        if let Some(result) = self.look(&mut found) {
            task::discard(waker);
            return Poll::Ready(result);
        }
        let mut list = self.line.0.borrow();
        let old = match &self.ticket {
            Some(ticket) => Some(list.renew(ticket, waker)),
            None => {
                self.ticket = Some(list.enter((), waker));
                None
            }
        };
        drop(list);
        task::discard(old);
        self.note();
        Poll::Pending
    }

    #[inline]
    fn note(&self) {
        note::waits(self.what, On::Thing((&raw const *self.line).addr()));
    }

    fn look<R>(&mut self, found: &mut impl FnMut(bool) -> Option<R>) -> Option<R> {
        let mut list = self.line.0.borrow();
        let told = self.ticket.as_ref().is_some_and(|ticket| list.take(ticket).is_some());
        drop(list);
        if told {
            self.ticket = None;
        }
        let result = found(told)?;
        self.leave();
        task::spend();
        Some(result)
    }

    /// Leaves the line. True: it had been told, and did not listen.
    #[inline]
    pub(crate) fn leave(&mut self) -> bool {
        self.ticket.is_some() && self.leave_line()
    }

    #[inline(never)]
    fn leave_line(&mut self) -> bool {
        let Some(ticket) = self.ticket.take() else { return false };
        self.line.0.leave(ticket).is_some()
    }
}

impl Drop for Waiting<'_> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("waiting", &self.len()).finish()
    }
}
