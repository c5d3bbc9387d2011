//! A connection within a machine.

use std::io;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::addr::{address, local_addr, peer_addr};
use crate::net::op::ConnectOp;
use crate::net::socket::Socket;
use crate::net::stream_socket::hand_over;
use crate::net::tcp_stream::Handle;
use crate::op::Call;
use crate::runtime::{Fd, Submit, current};
use crate::sys::{SockAddr, file};
use crate::task::proceed;
use crate::time::sleep;

/// How long a dial waits where the listener's backlog is full: at first, and at most.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A connection within a machine, by a path, an abstract name, or a pair.
///
/// It reads and writes as a [`TcpStream`](crate::net::TcpStream): what arrives belongs to the stream, not
/// to the call that waits for it, and a dropped `read` loses nothing; what is written leaves in order,
/// also when the stream is dropped right after.
///
/// A Unix socket knows no reset. A peer that drops its end over bytes that it has not read is seen as
/// `ConnectionReset`; one that [aborts](Self::abort) as the end of the stream.
///
/// See `unix(7)`.
///
/// # Examples
///
/// ```
/// use ringloop::net::UnixStream;
///
/// ringloop::run(async {
///     let (mut one, mut other) = UnixStream::pair()?;
///     one.write_all(b"hello").await?;
///     let mut buf = [0; 16];
///     let n = other.read(&mut buf).await?;
///     assert_eq!(&buf[..n], b"hello");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[derive(Debug)]
pub struct UnixStream {
    handle: Handle,
}

impl UnixStream {
    pub(super) fn of(fd: Fd) -> Self {
        let socket = Socket::new(fd);
        // A multishot may lose the end of a Unix stream (`uring-sys-notes/multishot-receive.md`).
        socket.inbox.borrow_mut().one_shot = true;
        Self { handle: Handle(socket) }
    }

    pub(in crate::net) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(in crate::net) fn into_handle(self) -> Handle {
        self.handle
    }

    pub(in crate::net) fn socket(&self) -> &Rc<Socket> {
        &self.handle.0
    }

    /// Connects to whoever listens at a path, or under an abstract name where `path` begins with a zero
    /// byte, as in `"\0name"`.
    ///
    /// Where the listener's backlog is full it waits until there is room, as `connect(2)` does;
    /// [`timeout`](crate::time::timeout) bounds it.
    ///
    /// asyncio's `open_unix_connection`, at the level of bytes.
    ///
    /// # Errors
    ///
    /// `NotFound` without the file; `ConnectionRefused` where nobody listens; `PermissionDenied`, and
    /// what else `connect(2)` says; `InvalidInput` for a path that is empty or too long; `NotConnected`
    /// outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the socket.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::net::UnixStream;
    ///
    /// ringloop::run(async {
    ///     let error = UnixStream::connect("/nobody/is/here").await.unwrap_err();
    ///     assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// });
    /// ```
    #[doc(alias = "create_unix_connection")]
    #[doc(alias = "open_unix_connection")]
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let address = address(path.as_ref())?;
        Self::connect_addr(&address).await
    }

    /// Connects to an address of std's, as [`connect`](Self::connect) does to a path.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the socket.
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        // What is refused at once counts, too: whoever tries again and again holds up nobody.
        proceed().await;
        let address = SockAddr::from(address);
        let mut pause = PAUSE;
        loop {
            let core = current()?;
            let fd = Fd::socket(&core, libc::AF_UNIX, libc::SOCK_STREAM)?;
            match Submit::new(core, ConnectOp::new(fd, address)).await {
                Ok(fd) => return Ok(Self::of(fd)),
                // The backlog is full, which nobody can wait for (`uring-sys-notes/unix-sockets.md`).
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Two streams that are connected with each other; `socketpair(2)`.
    ///
    /// # Errors
    ///
    /// No descriptors are left; `NotConnected` outside a runtime.
    #[doc(alias = "socketpair")]
    pub fn pair() -> io::Result<(Self, Self)> {
        let core = current()?;
        let mut fds = [0; 2];
        core.call(Call::Pair { kind: libc::SOCK_STREAM, fds: &mut fds })?;
        let [one, other] = fds.map(|fd| Self::of(Fd::new(fd, core.clone())));
        Ok((one, other))
    }

    /// Takes over a connected socket of std.
    ///
    /// # Errors
    ///
    /// `NotConnected` outside a runtime; what `fcntl(2)` says.
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        let core = current()?;
        let fd = Fd::new(file::into_raw(stream.into()), core);
        fd.core().call(Call::SetNonblocking { fd: fd.raw(), on: true })?;
        Ok(Self::of(fd))
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
    pub async fn into_std(self) -> io::Result<(std::os::unix::net::UnixStream, Bytes)> {
        let (owned, parked) = hand_over(self.socket()).await?;
        Ok((owned.into(), parked))
    }

    /// Closes at once: what was written and has not left is discarded. The peer sees the end of the
    /// stream, and cannot tell it from another: a Unix socket knows no reset.
    pub fn abort(self) {
        self.socket().abort();
    }

    /// Who is at the other end: whoever dialled, listened or made the pair, as it was then
    /// (`SO_PEERCRED`).
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::net::UnixStream;
    ///
    /// ringloop::run(async {
    ///     let (one, _other) = UnixStream::pair()?;
    ///     assert_eq!(one.peer_cred()?.pid, Some(std::process::id() as i32));
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    #[doc(alias = "SO_PEERCRED")]
    pub fn peer_cred(&self) -> io::Result<UCred> {
        let fd = self.socket().fd();
        let mut value = [0; size_of::<libc::ucred>()];
        let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
        fd.core().call(Call::GetOption { fd: fd.raw(), level, name, value: &mut value })?;
        let [p, q, r, s, u, v, w, x, g, h, i, j] = value;
        let pid = i32::from_ne_bytes([p, q, r, s]);
        Ok(UCred {
            uid: u32::from_ne_bytes([u, v, w, x]),
            gid: u32::from_ne_bytes([g, h, i, j]),
            pid: (pid > 0).then_some(pid),
        })
    }

    /// The address of the peer: mostly none ([`is_unnamed`](SocketAddr::is_unnamed)) where the peer has
    /// dialled.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the runtime has ended; `InvalidData` for a path of all 108 bytes that the
    /// kernel has room for, and std has not.
    #[doc(alias = "peername")]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        peer_addr(self.socket().fd())
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// As [`peer_addr`](Self::peer_addr).
    #[doc(alias = "sockname")]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(self.socket().fd())
    }
}

/// Who is at the other end of a [`UnixStream`]: the effective user and group, and the process, of whom
/// the other end came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UCred {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The process; `None` where it cannot be seen from here, in another namespace.
    pub pid: Option<i32>,
}
