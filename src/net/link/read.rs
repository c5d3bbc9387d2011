//! What a reader does with a link: it looks at what is parked, and takes it when it is enough.

use std::io;
use std::task::{Context, Poll, ready};

use super::Link;
use crate::buf::Lease;
use crate::net::inbox::{End, Inbox};
use crate::net::receive::put_back;
use crate::task::{poll_proceed, spend};

impl Link {
    /// Lends the oldest piece that came; `None` is the end.
    pub(crate) fn poll_chunk(&self, cx: &Context<'_>) -> Poll<io::Result<Option<Lease>>> {
        match self.socket() {
            Some(socket) => socket.poll_chunk(cx),
            None => self.poll_rest(cx, Inbox::pop),
        }
    }

    /// Copies out what has come; 0 is the end.
    pub(crate) fn poll_read(&self, cx: &Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.socket() {
            Some(socket) => socket.poll_read(cx, into),
            None => self.poll_rest(cx, |rest| rest.read(into)),
        }
    }

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

    fn poll_rest<T>(
        &self,
        cx: &Context<'_>,
        take: impl FnOnce(&mut Inbox) -> T,
    ) -> Poll<io::Result<T>> {
        ready!(poll_proceed(cx));
        spend();
        Poll::Ready(Ok(self.with_rest(take)))
    }

    fn with_rest<T>(&self, f: impl FnOnce(&mut Inbox) -> T) -> T {
        let mut rest = self.0.rest.borrow_mut();
        f(rest.get_or_insert_with(|| Box::new(Inbox::new())))
    }
}
