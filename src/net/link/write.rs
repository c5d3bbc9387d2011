//! What a writer does with a link: it puts bytes in, and waits for them to leave.

use std::future::poll_fn;
use std::io;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::{Link, closed};
use crate::buf::Lease;
use crate::net::outbox::Piece;
use crate::net::socket::Socket;
use crate::task::discard;

impl Link {
    /// Takes all of `bytes` in, however much is before them.
    ///
    /// # Errors
    ///
    /// The connection's, if it is known; `BrokenPipe` after the end of writing; `NotConnected` after the
    /// close, and after the end of the runtime.
    pub(crate) fn put(&self, bytes: &[u8]) -> io::Result<()> {
        self.open()?.put(bytes)
    }

    /// Takes `bytes` in without copying.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub(crate) fn put_bytes(&self, bytes: Bytes) -> io::Result<()> {
        self.open()?.put_piece(Piece::Bytes(bytes))
    }

    /// Takes received bytes in without copying.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub(crate) fn put_chunk(&self, lease: Lease) -> io::Result<()> {
        self.open()?.put_piece(Piece::Lease(lease))
    }

    /// Bytes that were written and that the kernel has not taken, those in flight among them.
    pub(crate) fn buffered(&self) -> usize {
        let socket = self.socket().or_else(|| self.0.closing.borrow().upgrade());
        socket.map_or(0, |socket| socket.buffered())
    }

    /// Waits until no more than `low` bytes are buffered.
    ///
    /// # Errors
    ///
    /// The connection's, at once; `NotConnected` after the close.
    pub(crate) fn poll_drained(&self, cx: &Context<'_>, low: usize) -> Poll<io::Result<()>> {
        match self.socket() {
            Some(socket) => socket.poll_drained(cx, low),
            None => Poll::Ready(Err(closed())),
        }
    }

    /// Waits until no more than `low` bytes are buffered, which it asks each time; after the close, until all
    /// has been sent.
    ///
    /// # Errors
    ///
    /// The connection's, at once.
    pub(crate) async fn drained(&self, low: impl Fn() -> usize) -> io::Result<()> {
        let mut place = Drain { socket: Weak::new(), ticket: None };
        let open = poll_fn(|cx| {
            let Some(socket) = self.socket() else { return Poll::Ready(None) };
            place.socket = Rc::downgrade(&socket);
            socket.poll_drained_beside(cx, low(), &mut place.ticket).map(Some)
        });
        match open.await {
            Some(drained) => drained,
            None => self.closed().await,
        }
    }

    /// Waits until sending fails.
    pub(crate) fn poll_failed(&self, cx: &Context<'_>) -> Poll<io::Error> {
        match self.socket() {
            Some(socket) => socket.poll_failed(cx),
            None => Poll::Ready(closed()),
        }
    }

    /// Ends writing: the peer sees the end behind what was written. Does not wait. Of a pipe it is the close.
    ///
    /// # Errors
    ///
    /// The connection's, if it has failed; what `shutdown(2)` says, if nothing is to be sent before;
    /// `NotConnected` after the close.
    pub(crate) fn write_eof(&self) -> io::Result<()> {
        let socket = self.open()?;
        if socket.pipe.is_some() {
            // A pipe has no other way to tell its reader.
            self.close();
            return Ok(());
        }
        socket.write_eof()
    }

    /// Waits until nobody can read what would be written: see
    /// [`PipeWriter::closed`](crate::net::PipeWriter::closed).
    ///
    /// # Errors
    ///
    /// As there; `NotConnected` after the close.
    pub(crate) async fn hangup(&self) -> io::Result<()> {
        self.open()?.hangup().await
    }

    /// Why writing has ended, if it has failed.
    pub(crate) fn write_error(&self) -> Option<io::Error> {
        let errno = match self.socket() {
            Some(socket) => return socket.outbox.borrow().check().err(),
            None => self.0.heir.failed.get(),
        };
        errno.map(io::Error::from_raw_os_error)
    }
}

/// A place among those who wait for bytes to leave, given back when it is not needed: they may come and go
/// as long as the connection lives. It holds no socket open.
struct Drain {
    socket: Weak<Socket>,
    ticket: Option<u64>,
}

impl Drop for Drain {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.upgrade() {
            let waker = socket.outbox.borrow_mut().drains.remove(self.ticket);
            discard(waker);
        }
    }
}
