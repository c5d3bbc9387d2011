//! Unix datagram sockets.

use std::io;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use super::endpoint::{Endpoint, Kind, State};
use super::op::AttachOp;
use crate::buf::{Block, Lease, Stable};
use crate::op::Call;
use crate::runtime::{Fd, Submit, current};
use crate::sys::{SockAddr, file};

/// A Unix datagram socket: messages between processes of one host, whole and in order.
///
/// Nothing is dropped on the way: a receiver's queue that is full (`net.unix.max_dgram_qlen`, 10) holds
/// the sender up. All of it works by `&self`: several tasks may send, and several may receive; those are
/// served in turn. Names are paths, or abstract ones
/// ([`SocketAddrExt::from_abstract_name`](std::os::linux::net::SocketAddrExt::from_abstract_name)).
/// See `unix(7)`.
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
}

impl UnixDatagram {
    /// Binds to a path, where a socket file appears. It stays when the socket is dropped.
    ///
    /// # Errors
    ///
    /// `AddrInUse`: there is a file of that name; `NotFound` and `PermissionDenied` for the folder;
    /// `InvalidInput` for a path that is too long (107 bytes); `NotConnected` outside a runtime.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use ringloop::net::UnixDatagram;
    ///
    /// ringloop::run(async {
    ///     let log = UnixDatagram::bind("/run/log")?;
    ///     loop {
    ///         let (message, _) = log.recv_chunk().await?;
    ///         println!("{}", String::from_utf8_lossy(&message));
    ///     }
    ///     #[allow(unreachable_code)]
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Binds to an address, such as an abstract name.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::linux::net::SocketAddrExt;
    /// use std::os::unix::net::SocketAddr;
    /// use ringloop::net::UnixDatagram;
    ///
    /// ringloop::run(async {
    ///     let name = SocketAddr::from_abstract_name(format!("ringloop-{}", std::process::id()))?;
    ///     let named = UnixDatagram::bind_addr(&name)?;
    ///     let other = UnixDatagram::unbound()?;
    ///     other.send_to_addr(b"hello", &name).await?;
    ///     let (message, sender) = named.recv_chunk().await?;
    ///     assert!(&message[..] == b"hello" && sender.is_unnamed());
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        let this = Self::unbound()?;
        let fd = this.endpoint.fd().raw();
        this.endpoint.core().call(Call::Bind { fd, address: &SockAddr::from(address) })?;
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

    /// Gives the socket back to std, in blocking mode. What has come is still in it.
    ///
    /// The descriptor is a duplicate: its number differs.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` says; the socket is closed then.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixDatagram> {
        let fd = self.endpoint.fd();
        let copy = fd.core().call(Call::Duplicate { fd: fd.raw() })?;
        let socket = std::os::unix::net::UnixDatagram::from(file::own(copy));
        fd.core().call(Call::SetNonblocking { fd: copy, on: false })?;
        Ok(socket)
    }

    fn new(fd: Fd) -> io::Result<Self> {
        Ok(Self { endpoint: Endpoint::new(fd, Kind::Unix, 0)? })
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
        self.connect_addr(&SocketAddr::from_pathname(path)?).await
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
        let (fd, mut address) = (self.endpoint.fd().raw(), SockAddr::empty());
        self.endpoint.core().call(Call::LocalAddr { fd, address: &mut address })?;
        address.to_unix()
    }

    /// The name of the peer that it is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected`: to none, or the runtime has ended.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let (fd, mut address) = (self.endpoint.fd().raw(), SockAddr::empty());
        self.endpoint.core().call(Call::PeerAddr { fd, address: &mut address })?;
        address.to_unix()
    }

    // ---- sending ----

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
        self.send_to_addr(bytes, &SocketAddr::from_pathname(path)?).await
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

    // ---- receiving ----

    /// Waits for a datagram, received into `buf`: its length there. What does not fit is discarded, as by
    /// `recv(2)`; [`recv_chunk`](Self::recv_chunk) knows no such limit.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a datagram stays for the next who asks.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive("recv", buf, false).await.map(|(len, _)| len)
    }

    /// Waits for a datagram, received into `buf`: its length there, and who sent it. What does not fit is
    /// discarded, as by `recvfrom(2)`. Several tasks may wait at once; they are served in turn.
    ///
    /// # Errors
    ///
    /// What `recvfrom(2)` says; `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a datagram stays for the next who asks.
    #[doc(alias = "recvfrom")]
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (len, from) = self.receive("recv_from", buf, false).await?;
        Ok((len, from.to_unix()?))
    }

    /// Waits for a datagram, of any length, and lends it.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a datagram stays for the next who asks.
    pub async fn recv_chunk(&self) -> io::Result<(Lease, SocketAddr)> {
        let (lease, from) = self.endpoint.take("recv_chunk", fetch_chunk).await?;
        Ok((lease, from.to_unix()?))
    }

    /// As [`recv_from`](Self::recv_from), and the datagram stays.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (len, from) = self.receive("peek_from", buf, true).await?;
        Ok((len, from.to_unix()?))
    }

    /// Waits until a receive would not have to wait.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.receive("readable", &mut [], true).await.map(drop)
    }

    /// As [`recv`](Self::recv), of a datagram that has come.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: none has, or those that wait for it come first; else as
    /// [`recv_from`](Self::recv_from).
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let took = |endpoint: &Endpoint, state: &mut State| fetch(endpoint, state, buf, false);
        self.endpoint.try_take(took).map(|(len, _)| len)
    }

    /// As [`recv_from`](Self::recv_from), of a datagram that has come.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let took = |endpoint: &Endpoint, state: &mut State| fetch(endpoint, state, buf, false);
        let (len, from) = self.endpoint.try_take(took)?;
        Ok((len, from.to_unix()?))
    }

    async fn receive(
        &self,
        what: &'static str,
        buf: &mut [u8],
        peek: bool,
    ) -> io::Result<(usize, SockAddr)> {
        let took = |endpoint: &Endpoint, state: &mut State| fetch(endpoint, state, buf, peek);
        self.endpoint.take(what, took).await
    }
}

impl Drop for UnixDatagram {
    fn drop(&mut self) {
        self.endpoint.close();
    }
}

/// Fetches a datagram: how much of it is in `buf`. `None`: there is none.
fn fetch(
    endpoint: &Endpoint,
    state: &mut State,
    buf: &mut [u8],
    peek: bool,
) -> Option<io::Result<(usize, SockAddr)>> {
    let room = buf.len();
    Some(call(endpoint, state, buf, peek)?.map(|(len, from)| (len.min(room), from)))
}

/// Fetches a datagram, whatever its length.
fn fetch_chunk(endpoint: &Endpoint, state: &mut State) -> Option<io::Result<(Lease, SockAddr)>> {
    let len = match call(endpoint, state, &mut [], true)? {
        Ok((len, _)) => len,
        Err(error) => return Some(Err(error)),
    };
    // The kernel says lengths as integers of 31 bits.
    let mut block = Block::zeroed(len as u32);
    let fetched = fetch(endpoint, state, &mut block, false)?;
    Some(fetched.map(|(len, from)| {
        let mut lease = endpoint.core().pool().adopt(block);
        lease.truncate(len);
        (lease, from)
    }))
}

/// The call. Nothing to be had is no result.
fn call(
    endpoint: &Endpoint,
    state: &mut State,
    into: &mut [u8],
    peek: bool,
) -> Option<io::Result<(usize, SockAddr)>> {
    let (fd, mut from) = (endpoint.fd().raw(), SockAddr::empty());
    match endpoint.core().call(Call::RecvFromNow { fd, into, from: &mut from, peek }) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            state.ready = false;
            None
        }
        result => Some(result.map(|len| (len as usize, from))),
    }
}
