//! The one list of waiters that all primitives have: locks, channels, queues, cancel tokens.
//!
//! First come, first served; what a waiter waits for is *handed* to it, so that nobody overtakes it
//! between the wake and its next poll.
//!
//! ```text
//!               hand_over                 take
//!   Waiting ────────────────► Handed ─────────────► (gone)   the waiter's future got it
//!    │    │                    ▲    │
//!    │    │ hand_over_many     │    │ leave
//!    │    └──────► Untold ─────┘    └─────────────► (gone)   the primitive passes it on: nothing is lost
//!    │                  next_untold
//!    └────────────────────────────────────────────► (gone)
//!          leave
//! ```
//!
//! A crowd is handed its gifts in one step and woken one by one: whoever comes, goes or calls while it is
//! being woken finds it as if all of it had been woken.
//!
//! Waiters stand in a vector and are linked by index: no allocation while the list has been as long
//! before, no pointer into a future, nothing pinned. A forgotten future keeps its place for ever; what
//! was handed to it is lost with it, as with a forgotten guard.
//!
//! **Wakers are user code.** They go in and out by value: whoever calls clones, wakes and drops them with
//! nothing borrowed.

use std::fmt;
use std::task::Waker;

/// No waiter.
const NONE: u32 = u32::MAX;

/// Waiters that need an `N` each, and are handed a `G`.
pub(crate) struct WaitList<N, G> {
    places: Vec<Place<N, G>>,
    /// The first vacant place; the others follow by `next`.
    vacant: u32,
    /// Of those who wait. Whoever was handed something has left the line, and keeps its place.
    first: u32,
    last: u32,
    waiting: u32,
    /// Of those who were handed something, and whose wakers are still to be woken.
    first_untold: u32,
    last_untold: u32,
    /// Places that are not vacant.
    used: u32,
}

/// A waiter's place in a list, until it is given back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

/// What a waiter that left had.
#[derive(Debug)]
pub(crate) enum Left<G> {
    /// Nothing; it was the first in line, or it was not.
    Waiting { waker: Waker, was_first: bool },
    /// This, which now belongs to somebody else.
    Handed(G),
}

struct Place<N, G> {
    state: State<N, G>,
    before: u32,
    next: u32,
}

enum State<N, G> {
    Vacant,
    Waiting {
        need: N,
        waker: Waker,
    },
    /// Handed, and in the line of those who are to be woken.
    Untold {
        gift: G,
        waker: Waker,
    },
    Handed(G),
    /// Gone out of that line's middle, in which only its waker stays.
    Gone {
        waker: Waker,
    },
}

/// Places that a list keeps when nobody needs them any more.
const KEPT: usize = 1024;

impl<N, G> WaitList<N, G> {
    pub(crate) const fn new() -> Self {
        Self {
            places: Vec::new(),
            vacant: NONE,
            first: NONE,
            last: NONE,
            waiting: 0,
            first_untold: NONE,
            last_untold: NONE,
            used: 0,
        }
    }

    /// Queues a waiter as the last.
    pub(crate) fn enter(&mut self, need: N, waker: Waker) -> Ticket {
        let state = State::Waiting { need, waker };
        let place = Place { state, before: self.last, next: NONE };
        let index = self.vacant;
        let index = if index == NONE {
            let new = u32::try_from(self.places.len()).unwrap_or(NONE);
            assert!(new != NONE, "a list holds fewer than four billion waiters");
            self.places.push(place);
            new
        } else {
            self.vacant = self.places[index as usize].next;
            self.places[index as usize] = place;
            index
        };
        match self.last {
            NONE => self.first = index,
            last => self.places[last as usize].next = index,
        }
        self.last = index;
        self.waiting += 1;
        self.used += 1;
        Ticket(index)
    }

    /// What the first in line needs.
    pub(crate) fn first(&self) -> Option<&N> {
        match &self.places.get(self.first as usize)?.state {
            State::Waiting { need, .. } => Some(need),
            _ => unreachable!("who stands in line waits"),
        }
    }

    /// Hands `gift` to the first in line, whom the caller then wakes. Gives it back if nobody waits.
    #[must_use = "the waiter must be woken"]
    pub(crate) fn hand_over(&mut self, gift: G) -> Result<Waker, G> {
        if self.first == NONE {
            return Err(gift);
        }
        let index = self.first;
        self.unlink(index);
        let place = &mut self.places[index as usize];
        match std::mem::replace(&mut place.state, State::Handed(gift)) {
            State::Waiting { waker, .. } => Ok(waker),
            _ => unreachable!("who stands in line waits"),
        }
    }

    /// Hands a gift to each of the first `count` in line, whom the caller then wakes: whatever
    /// [`next_untold`](Self::next_untold) gives, until there is none.
    pub(crate) fn hand_over_many(&mut self, count: usize, mut gift: impl FnMut() -> G) {
        for _ in 0..count {
            let index = self.first;
            if index == NONE {
                return;
            }
            self.unlink(index);
            let place = &mut self.places[index as usize];
            place.next = NONE;
            place.state = match std::mem::replace(&mut place.state, State::Vacant) {
                State::Waiting { waker, .. } => State::Untold { gift: gift(), waker },
                _ => unreachable!("who stands in line waits"),
            };
            match self.last_untold {
                NONE => self.first_untold = index,
                last => self.places[last as usize].next = index,
            }
            self.last_untold = index;
        }
    }

    /// The waker of the next who was handed something and was not told: it may have gone meanwhile, and
    /// is woken for nothing then.
    pub(crate) fn next_untold(&mut self) -> Option<Waker> {
        let index = self.first_untold;
        let place = self.places.get_mut(index as usize)?;
        self.first_untold = place.next;
        if self.first_untold == NONE {
            self.last_untold = NONE;
        }
        match std::mem::replace(&mut place.state, State::Vacant) {
            State::Untold { gift, waker } => {
                place.state = State::Handed(gift);
                Some(waker)
            }
            State::Gone { waker } => {
                self.vacate(index);
                Some(waker)
            }
            _ => unreachable!("who stands in that line was not told"),
        }
    }

    /// What the waiter was handed: its place is free then, and the ticket used up.
    pub(crate) fn take(&mut self, ticket: &Ticket) -> Option<G> {
        match self.places[ticket.0 as usize].state {
            State::Handed(_) | State::Untold { .. } => match self.remove(ticket.0) {
                Left::Handed(gift) => Some(gift),
                Left::Waiting { .. } => unreachable!("it was looked at just now"),
            },
            _ => None,
        }
    }

    /// Whether the waiter must renew its waker to be woken by `waker`.
    pub(crate) fn is_stale(&self, ticket: &Ticket, waker: &Waker) -> bool {
        match &self.places[ticket.0 as usize].state {
            State::Waiting { waker: old, .. } => !old.will_wake(waker),
            _ => false,
        }
    }

    /// Replaces a waiter's waker; gives back the one that is not needed, to be dropped.
    pub(crate) fn renew(&mut self, ticket: &Ticket, waker: Waker) -> Waker {
        match &mut self.places[ticket.0 as usize].state {
            State::Waiting { waker: old, .. } => std::mem::replace(old, waker),
            _ => waker,
        }
    }

    /// Takes out a waiter that is dropped.
    #[must_use = "what was handed to it must be passed on"]
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Left<G> {
        self.remove(ticket.0)
    }

    /// How many wait: those who were handed something do not.
    pub(crate) fn len(&self) -> usize {
        self.waiting as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Takes a waiter out of the line.
    fn unlink(&mut self, index: u32) {
        let Place { before, next, .. } = self.places[index as usize];
        match before {
            NONE => self.first = next,
            before => self.places[before as usize].next = next,
        }
        match next {
            NONE => self.last = before,
            next => self.places[next as usize].before = before,
        }
        self.waiting -= 1;
    }

    fn remove(&mut self, index: u32) -> Left<G> {
        let was_first = self.first == index;
        let place = &mut self.places[index as usize];
        match std::mem::replace(&mut place.state, State::Vacant) {
            State::Waiting { waker, .. } => {
                self.unlink(index);
                self.vacate(index);
                Left::Waiting { waker, was_first }
            }
            State::Handed(gift) => {
                self.vacate(index);
                Left::Handed(gift)
            }
            State::Untold { gift, waker } => {
                place.state = State::Gone { waker };
                Left::Handed(gift)
            }
            State::Vacant | State::Gone { .. } => unreachable!("a ticket names a waiter"),
        }
    }

    /// Frees a place that is in no line.
    fn vacate(&mut self, index: u32) {
        self.places[index as usize].next = std::mem::replace(&mut self.vacant, index);
        self.used -= 1;
        if self.used == 0 && self.places.len() > KEPT {
            self.places = Vec::new();
            self.vacant = NONE;
        }
    }
}

impl<N, G> fmt::Debug for WaitList<N, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitList").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(list: &mut WaitList<(), usize>) -> Ticket {
        list.enter((), Waker::noop().clone())
    }

    #[test]
    fn a_place_is_used_again() {
        let mut list = WaitList::new();
        for _ in 0..100 {
            let (first, second) = (enter(&mut list), enter(&mut list));
            assert!(list.hand_over(7).is_ok());
            assert_eq!(list.take(&first), Some(7));
            assert!(matches!(list.leave(second), Left::Waiting { was_first: true, .. }));
        }
        assert_eq!((list.places.len(), list.used, list.len()), (2, 0, 0));
    }

    #[test]
    fn a_crowd_that_has_gone_leaves_no_memory_behind() {
        let mut list = WaitList::new();
        let crowd: Vec<_> = (0..10_000).map(|_| enter(&mut list)).collect();
        let mut gifts = 0..;
        list.hand_over_many(usize::MAX, || gifts.next().unwrap());
        // Each third takes its gift before it is told.
        for (number, ticket) in crowd.iter().enumerate().filter(|(number, _)| number % 3 == 0) {
            assert_eq!(list.take(ticket), Some(number));
        }
        let mut told = 0;
        while let Some(_waker) = list.next_untold() {
            told += 1;
        }
        assert_eq!((told, list.len()), (10_000, 0));
        for (number, ticket) in crowd.into_iter().enumerate().filter(|(number, _)| number % 3 > 0) {
            assert!(matches!(list.leave(ticket), Left::Handed(gift) if gift == number));
        }
        assert_eq!((list.used, list.places.capacity()), (0, 0));
        // Seen to fail when the list still led to a place that is no more.
        let next = enter(&mut list);
        assert!(matches!(list.leave(next), Left::Waiting { was_first: true, .. }));
    }
}
