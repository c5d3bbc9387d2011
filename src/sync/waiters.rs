//! A list of waiters of one thread, with the care that other people's wakers need.
//!
//! A waker may come back into the same primitive from its `clone`, its `wake` and its `drop`, and panic
//! there: whatever ran one looks at the list again afterwards, with nothing borrowed meanwhile.

use std::cell::{RefCell, RefMut};
use std::marker::PhantomData;
use std::task::{Context, Poll};

use crate::note::{self, On};
use crate::task::{discard, wake};
use crate::wait_list::{Left, Ticket, WaitList};

/// Waiters that need an `N` each, and are handed a `G`; both are plain data.
pub(super) struct Waiters<N, G> {
    list: RefCell<WaitList<N, G>>,
    /// Neither `Send` nor `Sync`: its waiters are tasks of one thread.
    _here: PhantomData<*mut ()>,
}

impl<N, G> Waiters<N, G> {
    pub(super) const fn new() -> Self {
        Self { list: RefCell::new(WaitList::new()), _here: PhantomData }
    }

    /// The list, for as long as no waker runs.
    pub(super) fn borrow(&self) -> RefMut<'_, WaitList<N, G>> {
        self.list.borrow_mut()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.list.borrow().len()
    }

    /// What `at_once` finds, else a place as the last.
    ///
    /// `at_once` is asked again after the waker was cloned, for that may have changed the answer.
    #[inline]
    pub(super) fn enter_unless<T>(
        &self,
        ticket: &mut Option<Ticket>,
        need: N,
        cx: &Context<'_>,
        what: &'static str,
        mut at_once: impl FnMut() -> Option<T>,
    ) -> Poll<T> {
        debug_assert!(ticket.is_none(), "it has a place already");
        if let Some(found) = at_once() {
            return Poll::Ready(found);
        }
        let waker = cx.waker().clone();
        if let Some(found) = at_once() {
            discard(waker);
            return Poll::Ready(found);
        }
        *ticket = Some(self.borrow().enter(need, waker));
        self.note(what);
        Poll::Pending
    }

    /// A place as the last, for one who has no budget to look. Whoever calls hands over what is there
    /// already: that wakes the newcomer if it can go on.
    #[inline(never)]
    pub(super) fn enter(
        &self,
        ticket: &mut Option<Ticket>,
        need: N,
        cx: &Context<'_>,
        what: &'static str,
    ) {
        debug_assert!(ticket.is_none(), "it has a place already");
        let waker = cx.waker().clone();
        *ticket = Some(self.borrow().enter(need, waker));
        self.note(what);
    }

    /// What the waiter was handed; its ticket is gone then. Else it is woken by `cx` from now on.
    pub(super) fn poll(
        &self,
        ticket: &mut Option<Ticket>,
        cx: &Context<'_>,
        what: &'static str,
    ) -> Poll<G> {
        let place = ticket.as_ref().expect("it has a place");
        let mut list = self.borrow();
        let mut gift = list.take(place);
        if gift.is_none() && list.is_stale(place, cx.waker()) {
            drop(list);
            let new = cx.waker().clone();
            let mut list = self.borrow();
            let old = list.renew(place, new);
            gift = list.take(place);
            drop(list);
            discard(old);
        }
        match gift {
            Some(gift) => {
                *ticket = None;
                Poll::Ready(gift)
            }
            None => {
                self.note(what);
                Poll::Pending
            }
        }
    }

    #[inline]
    fn note(&self, what: &'static str) {
        note::waits(what, On::Thing((&raw const *self).addr()));
    }

    /// Takes out a waiter that is dropped: what it had been handed, for the caller to pass on.
    pub(super) fn leave(&self, ticket: Ticket) -> Option<G> {
        let left = self.borrow().leave(ticket);
        match left {
            Left::Handed(gift) => Some(gift),
            Left::Waiting { waker, .. } => {
                discard(waker);
                None
            }
        }
    }

    /// Hands `gift` to the first in line and wakes it; gives it back if nobody waits.
    pub(super) fn hand_over(&self, gift: G) -> Result<(), G> {
        let waker = self.borrow().hand_over(gift)?;
        wake(waker);
        Ok(())
    }

    /// Hands a gift to each of the first `count`, in one step, and wakes them one by one.
    pub(super) fn hand_over_many(&self, count: usize, gift: impl FnMut() -> G) {
        self.borrow().hand_over_many(count, gift);
        self.tell();
    }

    /// Wakes all who were handed something and were not told; a waker that comes back here may do it for
    /// us.
    pub(super) fn tell(&self) {
        loop {
            let next = self.borrow().next_untold();
            let Some(waker) = next else { return };
            wake(waker);
        }
    }
}
