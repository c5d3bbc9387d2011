//! Multishot and pool receives on kernels that have neither (before Linux 6.0).
//!
//! One-shot into a pool buffer that is taken when data is there, as the plain syscalls of
//! [`perform`](super::super::perform) do it, and a poll until there is more. The first try comes before
//! the first poll: what cannot be done at all may show nothing to a poll, and would never end.
//!
//! ```text
//!   submit ─► receive or accept until it would wait ─► completions
//!                ▲                    │ goes on
//!                └─ it fires ◄─ POLL_ADD
//! ```

use std::collections::{HashMap, VecDeque};

use slab::Slab;

use super::super::perform::{Attempt, Operation, Received, message, receive, receive_message};
use crate::buf::Pool;
use crate::op::{Completion, Flags, Into, Request, Token};

/// Receives or accepts that one request may do in one turn.
const SHARE: u32 = 32;

/// The low half of the user data of our polls; no token has such an index.
const MARK: u64 = 0xffff_fff0;

/// The requests that are emulated.
#[derive(Debug, Default)]
pub(super) struct Emulated {
    slots: Slab<Slot>,
    by_token: HashMap<u64, usize>,
    /// Slots that are new, or whose poll has completed, since the last [`pump`](Self::pump).
    fired: VecDeque<usize>,
}

#[derive(Debug)]
struct Slot {
    token: Token,
    operation: Operation,
    /// Set by a cancel; the poll that comes back then ends the request.
    cancelled: bool,
}

impl Emulated {
    /// Whether a kernel without multishot needs us for `request`.
    pub(super) fn wants(request: &Request) -> bool {
        matches!(
            request,
            Request::Recv { into: Into::Group, .. }
                | Request::RecvMsg { .. }
                | Request::Accept { multi: true, .. }
        )
    }

    /// Takes a request over, for the next [`pump`](Self::pump).
    pub(super) fn insert(&mut self, token: Token, request: Request) {
        let operation = Operation::new(request);
        let key = self.slots.insert(Slot { token, operation, cancelled: false });
        self.by_token.insert(token.user_data(), key);
        self.fired.push_back(key);
    }

    /// Asks a request to end. Returns the user data of its poll, if it is one of ours.
    pub(super) fn cancel(&mut self, token: Token) -> Option<u64> {
        let key = *self.by_token.get(&token.user_data())?;
        self.slots[key].cancelled = true;
        Some(data_of(key))
    }

    /// Whether a [`pump`](Self::pump) would do nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.fired.is_empty()
    }

    /// Takes a poll's completion in. False: it is not one of ours.
    pub(super) fn hear(&mut self, user_data: u64) -> bool {
        if user_data & 0xffff_ffff != MARK {
            return false;
        }
        self.fired.push_back((user_data >> 32) as usize);
        true
    }

    /// Goes on with the requests that are new or whose poll fired, up to the next that needs a new
    /// poll. Returns that one: its descriptor, and the poll's user data; `None` when all are done.
    pub(super) fn pump(&mut self, pool: &Pool, done: &mut Vec<Completion>) -> Option<(i32, u64)> {
        while let Some(key) = self.fired.pop_front() {
            let Some(slot) = self.slots.get_mut(key) else { continue };
            if let Some(fd) = slot.pump(pool, done) {
                return Some((fd, data_of(key)));
            }
            let token = self.slots.remove(key).token;
            self.by_token.remove(&token.user_data());
        }
        None
    }
}

impl Slot {
    /// Does what can be done now. `None`: its terminal completion is out; else what to poll.
    fn pump(&mut self, pool: &Pool, done: &mut Vec<Completion>) -> Option<i32> {
        if self.cancelled {
            done.push(Completion::last(self.token, -libc::ECANCELED));
            return None;
        }
        let mut behind_full = false;
        for left in (0..SHARE).rev() {
            let (result, flags) = match self.operation.request() {
                Request::Recv { fd, multi, total, .. } => match receive(fd, pool) {
                    Received::NotReady => return Some(fd),
                    Received::NoBuffer => (-libc::ENOBUFS, Flags::NONE),
                    Received::Ended(result) => (result, Flags::NONE),
                    Received::Bytes { buffer, len, .. } => {
                        if behind_full && let Some(before) = done.last_mut() {
                            before.flags = before.flags.and(Flags::NONEMPTY);
                        }
                        behind_full = len == pool.size();
                        let came = self.operation.count(len);
                        let mut flags = Flags::with_buffer(buffer);
                        let more = multi && (total == 0 || came < total);
                        if more {
                            flags = flags.and(Flags::MORE);
                        }
                        // A guess, as epoll's: a full buffer that nobody looks behind now.
                        if behind_full && (!more || left == 0) {
                            flags = flags.and(Flags::NONEMPTY);
                        }
                        (len as i32, flags)
                    }
                },
                Request::RecvMsg { fd } => match receive_message(fd, pool) {
                    Received::NotReady => return Some(fd),
                    received => message(received),
                },
                Request::Accept { fd, .. } => match self.operation.attempt() {
                    Attempt::NotReady => return Some(fd),
                    Attempt::Done(accepted @ 0..) => (accepted, Flags::MORE),
                    Attempt::Done(error) => (error, Flags::NONE),
                },
                other => unreachable!("{other:?} is not emulated"),
            };
            done.push(Completion { token: self.token, result, flags });
            if !flags.more() {
                return None;
            }
        }
        self.operation.request().fd()
    }
}

fn data_of(key: usize) -> u64 {
    (key as u64) << 32 | MARK
}
