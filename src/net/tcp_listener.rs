//! A TCP socket that listens.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use super::accept::{Acceptor, bind_patiently};
use super::addr::{ToSocketAddrs, resolve};
use super::options::{self, Setting, TcpListenerOptions};
use super::socket::Socket;
use super::tcp_stream::{TcpStream, local_addr, peer_addr};
use crate::op::Call;
use crate::runtime::{Core, Fd, current};
use crate::sys::SockAddr;

/// A TCP socket that listens.
///
/// Connections are accepted ahead, up to [`TcpListenerOptions::parked`], and kept until somebody
/// takes them: a dropped `accept` loses none. Dropping the listener closes those that nobody took.
///
/// # Examples
///
/// ```no_run
/// use ringloop::net::TcpListener;
///
/// ringloop::run(async {
///     let listener = TcpListener::bind("127.0.0.1:8080").await?;
///     loop {
///         let (mut stream, peer) = listener.accept().await?;
///         ringloop::spawn(async move {
///             println!("{peer} is here");
///             stream.write_all(b"hello\n").await
///         });
///     }
///     #[allow(unreachable_code)]
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[derive(Debug)]
pub struct TcpListener {
    acceptor: Rc<Acceptor>,
}

impl TcpListener {
    /// Listens on the first address that can be bound, with the defaults of
    /// [`TcpListenerOptions`]; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// The last address's: `AddrInUse`, `PermissionDenied`, …; `InvalidInput` for text that is no
    /// address; `NotConnected` outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    pub async fn bind(to: impl ToSocketAddrs) -> io::Result<Self> {
        TcpListenerOptions::new().bind(to).await
    }

    /// Takes over a listening socket of std.
    ///
    /// # Errors
    ///
    /// `NotConnected` outside a runtime; what `fcntl(2)` says.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        let core = current()?;
        let fd = Fd::new(crate::sys::file::into_raw(listener.into()), core);
        fd.core().call(Call::SetNonblocking { fd: fd.raw(), on: true })?;
        Ok(Self::new(fd, TcpListenerOptions::new().parked))
    }

    fn new(fd: Fd, parked: usize) -> Self {
        Self { acceptor: Acceptor::new(fd, parked) }
    }

    /// Waits for a connection. Several tasks may wait at once; they are served in turn.
    ///
    /// Short of descriptors (`EMFILE`) it waits until there are some. A connection that its peer
    /// reset before anybody took it is left out.
    ///
    /// # Errors
    ///
    /// The socket is not fit for accepting; the listener is [closed](Self::close) and nothing is left;
    /// `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: the connection stays for the next `accept`.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let fd = self.acceptor.accept().await?;
            if let Ok(peer) = peer_addr(&fd) {
                return Ok((TcpStream::new(Socket::new(fd)), peer));
            }
        }
    }

    /// Stops listening. Connections that were accepted, or that the kernel had queued, are still
    /// handed out by [`accept`](Self::accept); then it says that the listener is closed.
    pub fn close(&self) {
        self.acceptor.close();
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// The listener is closed, or the runtime has ended.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.with_fd(local_addr)
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.acceptor.abandon();
    }
}

impl TcpListenerOptions {
    /// Listens on the first address that can be bound; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    pub async fn bind(&self, to: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let mut error = None;
        for address in resolve(to).await? {
            let core = current()?;
            match bind_patiently(|| self.bind_one(&core, address)).await {
                Ok(listener) => return Ok(listener),
                Err(e) => error = Some(e),
            }
        }
        Err(error.expect("resolve gives an address"))
    }

    fn bind_one(&self, core: &Rc<Core>, address: SocketAddr) -> io::Result<TcpListener> {
        let domain = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let fd = Fd::socket(core, domain, libc::SOCK_STREAM)?;
        let flags = [(libc::SO_REUSEADDR, self.reuse_addr), (libc::SO_REUSEPORT, self.reuse_port)];
        for (name, _) in flags.into_iter().filter(|(_, on)| *on) {
            options::set(core, fd.raw(), Setting::flag(libc::SOL_SOCKET, name, true))?;
        }
        if let (Some(only), SocketAddr::V6(_)) = (self.only_v6, address) {
            let only = Setting::flag(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only);
            options::set(core, fd.raw(), only)?;
        }
        core.call(Call::Bind { fd: fd.raw(), address: &SockAddr::from(address) })?;
        let backlog = i32::try_from(self.backlog).unwrap_or(i32::MAX);
        core.call(Call::Listen { fd: fd.raw(), backlog })?;
        Ok(TcpListener::new(fd, self.parked))
    }
}
