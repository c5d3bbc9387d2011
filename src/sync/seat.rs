//! The place of one waiter, where there can be only one: the rules of [`Line`](super::line::Line).

use std::cell::Cell;
use std::task::{Context, Poll, Waker, ready};

use crate::note::{self, On};
use crate::task;

pub(crate) struct Seat(Cell<Option<Waker>>);

impl Seat {
    pub(crate) const fn new() -> Self {
        Self(Cell::new(None))
    }

    /// Waits until `found` finds something.
    #[inline]
    pub(crate) fn poll<R>(
        &self,
        cx: &Context<'_>,
        what: &'static str,
        mut found: impl FnMut() -> Option<R>,
    ) -> Poll<R> {
        ready!(task::poll_proceed(cx));
        let mut result = found();
        if result.is_none() && !self.knows(cx.waker()) {
            let waker = cx.waker().clone();
            result = found();
            match result {
                Some(_) => task::discard(waker),
                None => task::discard(self.0.replace(Some(waker))),
            }
        }
        match result {
            Some(result) => {
                task::spend();
                Poll::Ready(result)
            }
            None => {
                note::waits(what, On::Thing((&raw const *self).addr()));
                Poll::Pending
            }
        }
    }

    /// Wakes whoever sits here, who gets up.
    #[inline]
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            task::wake(waker);
        }
    }

    /// Gets up.
    #[inline]
    pub(crate) fn leave(&self) {
        if let Some(waker) = self.0.take() {
            task::discard(waker);
        }
    }

    fn knows(&self, waker: &Waker) -> bool {
        let sitting = self.0.take();
        let known = sitting.as_ref().is_some_and(|sitting| sitting.will_wake(waker));
        self.0.set(sitting);
        known
    }
}

/// Gets up when it is dropped.
pub(crate) struct Leaves<'a>(pub(crate) &'a Seat);

impl Drop for Leaves<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.leave();
    }
}
