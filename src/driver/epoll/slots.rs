//! The requests that wait, by the index of their token.

use crate::driver::perform::Operation;
use crate::op::Token;
use crate::worker::JobId;

/// A request that has been handed over and has not ended.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) token: Token,
    pub(super) operation: Operation,
    /// Set when a worker has it, until it ends.
    pub(super) job: Option<JobId>,
}

/// A slot for each token index, because indices are small and their owner uses each for one request
/// at a time. No map, no hash, no order but the owner's.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Option<Active>>);

impl Slots {
    /// Keeps a request, and says in which slot.
    pub(super) fn insert(&mut self, token: Token, operation: Operation) -> u32 {
        let slot = token.index() as usize;
        if slot >= self.0.len() {
            self.0.resize_with(slot + 1, || None);
        }
        debug_assert!(self.0[slot].is_none(), "{token:?} is submitted while its slot is in use");
        self.0[slot] = Some(Active { token, operation, job: None });
        token.index()
    }

    /// What is in a slot that a line names.
    pub(super) fn at(&mut self, slot: u32) -> &mut Active {
        self.0[slot as usize].as_mut().expect("a line names only slots in use")
    }

    /// The request of this token, if it has not ended.
    pub(super) fn get(&mut self, token: Token) -> Option<&mut Active> {
        self.0.get_mut(token.index() as usize)?.as_mut().filter(|active| active.token == token)
    }

    pub(super) fn remove(&mut self, slot: u32) -> Active {
        self.0[slot as usize].take().expect("a line names only slots in use")
    }
}
