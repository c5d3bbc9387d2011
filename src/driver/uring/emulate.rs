//! Multishot and pool receives on kernels that have neither (before Linux 6.0), and their sends.
//!
//! Poll, then one-shot into a pool buffer that is taken when data is there, as the plain syscalls
//! of [`perform`](super::super::perform) do it. Sends because such a kernel forgets how much of a send
//! had gone when it is cancelled (`uring-sys-notes/send.md`):
//!
//! ```text
//!   submit ─► POLL_ADD ─► it fires ─► receive, accept, send until it would wait ─► completions
//!                ▲                                        │ goes on
//!                └────────────────────────────────────────┘
//! ```

use std::collections::{HashMap, VecDeque};

use slab::Slab;

use super::super::perform::{Attempt, Operation, Received, receive};
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
    /// Slots whose poll has completed since the last [`pump`](Self::pump).
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
                | Request::Accept { multi: true, .. }
                | Request::Send { .. }
                | Request::SendMsg { .. }
        )
    }

    /// Takes a request over. Returns the user data of its poll, which the caller submits.
    pub(super) fn insert(&mut self, token: Token, request: Request) -> u64 {
        let operation = Operation::new(request);
        let key = self.slots.insert(Slot { token, operation, cancelled: false });
        self.by_token.insert(token.user_data(), key);
        data_of(key)
    }

    /// Asks a request to end. Returns the user data of its poll, if it is one of ours.
    pub(super) fn cancel(&mut self, token: Token) -> Option<u64> {
        let key = *self.by_token.get(&token.user_data())?;
        self.slots[key].cancelled = true;
        Some(data_of(key))
    }

    /// Takes a poll's completion in. False: it is not one of ours.
    pub(super) fn hear(&mut self, user_data: u64) -> bool {
        if user_data & 0xffff_ffff != MARK {
            return false;
        }
        self.fired.push_back((user_data >> 32) as usize);
        true
    }

    /// What the poll of `request` waits for.
    pub(super) fn events(request: &Request) -> u32 {
        let events = match request {
            Request::Send { .. } | Request::SendMsg { .. } => libc::POLLOUT,
            _ => libc::POLLIN,
        };
        events as u32
    }

    /// Goes on with the requests whose poll fired, up to the next that needs a new poll. Returns this
    /// one, and the poll's user data; `None` when all are done.
    pub(super) fn pump(
        &mut self,
        pool: &Pool,
        done: &mut Vec<Completion>,
    ) -> Option<(Request, u64)> {
        while let Some(key) = self.fired.pop_front() {
            let Some(slot) = self.slots.get_mut(key) else { continue };
            match slot.pump(pool, done) {
                Some(request) => return Some((request, data_of(key))),
                None => {
                    let token = self.slots.remove(key).token;
                    self.by_token.remove(&token.user_data());
                }
            }
        }
        None
    }
}

impl Slot {
    /// Does what can be done now. `None`: its terminal completion is out; else what to poll.
    fn pump(&mut self, pool: &Pool, done: &mut Vec<Completion>) -> Option<Request> {
        let request = self.operation.request();
        if self.cancelled {
            done.push(Completion::last(self.token, self.operation.cancelled()));
            return None;
        }
        for _ in 0..SHARE {
            let (result, flags) = match request {
                Request::Recv { fd, multi, total, .. } => match receive(fd, pool) {
                    Received::NotReady => return Some(request),
                    Received::NoBuffer => (-libc::ENOBUFS, Flags::NONE),
                    Received::Ended(result) => (result, Flags::NONE),
                    Received::Bytes { buffer, len } => {
                        let came = self.operation.count(len);
                        let flags = Flags::with_buffer(buffer);
                        let more = multi && (total == 0 || came < total);
                        (len as i32, if more { flags.and(Flags::MORE) } else { flags })
                    }
                },
                Request::Accept { .. } => match self.operation.attempt() {
                    Attempt::NotReady => return Some(request),
                    Attempt::Done(accepted @ 0..) => (accepted, Flags::MORE),
                    Attempt::Done(error) => (error, Flags::NONE),
                },
                Request::Send { .. } | Request::SendMsg { .. } => match self.operation.attempt() {
                    Attempt::NotReady => return Some(request),
                    Attempt::Done(result) => (result, Flags::NONE),
                },
                other => unreachable!("{other:?} is not emulated"),
            };
            done.push(Completion { token: self.token, result, flags });
            if !flags.more() {
                return None;
            }
        }
        Some(request)
    }
}

fn data_of(key: usize) -> u64 {
    (key as u64) << 32 | MARK
}
