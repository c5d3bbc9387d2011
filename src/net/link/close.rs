//! How a link ends, for all who share it.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::Link;
use crate::net::socket::Heir;
use crate::note::{self, On};
use crate::task::{discard, poll_proceed, spend, wake};

impl Link {
    /// Receives no more and closes, when what was written has been sent.
    pub(crate) fn close(&self) {
        let Some(handle) = self.0.handle.take() else { return };
        handle.0.bequeath(self.0.heir.clone());
        let rest = handle.0.take_parked();
        let old = self.0.rest.replace(Some(Box::new(rest)));
        self.0.closing.replace(Rc::downgrade(&handle.0));
        let reader = handle.0.take_reader();
        drop(handle);
        drop(old);
        // It reads what is left, and then sees the end.
        reader.into_iter().for_each(wake);
    }

    /// Receives no more and sends what was written, in as much time as a [`close`](Self::close) has, which
    /// is to follow: until then the descriptor stays.
    pub(crate) fn shut(&self) {
        if let Some(socket) = self.socket() {
            socket.close();
        }
    }

    /// Receives no more and discards what was written: the [`close`](Self::close) that is to follow will
    /// be a reset.
    pub(crate) fn discard(&self) {
        if let Some(socket) = self.socket() {
            socket.abort();
        }
    }

    /// Discards what was written and closes with a reset.
    pub(crate) fn abort(&self) {
        let socket = self.socket().or_else(|| self.0.closing.borrow().upgrade());
        if let Some(socket) = socket {
            if socket.outbox.borrow().errno().is_none() {
                self.0.heir.whole.set(socket.buffered() == 0);
            }
            let reader = socket.take_reader();
            socket.abort();
            self.close();
            reader.into_iter().for_each(wake);
        }
    }

    /// Waits until it has been closed and the descriptor is gone.
    ///
    /// # Errors
    ///
    /// Why what was written could not be sent.
    pub(crate) async fn closed(&self) -> io::Result<()> {
        let mut place = Place { heir: &self.0.heir, ticket: None };
        poll_fn(|cx| self.poll_closed(cx, &mut place.ticket)).await
    }

    fn poll_closed(&self, cx: &Context<'_>, ticket: &mut Option<u64>) -> Poll<io::Result<()>> {
        ready!(poll_proceed(cx));
        // Whoever waits before the close is told as well, when somebody has closed it.
        let closing = self.0.closing.borrow().upgrade().or_else(|| self.socket());
        if let Some(socket) = closing
            && socket.core().may_wait().is_ok()
        {
            // Its clone is user code; and this may be the last to hold the socket.
            let waker = cx.waker().clone();
            let fd = socket.fd.raw();
            let old = self.0.heir.waiting.borrow_mut().wait(ticket, waker);
            discard(old);
            drop(socket);
            note::waits("close", On::Fd(fd));
            return Poll::Pending;
        }
        spend();
        Poll::Ready(match self.0.heir.failed.get() {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(()),
        })
    }
}

/// A place among those who wait for the close, given back when it is not needed: they may come and go
/// as long as the connection lives.
struct Place<'a> {
    heir: &'a Heir,
    ticket: Option<u64>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let waker = self.heir.waiting.borrow_mut().remove(self.ticket);
        discard(waker);
    }
}
