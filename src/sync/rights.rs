//! Rights to a number of equal things: free places of a channel, items of a queue.
//!
//! ```text
//!    free ──────────► Right ────────► used up      the place is taken, the item gone
//!     ▲      take      │  │
//!     └────────────────┘  └─ dropped: to the first in line, or free again
//!          give
//! ```
//!
//! A right goes to the first in line, so where somebody waits none is free. Closing makes all rights
//! void that are free or promised: who waits is told so, and who comes later. One that is had is its
//! owner's business: a channel still takes what its permits send.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::line::{Line, Waiting};

pub(crate) struct Rights {
    free: Cell<usize>,
    closed: Cell<bool>,
    line: Line,
}

/// One right. Dropping it gives it back.
pub(crate) struct Right<'a>(&'a Rights);

/// Why there is no right to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// For ever.
    Closed,
    /// All are taken.
    Now,
}

/// The future of [`Rights::take`].
#[must_use = "futures do nothing unless awaited"]
pub(crate) struct Take<'a> {
    rights: &'a Rights,
    waiting: Waiting<'a>,
}

impl Rights {
    pub(crate) const fn new(free: usize) -> Self {
        Self { free: Cell::new(free), closed: Cell::new(false), line: Line::new() }
    }

    #[inline]
    pub(crate) fn try_take(&self) -> Result<Right<'_>, Refused> {
        if self.closed.get() {
            return Err(Refused::Closed);
        }
        let rest = self.free.get().checked_sub(1).ok_or(Refused::Now)?;
        self.free.set(rest);
        Ok(Right(self))
    }

    /// Waits for a right; fails when they are closed. Dropped, it passes on what it was handed.
    #[inline]
    pub(crate) fn take(&self, what: &'static str) -> Take<'_> {
        Take { rights: self, waiting: self.line.wait(what) }
    }

    /// Adds a right.
    #[inline]
    pub(crate) fn give(&self) {
        if !self.closed.get() && !self.line.tell_first() {
            self.free.set(self.free.get() + 1);
        }
    }

    /// After one has entered the line without having looked.
    #[inline(never)]
    fn settle(&self) {
        match self.try_take() {
            // To the first in line.
            Ok(right) => drop(right),
            Err(Refused::Closed) => self.line.tell_all(),
            Err(Refused::Now) => {}
        }
    }

    /// Makes all rights void. [`tell_closed`](Self::tell_closed) must follow.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    /// Wakes all who wait for what will not come.
    pub(crate) fn tell_closed(&self) {
        debug_assert!(self.closed.get());
        self.line.tell_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    pub(crate) fn free(&self) -> usize {
        self.free.get()
    }
}

impl Right<'_> {
    /// It is not given back.
    #[inline]
    pub(crate) fn use_up(self) {
        std::mem::forget(self);
    }
}

impl Drop for Right<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.give();
    }
}

impl<'a> Future for Take<'a> {
    /// An error says that they are closed.
    type Output = Result<Right<'a>, ()>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let rights = self.rights;
        let found = |told| {
            if told && !rights.closed.get() {
                return Some(Ok(Right(rights)));
            }
            match rights.try_take() {
                Ok(right) => Some(Ok(right)),
                Err(Refused::Closed) => Some(Err(())),
                Err(Refused::Now) => None,
            }
        };
        let taken = ready!(self.waiting.poll_in_turn(cx, found, || rights.settle()));
        // Again: a waker was dropped since, perhaps, and has closed them.
        Poll::Ready(if rights.closed.get() { Err(()) } else { taken })
    }
}

impl Drop for Take<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.waiting.leave() {
            self.rights.give();
        }
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rights")
            .field("free", &self.free())
            .field("is_closed", &self.is_closed())
            .field("line", &self.line)
            .finish()
    }
}
