//! Connecting.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::addr::{ToSocketAddrs, resolve};
use super::op::ConnectOp;
use super::options::{self, Setting};
use super::socket::Socket;
use super::tcp_stream::TcpStream;
use crate::op::Call;
use crate::runtime::{Fd, Submit, current};
use crate::sys::SockAddr;
use crate::time::timeout;

/// How a [`TcpStream`] is connected: with a time limit, from a local address.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ringloop::net::{TcpConnector, TcpListener};
///
/// ringloop::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let stream = TcpConnector::new()
///         .timeout(Duration::from_secs(1))
///         .local_addr("127.0.0.2:0".parse().unwrap())
///         .connect(listener.local_addr()?)
///         .await?;
///     assert_eq!(stream.local_addr()?.ip().to_string(), "127.0.0.2");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct TcpConnector {
    timeout: Option<Duration>,
    local: Option<SocketAddr>,
    nodelay: bool,
}

impl TcpConnector {
    /// No time limit but the kernel's, and a local address of the kernel's choice.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long each address may take.
    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.timeout = Some(timeout);
        self
    }

    /// The local address to connect from; port 0 for any.
    pub fn local_addr(&mut self, address: SocketAddr) -> &mut Self {
        self.local = Some(address);
        self
    }

    /// Sets `TCP_NODELAY` (off by default).
    pub fn nodelay(&mut self, on: bool) -> &mut Self {
        self.nodelay = on;
        self
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    ///
    /// The last address's: `ConnectionRefused`, `TimedOut`, and what else `connect(2)` says;
    /// `InvalidInput` for text that is no address; `NotConnected` outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the socket.
    pub async fn connect(&self, to: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let mut error = None;
        for address in resolve(to).await? {
            match self.connect_one(address).await {
                Ok(stream) => return Ok(stream),
                Err(e) => error = Some(e),
            }
        }
        Err(error.expect("resolve gives an address"))
    }

    async fn connect_one(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let core = current()?;
        let domain = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let fd = Fd::socket(&core, domain, libc::SOCK_STREAM)?;
        if let Some(local) = self.local {
            // The port is chosen when the peer is known, so many connections may share one address.
            let late = Setting::flag(libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT, true);
            let _ = options::set(&core, fd.raw(), late);
            core.call(Call::Bind { fd: fd.raw(), address: &SockAddr::from(local) })?;
        }
        if self.nodelay {
            let nodelay = Setting::flag(libc::IPPROTO_TCP, libc::TCP_NODELAY, true);
            options::set(&core, fd.raw(), nodelay)?;
        }
        let connecting = Submit::new(core, ConnectOp::new(fd, SockAddr::from(address)));
        let fd = match self.timeout {
            Some(limit) => timeout(limit, connecting).await.map_err(|_| {
                io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("{address} did not answer within {limit:?}"),
                )
            })??,
            None => connecting.await?,
        };
        Ok(TcpStream::new(Socket::new(fd)))
    }
}
