//! Quiet sends: those whose success posts no completion.
//!
//! A sleep is not ended by the news that a send nobody waits for has gone: one enter instead of two
//! for a lone round trip. The kernel posts a completion only for a failure or a short count; what has
//! posted none when everything was handed over and swept has sent all
//! (`uring-sys-notes/send.md`).

use crate::op::{Completion, Token};

/// Quiet sends in one turn. With more of them the turn is busy, and a sleep is not near. (Measured at
/// 50 connections of 64 bytes: 0.03 enters a request with 64, 0.06 to 0.16 with 8, the same CPU time.)
const MOST: usize = 64;

/// The quiet sends that are not answered yet.
#[derive(Debug)]
pub(super) struct Quiet {
    /// Whether the kernel can skip the completion of a success (Linux 5.17).
    known: bool,
    /// Tokens, and how many bytes a success means.
    sends: Vec<(Token, u32)>,
}

impl Quiet {
    pub(super) fn new(known: bool) -> Self {
        Self { known, sends: Vec::with_capacity(MOST) }
    }

    /// Whether a send of `len` bytes may go quietly; then it has been taken down.
    pub(super) fn admit(&mut self, token: Token, len: u32) -> bool {
        let admitted = self.known && self.sends.len() < MOST;
        if admitted {
            self.sends.push((token, len));
        }
        admitted
    }

    /// Whether all are answered.
    pub(super) fn is_empty(&self) -> bool {
        self.sends.is_empty()
    }

    /// Takes note of a completion: a quiet send that has one is answered by it.
    pub(super) fn hear(&mut self, token: Token) {
        if let Some(index) = self.sends.iter().position(|(quiet, _)| *quiet == token) {
            self.sends.remove(index);
        }
    }

    /// Answers the others: they have sent all. Everything was handed over and swept.
    pub(super) fn answer(&mut self, done: &mut Vec<Completion>) {
        done.extend(self.sends.drain(..).map(|(token, len)| Completion::last(token, len as i32)));
    }
}
