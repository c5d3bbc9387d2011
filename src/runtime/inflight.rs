//! The slots of what is in flight: from a token to whoever waits.
//!
//! ```text
//!   Waiting ──terminal──► Done ──taken by its future──► (free)
//!      │ future dropped
//!      ▼
//!   Orphan ──terminal──► completed, its output dropped (free)
//!   Sink, Detached ──terminal──► (free)
//! ```
//!
//! Only a terminal completion, one without `F_MORE`, frees a slot or moves it to Done
//! (`uring-sys-notes/lifetimes.md`, `uring-sys-notes/cancel.md`).

use std::rc::Rc;
use std::task::Waker;

use slab::Slab;

use super::sink::{Role, Sink};
use crate::op::{Completion, Token};

/// What is left of an operation whose future was dropped: it completes, and its output is dropped.
pub(crate) trait Orphan {
    fn complete(self: Box<Self>, completion: Completion);
}

/// Who waits for a request.
pub(crate) enum Waiting {
    /// A future.
    Future(Waker),
    /// A sink, in one of its roles.
    Sink(Rc<dyn Sink>, Role),
    /// Nobody.
    Nobody,
}

enum State {
    Waiting(Option<Waker>),
    Done(Completion),
    Orphan(Box<dyn Orphan>),
    Sink(Rc<dyn Sink>, Role),
    Detached,
}

struct Slot {
    serial: u32,
    state: State,
}

/// What a completion asks the core to do, with nothing borrowed.
pub(super) enum Settled {
    Nothing,
    Wake(Waker),
    Orphan(Box<dyn Orphan>),
    Sink(Rc<dyn Sink>, Role),
    /// Nobody has this token: a late or repeated completion.
    Stray,
}

/// What a future finds in its slot.
pub(super) enum Taken {
    Done(Completion),
    /// Nothing yet.
    Waits,
    /// The runtime ended while the kernel was still at it.
    Lost,
}

/// What became of an operation whose future was dropped.
pub(super) enum Left {
    /// It was done already.
    Done(Box<dyn Orphan>, Completion),
    /// It goes on; the waker is nobody's any more.
    InFlight(Option<Waker>),
    /// The runtime ended while the kernel was still at it: its memory is the kernel's for good.
    Lost(Box<dyn Orphan>),
}

#[derive(Default)]
pub(super) struct InFlight {
    slots: Slab<Slot>,
    serial: u32,
}

impl InFlight {
    /// A token for a new request.
    #[inline]
    pub(super) fn insert(&mut self, waiting: Waiting) -> Token {
        self.serial = self.serial.wrapping_add(1);
        let state = match waiting {
            Waiting::Future(waker) => State::Waiting(Some(waker)),
            Waiting::Sink(sink, role) => State::Sink(sink, role),
            Waiting::Nobody => State::Detached,
        };
        let index = self.slots.insert(Slot { serial: self.serial, state });
        Token::new(index as u32, self.serial)
    }

    /// Takes a completion in.
    #[inline]
    pub(super) fn settle(&mut self, completion: Completion) -> Settled {
        let index = completion.token.index() as usize;
        let Some(slot) = self.slots.get_mut(index) else { return Settled::Stray };
        if slot.serial != completion.token.serial() {
            return Settled::Stray;
        }
        let last = !completion.flags.more();
        match &mut slot.state {
            State::Waiting(waker) if last => {
                let waker = waker.take();
                slot.state = State::Done(completion);
                waker.map_or(Settled::Nothing, Settled::Wake)
            }
            State::Done(_) => Settled::Stray,
            State::Sink(sink, role) if !last => Settled::Sink(sink.clone(), *role),
            State::Waiting(_) | State::Orphan(_) | State::Detached if !last => Settled::Nothing,
            _ => match self.slots.remove(index).state {
                State::Sink(sink, role) => Settled::Sink(sink, role),
                State::Orphan(orphan) => Settled::Orphan(orphan),
                _ => Settled::Nothing,
            },
        }
    }

    /// The result for the future that waits; else `waker` is kept, and the old one left in its place.
    pub(super) fn take(&mut self, token: Token, waker: &mut Option<Waker>) -> Taken {
        let Some(slot) = self.slot(token) else { return Taken::Lost };
        match &mut slot.state {
            State::Done(completion) => {
                let completion = *completion;
                self.slots.remove(token.index() as usize);
                Taken::Done(completion)
            }
            State::Waiting(old) => {
                std::mem::swap(old, waker);
                Taken::Waits
            }
            _ => unreachable!("only a future's slot is taken"),
        }
    }

    /// Leaves an operation to itself: its future was dropped.
    pub(super) fn orphan(&mut self, token: Token, orphan: Box<dyn Orphan>) -> Left {
        let Some(slot) = self.slot(token) else { return Left::Lost(orphan) };
        if let State::Done(completion) = slot.state {
            self.slots.remove(token.index() as usize);
            return Left::Done(orphan, completion);
        }
        match std::mem::replace(&mut slot.state, State::Orphan(orphan)) {
            State::Waiting(waker) => Left::InFlight(waker),
            _ => unreachable!("only a future's slot is orphaned"),
        }
    }

    /// The slot of a future; `None` once the end of the runtime has leaked it.
    fn slot(&mut self, token: Token) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(token.index() as usize);
        slot.filter(|slot| slot.serial == token.serial())
    }

    /// Lets go of a request that nobody will hear of again: a forked child's copy of it.
    pub(super) fn abandon(&mut self, token: Token) -> Settled {
        let index = token.index() as usize;
        match self.slots.get(index) {
            Some(slot) if slot.serial == token.serial() => match slot.state {
                State::Sink(..) | State::Orphan(_) => match self.slots.remove(index).state {
                    State::Sink(sink, role) => Settled::Sink(sink, role),
                    State::Orphan(orphan) => Settled::Orphan(orphan),
                    _ => Settled::Nothing,
                },
                // Its future takes it.
                _ => Settled::Nothing,
            },
            _ => Settled::Nothing,
        }
    }

    /// Everything, as far as dropping it is user code: wakers, and what sinks and orphans own.
    pub(super) fn into_slots(self) -> impl Iterator<Item = impl Sized> {
        self.slots.into_iter().map(|(_, slot)| slot.state)
    }

    /// The tokens of what may be cancelled. What nobody waits for is a close, which must happen.
    pub(super) fn pending(&self) -> Vec<Token> {
        self.slots
            .iter()
            .filter(|(_, slot)| !matches!(slot.state, State::Done(_) | State::Detached))
            .map(|(index, slot)| Token::new(index as u32, slot.serial))
            .collect()
    }

    /// How many requests the driver still has.
    pub(super) fn len(&self) -> usize {
        self.slots.iter().filter(|(_, slot)| !matches!(slot.state, State::Done(_))).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_or_repeated_completion_does_not_reach_the_next_user_of_its_slot() {
        let mut inflight = InFlight::default();
        let waker = Waker::noop();
        let old = inflight.insert(Waiting::Future(waker.clone()));
        assert!(matches!(inflight.settle(Completion::last(old, 1)), Settled::Wake(_)));
        assert!(matches!(inflight.settle(Completion::last(old, 2)), Settled::Stray), "repeated");
        assert!(matches!(inflight.take(old, &mut None), Taken::Done(Completion { result: 1, .. })));
        assert!(matches!(inflight.settle(Completion::last(old, 3)), Settled::Stray), "late");
        let new = inflight.insert(Waiting::Nobody);
        assert_eq!(new.index(), old.index());
        assert!(matches!(inflight.settle(Completion::last(old, 4)), Settled::Stray), "later");
        assert_eq!(inflight.len(), 1);
        assert!(matches!(inflight.settle(Completion::last(new, 0)), Settled::Nothing));
        assert_eq!(inflight.len(), 0);
        let beyond = Token::new(1000, 1);
        assert!(matches!(inflight.settle(Completion::last(beyond, 0)), Settled::Stray));
    }
}
