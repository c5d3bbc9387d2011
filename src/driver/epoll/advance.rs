//! Gets the first request of a line as far as it goes without waiting.

use std::os::fd::RawFd;

use super::interest::{Interest, Side};
use super::slots::Active;
use crate::buf::Pool;
use crate::driver::perform::{self, Attempt, Received};
use crate::op::{Completion, Flags, Into, Request, Token};

/// Receives or accepts that one line may do in one wait, so that no socket holds up the others.
pub(super) const SHARE: u32 = 32;

/// Where buffers come from and where completions go.
pub(super) struct Out<'a> {
    pub(super) pool: &'a Pool,
    pub(super) done: &'a mut Vec<Completion>,
}

impl Out<'_> {
    /// The terminal completion of `token`.
    pub(super) fn last(&mut self, token: Token, result: i32) {
        self.done.push(Completion::last(token, result));
    }

    fn push(&mut self, token: Token, result: i32, flags: Flags) {
        self.done.push(Completion { token, result, flags });
    }
}

/// How far it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Its terminal completion is out.
    Ended,
    /// It waits for an edge.
    Waits,
    /// The line's share is spent; there may be more at once.
    Spent,
}

/// Tries `active`, the first in its line, and takes what it does out of `share`.
pub(super) fn advance(
    active: &mut Active,
    interest: &mut Interest,
    share: &mut u32,
    out: &mut Out<'_>,
) -> Progress {
    match active.operation.request() {
        Request::Recv { fd, into: Into::Group, multi, total } => {
            receive(active, fd, multi.then_some(total), interest, share, out)
        }
        Request::RecvMsg { fd } => receive_messages(active.token, fd, share, out),
        Request::Accept { multi: true, .. } => accept(active, share, out),
        request => {
            *share = share.saturating_sub(1);
            let Attempt::Done(result) = active.operation.attempt() else { return Progress::Waits };
            if let Request::Recv { fd, into: Into::At { len, .. }, .. } = request
                && result > 0
                && (result as u32) < len
                && is_empty(fd, interest)
            {
                interest.drain(Side::Read);
            }
            out.last(active.token, result);
            Progress::Ended
        }
    }
}

/// Receives into the pool; again and again, up to `total` bytes, where `multi` says so.
fn receive(
    active: &mut Active,
    fd: RawFd,
    multi: Option<u32>,
    interest: &mut Interest,
    share: &mut u32,
    out: &mut Out<'_>,
) -> Progress {
    let token = active.token;
    let mut behind_full = false;
    while *share > 0 {
        *share -= 1;
        let size = out.pool.size();
        let had = active.operation.count(0);
        // A second piece must be one that would have been received next.
        let goes_on = multi.is_some_and(|total| total == 0 || had.saturating_add(size) < total);
        let received = if interest.full && goes_on && *share > 0 {
            perform::receive_two(fd, out.pool)
        } else {
            perform::receive(fd, out.pool)
        };
        let (buffer, second, len, room) = match received {
            Received::Bytes { buffer, second, len, room } => (buffer, second, len, room),
            Received::NotReady => return Progress::Waits,
            Received::NoBuffer => {
                out.last(token, -libc::ENOBUFS);
                return Progress::Ended;
            }
            Received::Ended(result) => {
                out.last(token, result);
                return Progress::Ended;
            }
        };
        if behind_full && let Some(before) = out.done.last_mut() {
            before.flags = before.flags.and(Flags::NONEMPTY);
        }
        // Of TCP only: of a datagram the second piece would not be the next one.
        interest.full = len >= size && is_tcp(fd, interest);
        let came = active.operation.count(len);
        let goes_on = multi.is_some_and(|total| total == 0 || came < total);
        let (buffer, rest) = match second {
            Some(second) => {
                *share -= 1;
                let flags = Flags::with_buffer(buffer).and(Flags::MORE).and(Flags::NONEMPTY);
                out.push(token, size as i32, flags);
                (second, len - size)
            }
            None => (buffer, len),
        };
        let full = len == room;
        behind_full = rest == size;
        let mut flags = Flags::with_buffer(buffer);
        if goes_on {
            flags = flags.and(Flags::MORE);
        }
        // A guess, and only where it could matter: a full buffer that nobody looks behind now.
        if full && (!goes_on || *share == 0) {
            flags = flags.and(Flags::NONEMPTY);
        }
        out.push(token, rest as i32, flags);
        let empty = !full && is_empty(fd, interest);
        match (goes_on, empty) {
            (true, true) => return Progress::Waits,
            (true, false) => {}
            (false, true) => {
                interest.drain(Side::Read);
                return Progress::Ended;
            }
            (false, false) => return Progress::Ended,
        }
    }
    Progress::Spent
}

/// Whether a short read says that the socket is empty, so that bytes that come later make an edge.
fn is_empty(fd: RawFd, interest: &mut Interest) -> bool {
    !interest.ended && is_tcp(fd, interest)
}

fn is_tcp(fd: RawFd, interest: &mut Interest) -> bool {
    *interest.tcp.get_or_insert_with(|| perform::is_tcp(fd))
}

/// Receives datagrams until an empty one.
fn receive_messages(token: Token, fd: RawFd, share: &mut u32, out: &mut Out<'_>) -> Progress {
    while *share > 0 {
        *share -= 1;
        let (result, flags) = match perform::receive_message(fd, out.pool) {
            Received::NotReady => return Progress::Waits,
            received => perform::message(received),
        };
        out.push(token, result, flags);
        if !flags.more() {
            return Progress::Ended;
        }
    }
    Progress::Spent
}

fn accept(active: &mut Active, share: &mut u32, out: &mut Out<'_>) -> Progress {
    while *share > 0 {
        *share -= 1;
        match active.operation.attempt() {
            Attempt::NotReady => return Progress::Waits,
            Attempt::Done(fd) if fd >= 0 => out.push(active.token, fd, Flags::MORE),
            Attempt::Done(error) => {
                out.last(active.token, error);
                return Progress::Ended;
            }
        }
    }
    Progress::Spent
}
