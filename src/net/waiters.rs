//! Tasks that wait their turn, first come, first served.

use std::collections::VecDeque;
use std::task::Waker;

/// A queue of wakers. A waiter that is woken leaves it, and may never look: whoever woke it sees to it
/// that what it was woken for has a taker.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    queue: VecDeque<(u64, Waker)>,
    next: u64,
}

impl Waiters {
    /// Queues the waiter of `ticket`, giving it one if it has none or lost its place; else renews its
    /// waker. Returns the old waker, for the caller to drop when nothing is borrowed.
    pub(super) fn wait(&mut self, ticket: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let place = ticket.and_then(|t| self.queue.iter_mut().find(|(place, _)| *place == t));
        if let Some((_, old)) = place {
            return Some(std::mem::replace(old, waker));
        }
        self.next += 1;
        *ticket = Some(self.next);
        self.queue.push_back((self.next, waker));
        None
    }

    /// Takes the waiter whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Waker> {
        self.queue.pop_front().map(|(_, waker)| waker)
    }

    /// Removes a waiter: its waker. `None`: it had been woken, or never waited.
    pub(super) fn remove(&mut self, ticket: Option<u64>) -> Option<Waker> {
        let ticket = ticket?;
        let index = self.queue.iter().position(|(place, _)| *place == ticket)?;
        self.queue.remove(index).map(|(_, waker)| waker)
    }

    /// How many are before this one. `None`: it had been woken, or never waited.
    pub(super) fn place(&self, ticket: u64) -> Option<usize> {
        self.queue.iter().position(|(place, _)| *place == ticket)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
