//! A TCP connection.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;

use super::addr::ToSocketAddrs;
use super::connect::TcpConnector;
use super::socket::Socket;
use super::stream_socket::hand_over;
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
#[expect(unnameable_types, reason = "it is in the interface of a sealed trait")]
#[derive(Debug)]
pub struct Handle(pub(super) Rc<Socket>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl TcpStream {
    pub(super) fn new(socket: Rc<Socket>) -> Self {
        Self { handle: Handle(socket) }
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn into_handle(self) -> Handle {
        self.handle
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
        let (owned, parked) = hand_over(self.socket()).await?;
        // The option goes along with it, and this close is not the last.
        self.socket().close_waits.set(false);
        Ok((owned.into(), parked))
    }

    /// Closes at once with a reset: what was written and has not left is discarded.
    pub fn abort(self) {
        self.socket().abort();
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
