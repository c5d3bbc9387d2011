//! A TCP connection.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;

use bytes::Bytes;

use super::addr::ToSocketAddrs;
use super::connect::TcpConnector;
use super::halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::outbox::Piece;
use super::socket::Socket;
use crate::buf::Lease;
use crate::op::Call;
use crate::runtime::{Fd, current};
use crate::sys::{SockAddr, file};

/// A TCP connection.
///
/// What arrives belongs to the stream, not to the call that waits for it: a dropped `read` loses
/// nothing. What is written is taken by the stream's outbox and leaves in order, as few sends as
/// possible, also when the stream is dropped right after: it flushes in the background, for at most
/// [`Builder::linger`](crate::Builder::linger).
///
/// Dropped before its reader has come to the end, it may close with a reset, as a socket of std does:
/// where bytes stand unread in the kernel ([`Builder::direct`](crate::Builder::direct)).
///
/// # Examples
///
/// ```
/// use ringloop::net::{TcpListener, TcpStream};
///
/// ringloop::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let mut client = TcpStream::connect(listener.local_addr()?).await?;
///     let (mut server, _) = listener.accept().await?;
///     client.write_all(b"hello").await?;
///     let mut buf = [0; 16];
///     let n = server.read(&mut buf).await?;
///     assert_eq!(&buf[..n], b"hello");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[derive(Debug)]
pub struct TcpStream {
    handle: Handle,
}

/// The user's side of a socket: dropping it lets the socket flush and close.
#[derive(Debug)]
pub(super) struct Handle(pub(super) Rc<Socket>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl TcpStream {
    pub(super) fn new(socket: Rc<Socket>) -> Self {
        Self { handle: Handle(socket) }
    }

    pub(super) fn from_handle(handle: Handle) -> Self {
        Self { handle }
    }

    pub(super) fn socket(&self) -> &Rc<Socket> {
        &self.handle.0
    }

    /// Connects to the first address that answers: those of a name by happy eyeballs, those of a list one
    /// after the other. [`TcpConnector`] says more of it, and has time limits.
    ///
    /// asyncio's `open_connection`, at the level of bytes.
    ///
    /// # Errors
    ///
    /// As [`TcpConnector::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the sockets.
    pub async fn connect(to: impl ToSocketAddrs) -> io::Result<Self> {
        TcpConnector::new().connect(to).await
    }

    /// Takes over a connected socket of std.
    ///
    /// # Errors
    ///
    /// `NotConnected` outside a runtime; what `fcntl(2)` says.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        let core = current()?;
        let fd = Fd::new(file::into_raw(stream.into()), core);
        fd.core().call(Call::SetNonblocking { fd: fd.raw(), on: true })?;
        let stream = Self::new(Socket::new(fd));
        let waits = stream.linger()?.is_some_and(|linger| !linger.is_zero());
        stream.socket().close_waits.set(waits);
        Ok(stream)
    }

    /// Gives the connection back to std, in blocking mode, with the bytes that had arrived and were
    /// not read. What was written is flushed first.
    ///
    /// The descriptor is a duplicate: its number differs.
    ///
    /// # Errors
    ///
    /// The flush's error, or what `fcntl(2)` says; the stream is closed then.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the stream: it is flushed and closed in the background.
    pub async fn into_std(self) -> io::Result<(std::net::TcpStream, Bytes)> {
        self.socket().flush().await?;
        let parked = self.socket().quiesce().await?;
        let fd = self.socket().fd();
        let copy = fd.core().call(Call::Duplicate { fd: fd.raw() })?;
        let stream = std::net::TcpStream::from(file::own(copy));
        fd.core().call(Call::SetNonblocking { fd: copy, on: false })?;
        // The option goes along with it, and this close is not the last.
        self.socket().close_waits.set(false);
        Ok((stream, Bytes::from(parked)))
    }

    /// Reads what has arrived into `buf`, waiting for the first byte; 0 is the end of the stream (or
    /// of an empty `buf`).
    ///
    /// # Errors
    ///
    /// `ConnectionReset` and what else `recv(2)` says, after all bytes that came before;
    /// `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: bytes stay with the stream.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket().read(buf).await
    }

    /// Lends the next received piece without copying it; `None` is the end of the stream.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn read_chunk(&mut self) -> io::Result<Option<Lease>> {
        self.socket().read_chunk().await
    }

    /// As [`read`](Self::read), but the bytes stay to be read again. It sees what has been received,
    /// which may grow.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket().peek(buf).await
    }

    /// Hands all of `buf` to the stream's outbox, which runs at most 64 KiB ahead of the kernel.
    ///
    /// Small writes of one turn leave in one send. [`flush`](Self::flush) waits for the kernel.
    ///
    /// # Errors
    ///
    /// `BrokenPipe`, `ConnectionReset`, …: an error that is already known; a later one is reported by
    /// the next write, flush or shutdown.
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
    /// Why it could not be sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    #[doc(alias = "drain")]
    pub async fn flush(&mut self) -> io::Result<()> {
        self.socket().flush().await
    }

    /// Ends reading, writing or both; `shutdown(2)`. Ending writing flushes first, so the peer gets
    /// every byte and then the end.
    ///
    /// # Errors
    ///
    /// The flush's error; `NotConnected` when the peer has gone.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, nothing was shut down.
    #[doc(alias = "write_eof")]
    pub async fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.socket().shutdown(how).await
    }

    /// Closes at once with a reset: what was written and has not left is discarded.
    pub fn abort(self) {
        self.socket().abort();
    }

    /// Splits into two halves that borrow the stream.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf::new(self.socket()), WriteHalf::new(self.socket()))
    }

    /// Splits into two halves that own the stream together.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let handle = Rc::new(self.handle);
        (OwnedReadHalf::new(handle.clone()), OwnedWriteHalf::new(handle))
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// `NotConnected` when the peer has gone.
    #[doc(alias = "peername")]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        peer_addr(self.socket().fd())
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the runtime has ended.
    #[doc(alias = "sockname")]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(self.socket().fd())
    }
}

pub(super) fn peer_addr(fd: &Fd) -> io::Result<SocketAddr> {
    let mut address = SockAddr::empty();
    fd.core().call(Call::PeerAddr { fd: fd.raw(), address: &mut address })?;
    address.to_inet()
}

pub(super) fn local_addr(fd: &Fd) -> io::Result<SocketAddr> {
    let mut address = SockAddr::empty();
    fd.core().call(Call::LocalAddr { fd: fd.raw(), address: &mut address })?;
    address.to_inet()
}
