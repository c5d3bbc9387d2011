//! Tasks that wait their turn, first come, first served.

use std::collections::VecDeque;
use std::task::Waker;

/// A queue of wakers. A waiter that is woken leaves it, and may never look: whoever woke it sees to it
/// that what it was woken for has a taker. One that waits again stands where it stood.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// In the order of their tickets.
    queue: VecDeque<(u64, Waker)>,
    /// The last ticket: none is ever given twice.
    last: u64,
}

impl Waiters {
    /// Queues the waiter of `ticket`, giving it one if it has none; or renews its waker. Returns the old
    /// waker, for the caller to drop when nothing is borrowed.
    pub(super) fn wait(&mut self, ticket: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let ticket = *ticket.get_or_insert_with(|| {
            self.last += 1;
            self.last
        });
        match self.find(ticket) {
            Ok(place) => Some(std::mem::replace(&mut self.queue[place].1, waker)),
            Err(place) => {
                self.queue.insert(place, (ticket, waker));
                None
            }
        }
    }

    /// Takes the waiter whose turn it is: its ticket and its waker.
    pub(super) fn pop(&mut self) -> Option<(u64, Waker)> {
        self.queue.pop_front()
    }

    /// Takes all of them.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.queue).into_iter().map(|(_, waker)| waker)
    }

    /// Removes a waiter: its waker. `None`: it had been woken, or never waited.
    pub(super) fn remove(&mut self, ticket: Option<u64>) -> Option<Waker> {
        let place = self.place(ticket?)?;
        self.queue.remove(place).map(|(_, waker)| waker)
    }

    /// How many are before this one. `None`: it had been woken, or never waited.
    pub(super) fn place(&self, ticket: u64) -> Option<usize> {
        self.find(ticket).ok()
    }

    /// Where it stands; or would, where it does not.
    fn find(&self, ticket: u64) -> Result<usize, usize> {
        self.queue.binary_search_by_key(&ticket, |(ticket, _)| *ticket)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
