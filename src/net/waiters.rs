//! Tasks that wait their turn, first come, first served.

use std::collections::VecDeque;
use std::task::Waker;

/// A queue of wakers. A waiter that is woken leaves it; if it then goes away without taking what it
/// was woken for, it passes the wake on.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    queue: VecDeque<(u64, Waker)>,
    next: u64,
}

impl Waiters {
    /// Queues the waiter of `ticket`, giving it one if it has none or lost its place; else renews its
    /// waker.
    pub(super) fn wait(&mut self, ticket: &mut Option<u64>, waker: &Waker) {
        let place = ticket.and_then(|t| self.queue.iter_mut().find(|(place, _)| *place == t));
        if let Some((_, old)) = place {
            if !old.will_wake(waker) {
                *old = waker.clone();
            }
            return;
        }
        self.next += 1;
        *ticket = Some(self.next);
        self.queue.push_back((self.next, waker.clone()));
    }

    /// Takes the waiter whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Waker> {
        self.queue.pop_front().map(|(_, waker)| waker)
    }

    /// Removes a waiter. False: it had been woken, or never waited.
    pub(super) fn remove(&mut self, ticket: Option<u64>) -> bool {
        let Some(ticket) = ticket else { return false };
        match self.queue.iter().position(|(place, _)| *place == ticket) {
            Some(index) => self.queue.remove(index).is_some(),
            None => false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
