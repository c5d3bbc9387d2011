//! Unix datagram sockets.

mod receive;

use std::io;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use super::addr::{address, local_addr, peer_addr};
use super::file::{SocketFile, in_use, make_room};
use crate::buf::Stable;
use crate::net::endpoint::{Endpoint, Kind};
use crate::net::op::AttachOp;
use crate::op::Call;
use crate::runtime::{Fd, Submit, current};
use crate::sys::{SockAddr, file};

/// A Unix datagram socket: messages between processes of one host, whole and in order.
///
/// Nothing is dropped on the way: a receiver's queue that is full (`net.unix.max_dgram_qlen`, 10) holds
/// the sender up. All of it works by `&self`: several tasks may send, and several may receive; those are
/// served in turn. A name is a path, or an abstract one, which begins with a zero byte. See `unix(7)`.
///
/// # Examples
///
/// ```
/// use ringloop::net::UnixDatagram;
///
/// ringloop::run(async {
///     let (ours, theirs) = UnixDatagram::pair()?;
///     ours.send(b"hello").await?;
///     let mut buf = [0; 16];
///     assert_eq!(theirs.recv(&mut buf).await?, 5);
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[doc(alias = "create_datagram_endpoint")]
#[derive(Debug)]
pub struct UnixDatagram {
    endpoint: Rc<Endpoint>,
    file: Option<SocketFile>,
}

impl UnixDatagram {
    /// Binds to a path, where a file appears, or to an abstract name, where `path` begins with a zero byte.
    ///
    /// The file of a socket that was there before is replaced, any other file is refused. It is removed
    /// when the socket is dropped, unless another has taken its place. Its permissions, which say who may
    /// send, are those that the `umask(2)` of the process leaves.
    ///
    /// # Errors
    ///
    /// `AddrInUse`: there is a file of that name which is no socket, or somebody has the abstract name;
    /// `NotFound` and `PermissionDenied` for the folder; `InvalidInput` for a path that is empty or too long
    /// (107 bytes); `NotConnected` outside a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::net::UnixDatagram;
    ///
    /// ringloop::run(async {
    ///     let name = format!("\0ringloop-{}", std::process::id());
    ///     let named = UnixDatagram::bind(&name)?;
    ///     UnixDatagram::unbound()?.send_to(b"hello", &name).await?;
    ///     let (message, sender) = named.recv_chunk().await?;
    ///     assert!(&message[..] == b"hello" && sender.is_unnamed());
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&address(path.as_ref())?)
    }

    /// As [`bind`](Self::bind), to an address of std's; to an unnamed one under an abstract name of the
    /// kernel's choice.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        let mut this = Self::unbound()?;
        let path = address.as_pathname();
        path.into_iter().for_each(make_room);
        let (core, fd) = (this.endpoint.core(), this.endpoint.fd().raw());
        let bound = core.call(Call::Bind { fd, address: &SockAddr::from(address) });
        let file = match (bound, path) {
            (Ok(_), path) => path.map(|path| SocketFile::new(core, path)),
            (Err(error), Some(path)) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(in_use(path));
            }
            (Err(error), _) => return Err(error),
        };
        this.file = file;
        Ok(this)
    }

    /// A socket without a name: it can send, and receive nothing unless it is connected to.
    ///
    /// # Errors
    ///
    /// No descriptor is left; `NotConnected` outside a runtime.
    pub fn unbound() -> io::Result<Self> {
        Self::new(Fd::socket(&current()?, libc::AF_UNIX, libc::SOCK_DGRAM)?)
    }

    /// Two sockets that are connected to each other, without names.
    ///
    /// # Errors
    ///
    /// No descriptor is left; `NotConnected` outside a runtime.
    #[doc(alias = "socketpair")]
    pub fn pair() -> io::Result<(Self, Self)> {
        let core = current()?;
        let mut fds = [0; 2];
        core.call(Call::Pair { kind: libc::SOCK_DGRAM, fds: &mut fds })?;
        let [one, other] = fds.map(|fd| Self::new(Fd::new(fd, core.clone())));
        Ok((one?, other?))
    }

    /// Takes over a socket of std.
    ///
    /// # Errors
    ///
    /// `NotConnected` outside a runtime; what `fcntl(2)` says.
    pub fn from_std(socket: std::os::unix::net::UnixDatagram) -> io::Result<Self> {
        let core = current()?;
        let fd = Fd::new(file::into_raw(socket.into()), core);
        fd.core().call(Call::SetNonblocking { fd: fd.raw(), on: true })?;
        Self::new(fd)
    }

    /// Gives the socket back to std, in blocking mode. What has come is still in it, and its file stays.
    ///
    /// The descriptor is a duplicate: its number differs.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` says; the socket is closed then.
    pub fn into_std(mut self) -> io::Result<std::os::unix::net::UnixDatagram> {
        let file = self.file.take();
        let fd = self.endpoint.fd();
        let copy = fd.core().call(Call::Duplicate { fd: fd.raw() })?;
        let socket = std::os::unix::net::UnixDatagram::from(file::own(copy));
        fd.core().call(Call::SetNonblocking { fd: copy, on: false })?;
        file.into_iter().for_each(SocketFile::keep);
        Ok(socket)
    }

    fn new(fd: Fd) -> io::Result<Self> {
        Ok(Self { endpoint: Endpoint::new(fd, Kind::Unix, 0)?, file: None })
    }

    /// Makes the socket at a path this one's peer: [`send`](Self::send) sends to it, and nobody else's
    /// datagrams are received.
    ///
    /// # Errors
    ///
    /// `NotFound` without a file there, `ConnectionRefused` without a socket behind it, and what else
    /// `connect(2)` says; `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it may leave the socket connected or not.
    pub async fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.connect_addr(&address(path.as_ref())?).await
    }

    /// As [`connect`](Self::connect), to an address.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        let (fd, core) = (self.endpoint.fd().clone(), self.endpoint.core().clone());
        let attach = AttachOp { fd, address: Stable::new(SockAddr::from(address)) };
        Submit::new(core, attach).await
    }

    /// The name it is bound to.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the runtime has ended.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(self.endpoint.fd())
    }

    /// The name of the peer that it is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected`: to none, or the runtime has ended.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        peer_addr(self.endpoint.fd())
    }

    /// Sends a datagram to the socket's peer, as soon as there is room for it. Gives its length.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE`: it is longer than the send buffer; the socket goes on. `ConnectionRefused`: the peer is
    /// gone; `NotConnected` without one, or once the runtime has ended; what else `sendto(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Dropping it has sent nothing.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.endpoint.until_sent(|| self.endpoint.send_now(bytes, None)).await
    }

    /// Sends a datagram to the socket at a path, as soon as there is room for it. Gives its length.
    ///
    /// Of a queue that is full the kernel tells nothing here when there is room again: it is tried again
    /// every few milliseconds. A connected socket is told.
    ///
    /// # Errors
    ///
    /// `NotFound` without a file there, `ConnectionRefused` without a socket behind it; else as
    /// [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Dropping it has sent nothing.
    #[doc(alias = "sendto")]
    pub async fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_to_addr(bytes, &address(path.as_ref())?).await
    }

    /// As [`send_to`](Self::send_to), to an address.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    ///
    /// # Cancel safety
    ///
    /// Dropping it has sent nothing.
    pub async fn send_to_addr(&self, bytes: &[u8], address: &SocketAddr) -> io::Result<usize> {
        let to = SockAddr::from(address);
        self.endpoint.until_sent(|| self.endpoint.send_now(bytes, Some(&to))).await
    }

    /// Sends a datagram to the socket's peer, if there is room for it now.
    ///
    /// # Errors
    ///
    /// `WouldBlock`; else as [`send`](Self::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.endpoint.core().may_wait()?;
        self.endpoint.send_now(bytes, None)
    }

    /// Sends a datagram to an address, if there is room for it now.
    ///
    /// # Errors
    ///
    /// `WouldBlock`; else as [`send_to`](Self::send_to).
    pub fn try_send_to(&self, bytes: &[u8], address: &SocketAddr) -> io::Result<usize> {
        self.endpoint.core().may_wait()?;
        self.endpoint.send_now(bytes, Some(&SockAddr::from(address)))
    }
}

impl Drop for UnixDatagram {
    fn drop(&mut self) {
        // Before the descriptor is closed.
        drop(self.file.take());
        self.endpoint.close();
    }
}
