//! The end of a pipe that is written.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;

use super::descriptor::{Direction, duplicate, open, take_over};
use super::op::ClosedOp;
use super::outbox::Piece;
use super::socket::Socket;
use super::tcp_stream::Handle;
use crate::buf::Lease;
use crate::runtime::Submit;

/// The end of a pipe that is written; also of a terminal, another character device, or a socket.
///
/// What is written is taken by the writer's outbox and leaves in order, all that gathers in a turn of the loop
/// by one call, also when the writer is dropped right after: it flushes in the background, for at most
/// [`Builder::linger`](crate::Builder::linger), and then closes, which its reader takes for the end.
///
/// A pipe whose reader has gone gives `BrokenPipe`. SIGPIPE is never raised, whatever the program does with
/// it. The flags of a descriptor that was handed over are not changed (but for a terminal's master); the loop
/// does not wait for one that blocks.
///
/// # Examples
///
/// See [`pipe`](crate::net::pipe()).
#[doc(alias = "connect_write_pipe")]
#[derive(Debug)]
pub struct PipeWriter {
    handle: Handle,
}

impl PipeWriter {
    pub(super) fn new(socket: Rc<Socket>) -> Self {
        Self { handle: Handle(socket) }
    }

    pub(super) fn into_handle(self) -> Handle {
        self.handle
    }

    pub(super) fn socket(&self) -> &Rc<Socket> {
        &self.handle.0
    }

    /// Takes over a descriptor: a pipe, a terminal or another character device, a socket. asyncio's
    /// [`connect_write_pipe`].
    ///
    /// [`connect_write_pipe`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.connect_write_pipe
    ///
    /// # Errors
    ///
    /// `InvalidInput` for anything else, such as a regular file ([`fs::File`](crate::fs::File) writes those),
    /// and for one that was opened for reading only; it is closed then. `NotConnected` outside a runtime.
    pub fn from_std(pipe: impl Into<OwnedFd>) -> io::Result<Self> {
        take_over(pipe.into(), Direction::Write).map(Self::new)
    }

    /// Opens a named pipe (`mkfifo(3)`), or a character device, to write to it.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` for a named pipe that nobody reads: it can be opened once it has a reader (`ENXIO`; see
    /// `fifo(7)`). `NotFound`, `PermissionDenied` and what else `open(2)` says; `InvalidInput` where the path
    /// leads to something else; `NotConnected` outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes what was opened.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        open(path.as_ref(), Direction::Write).await.map(Self::new)
    }

    /// Gives the descriptor back to std. What was written is flushed first.
    ///
    /// It is a duplicate: its number differs. One that ringloop has made is in blocking mode then; the flags
    /// of any other are as they were.
    ///
    /// # Errors
    ///
    /// The flush's error, or what `fcntl(2)` says; the pipe is closed then.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the pipe: it is flushed and closed in the background.
    pub async fn into_std(self) -> io::Result<std::io::PipeWriter> {
        self.socket().flush().await?;
        duplicate(self.socket()).map(std::io::PipeWriter::from)
    }

    /// Hands all of `buf` to the writer's outbox, which runs at most 64 KiB ahead of the kernel.
    ///
    /// [`flush`](Self::flush) waits for the kernel.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` and what else `write(2)` says: an error that is already known; a later one is reported by
    /// the next write or flush.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it sends, in order, what had been taken; how much that was is not told.
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.socket().write_all(buf).await
    }

    /// Hands `bytes` over without copying. It waits for room, then takes all of them.
    ///
    /// # Errors
    ///
    /// As [`write_all`](Self::write_all).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, nothing was taken.
    pub async fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.socket().write_piece(Piece::Bytes(bytes)).await
    }

    /// Hands received bytes over without copying; they may come from any stream of the runtime.
    ///
    /// # Errors
    ///
    /// As [`write_all`](Self::write_all).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, nothing was taken; the lease goes with the future.
    pub async fn write_chunk(&mut self, lease: Lease) -> io::Result<()> {
        self.socket().write_piece(Piece::Lease(lease)).await
    }

    /// Hands over as much of `slices`, in order, as there is room for; returns how many bytes.
    ///
    /// # Errors
    ///
    /// As [`write_all`](Self::write_all).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, nothing was taken.
    #[doc(alias = "writelines")]
    pub async fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.socket().write_vectored(slices).await
    }

    /// Waits until the kernel has taken everything that was written.
    ///
    /// # Errors
    ///
    /// Why it could not be written.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    #[doc(alias = "drain")]
    pub async fn flush(&mut self) -> io::Result<()> {
        self.socket().flush().await
    }

    /// Flushes, then closes: the reader gets every byte and then the end. A pipe has no other way to tell its
    /// reader of an end.
    ///
    /// # Errors
    ///
    /// Why it could not be written; it is closed all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the pipe: it is flushed and closed in the background.
    #[doc(alias = "write_eof")]
    pub async fn close(self) -> io::Result<()> {
        self.socket().flush().await
    }

    /// Closes at once: what was written and has not left is discarded. Of a pipe the reader sees an end like
    /// any other.
    pub fn abort(self) {
        self.socket().abort();
    }

    /// Waits until nobody can read any more what would be written: the last reader of a pipe has gone, or a
    /// terminal has hung up. For a socket, until the peer has ended its own writing.
    ///
    /// asyncio's write transport of a pipe watches for that, too.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a device where that never shows; `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::run(async {
    ///     let (reader, mut writer) = ringloop::net::pipe()?;
    ///     drop(reader);
    ///     writer.closed().await?;
    ///     writer.write_all(b"for nobody").await?;
    ///     let error = writer.flush().await.unwrap_err();
    ///     assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    pub async fn closed(&self) -> io::Result<()> {
        self.socket().hangup().await
    }
}

impl Socket {
    /// Waits until nobody can read what would be written.
    pub(super) async fn hangup(self: &Rc<Self>) -> io::Result<()> {
        let closed = Submit::new(self.core().clone(), ClosedOp { socket: self.clone() });
        closed.await.map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => io::Error::new(
                io::ErrorKind::Unsupported,
                "this device does not show whether anybody reads what is written to it",
            ),
            _ => error,
        })
    }
}
