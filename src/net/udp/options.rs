//! How a UDP socket is made.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use super::UdpSocket;
use crate::net::accept::bind_patiently;
use crate::net::addr::{ToSocketAddrs, resolve};
use crate::net::endpoint::{Endpoint, Kind};
use crate::net::options::{self, Setting};
use crate::op::Call;
use crate::runtime::{Core, Fd, current};
use crate::sys::SockAddr;

/// How a [`UdpSocket`] is made.
///
/// There is no `reuse_addr`: asyncio took it away, because with it any process may listen to what was
/// meant for another.
///
/// # Examples
///
/// ```
/// use ringloop::net::UdpSocketOptions;
///
/// ringloop::run(async {
///     let socket = UdpSocketOptions::new().reuse_port(true).parked(1024).bind("127.0.0.1:0").await?;
///     assert_ne!(socket.local_addr()?.port(), 0);
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[doc(alias = "create_datagram_endpoint")]
#[derive(Clone, Debug)]
pub struct UdpSocketOptions {
    parked: usize,
    reuse_port: bool,
    broadcast: bool,
    only_v6: Option<bool>,
    recv_buffer: Option<usize>,
    send_buffer: Option<usize>,
}

impl UdpSocketOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            parked: super::PARKED,
            reuse_port: false,
            broadcast: false,
            only_v6: None,
            recv_buffer: None,
            send_buffer: None,
        }
    }

    /// How many received datagrams may wait for [`recv_from`](UdpSocket::recv_from) (256, and 1 MiB in
    /// any case) before receiving pauses, until half of them are taken. Then the kernel's buffer fills,
    /// and what does not fit there is [dropped](UdpSocket::dropped). What the kernel hands over in one
    /// go is not counted before it is there.
    pub fn parked(&mut self, datagrams: usize) -> &mut Self {
        self.parked = datagrams.max(1);
        self
    }

    /// `SO_REUSEPORT` (off): several sockets share the address, and the kernel spreads datagrams.
    pub fn reuse_port(&mut self, on: bool) -> &mut Self {
        self.reuse_port = on;
        self
    }

    /// `SO_BROADCAST` (off): may send to broadcast addresses.
    #[doc(alias = "allow_broadcast")]
    pub fn broadcast(&mut self, on: bool) -> &mut Self {
        self.broadcast = on;
        self
    }

    /// `IPV6_V6ONLY` (the system's default): whether an IPv6 address leaves IPv4 alone.
    pub fn only_v6(&mut self, on: bool) -> &mut Self {
        self.only_v6 = Some(on);
        self
    }

    /// The kernel's receive buffer, in bytes (the system's default). The kernel lowers it to
    /// `net.core.rmem_max`.
    pub fn recv_buffer_size(&mut self, bytes: usize) -> &mut Self {
        self.recv_buffer = Some(bytes);
        self
    }

    /// The kernel's send buffer, in bytes (the system's default). The kernel lowers it to
    /// `net.core.wmem_max`.
    pub fn send_buffer_size(&mut self, bytes: usize) -> &mut Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// Binds to the first address that can be bound; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::bind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    pub async fn bind(&self, to: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        let mut error = None;
        for address in resolve(to).await? {
            let core = current()?;
            match bind_patiently(|| self.bind_one(&core, address)).await {
                Ok(socket) => return Ok(socket),
                Err(e) => error = Some(e),
            }
        }
        Err(error.expect("resolve gives an address"))
    }

    fn bind_one(&self, core: &Rc<Core>, address: SocketAddr) -> io::Result<UdpSocket> {
        let domain = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let fd = Fd::socket(core, domain, libc::SOCK_DGRAM)?;
        let flags = [(libc::SO_REUSEPORT, self.reuse_port), (libc::SO_BROADCAST, self.broadcast)];
        for (name, _) in flags.into_iter().filter(|(_, on)| *on) {
            options::set(core, fd.raw(), Setting::flag(libc::SOL_SOCKET, name, true))?;
        }
        let sizes = [(libc::SO_RCVBUF, self.recv_buffer), (libc::SO_SNDBUF, self.send_buffer)];
        for (name, size) in sizes.into_iter().filter_map(|(name, size)| Some((name, size?))) {
            let size = i32::try_from(size).unwrap_or(i32::MAX);
            options::set(core, fd.raw(), Setting::int(libc::SOL_SOCKET, name, size))?;
        }
        if let (Some(only), SocketAddr::V6(_)) = (self.only_v6, address) {
            let only = Setting::flag(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only);
            options::set(core, fd.raw(), only)?;
        }
        core.call(Call::Bind { fd: fd.raw(), address: &SockAddr::from(address) })?;
        UdpSocket::new(fd, self.parked)
    }
}

impl Default for UdpSocketOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl UdpSocket {
    /// Takes over a descriptor that is nobody else's.
    pub(super) fn new(fd: Fd, parked: usize) -> io::Result<Self> {
        let counts = Setting::flag(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, true);
        options::set(fd.core(), fd.raw(), counts)?;
        Ok(Self { endpoint: Endpoint::new(fd, Kind::Inet, parked)? })
    }
}
