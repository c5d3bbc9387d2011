//! Whose turn it is to take what has come: first come, first served.
//!
//! What comes stays where it is until its taker takes it, so nothing is lost with a taker that was woken
//! and is dropped, or forgotten. Those who come later stand behind one that was woken, until the turn of
//! the loop in which it may look has ended.

use std::task::Waker;

use super::waiters::Waiters;

#[derive(Debug, Default)]
pub(super) struct Line {
    waiters: Waiters,
    /// Those who were woken in this turn and have not looked.
    woken: usize,
    /// Set while it is looked again, at the end of this turn, whether somebody took what is there.
    pub(super) watched: bool,
}

impl Line {
    /// Whether the one with this ticket may take: it was woken, or nobody is before it.
    pub(super) fn is_turn_of(&self, ticket: Option<u64>) -> bool {
        let nobody_before = self.woken == 0;
        match ticket.map(|ticket| self.waiters.place(ticket)) {
            Some(None) => true,
            Some(Some(place)) => place == 0 && nobody_before,
            None => self.waiters.is_empty() && nobody_before,
        }
    }

    /// Takes a place in the line, as the last; who has one keeps it. Gives back the waker that is not
    /// needed, to be dropped when nothing is borrowed.
    pub(super) fn wait(&mut self, ticket: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        self.look(*ticket);
        self.waiters.wait(ticket, waker)
    }

    /// Leaves the line, served or not. Gives back its waker.
    pub(super) fn leave(&mut self, ticket: Option<u64>) -> Option<Waker> {
        self.look(ticket);
        self.waiters.remove(ticket)
    }

    /// One that was woken has looked.
    fn look(&mut self, ticket: Option<u64>) {
        if ticket.is_some_and(|ticket| self.waiters.place(ticket).is_none()) {
            self.woken = self.woken.saturating_sub(1);
        }
    }

    /// The next to be woken, while more is there than those who were woken will take.
    pub(super) fn call(&mut self, there: usize) -> Option<Waker> {
        if self.woken >= there {
            return None;
        }
        let waker = self.waiters.pop()?;
        self.woken += 1;
        Some(waker)
    }

    /// The turn has ended in which those who were woken could look.
    pub(super) fn end_turn(&mut self) {
        self.watched = false;
        self.woken = 0;
    }

    /// All who wait, to be woken: nothing will come.
    pub(super) fn dissolve(&mut self) -> impl Iterator<Item = Waker> + use<> {
        self.woken = 0;
        let mut waiters = std::mem::take(&mut self.waiters);
        std::iter::from_fn(move || waiters.pop())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }
}
