//! What a reader does with a link: it looks at what is parked, and takes it when it is enough.

use std::io;
use std::task::{Context, Poll};

use super::super::inbox::{End, Inbox};
use super::super::receive::put_back;
use super::Link;

impl Link {
    /// Lets `take` look whenever something has come, until it finds what it wants in the inbox.
    /// `Ok(None)` is the end: what is parked then was not enough for it, and stays.
    pub(crate) fn poll_enough<T>(
        &self,
        cx: &Context<'_>,
        mut take: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Poll<io::Result<Option<T>>> {
        match self.socket() {
            Some(socket) => socket.poll_enough(cx, take),
            // One that takes whatever there is must not be asked for ever.
            None => self.poll_rest(cx, |rest| if rest.is_empty() { None } else { take(rest) }),
        }
    }

    /// Works on what is parked.
    pub(crate) fn with_parked<T>(&self, f: impl FnOnce(&mut Inbox) -> T) -> T {
        match self.socket() {
            Some(socket) => f(&mut socket.inbox.borrow_mut()),
            None => self.with_rest(f),
        }
    }

    /// Puts back what was taken out last.
    pub(crate) fn put_back(&self, bytes: &[u8]) {
        match self.socket() {
            Some(socket) => socket.put_back(bytes),
            None => self.with_rest(|rest| put_back(rest, self.0.core.pool(), bytes)),
        }
    }

    /// Whether the peer has ended and nothing is left to be read; or it has been closed.
    pub(crate) fn at_eof(&self) -> bool {
        let open = !self.is_closed();
        self.with_parked(|inbox| inbox.is_empty() && !(open && inbox.end != Some(End::Eof)))
    }

    /// How much may be parked while receiving goes on.
    pub(crate) fn set_read_limit(&self, limit: usize) {
        self.with_parked(|inbox| inbox.set_limit(limit));
    }
}
