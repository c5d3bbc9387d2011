//! The socket options of a [`UdpSocket`].

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Ecn, UdpSocket};
use crate::net::options::{self, Setting};
use crate::op::Call;

impl UdpSocket {
    /// Whether it may send to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.option(libc::SOL_SOCKET, libc::SO_BROADCAST).map(|on| on != 0)
    }

    /// Lets it send to broadcast addresses (`SO_BROADCAST`, off by default).
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    #[doc(alias = "allow_broadcast")]
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.set(Setting::flag(libc::SOL_SOCKET, libc::SO_BROADCAST, on))
    }

    /// The time to live of outgoing packets.
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn ttl(&self) -> io::Result<u32> {
        let (level, name) = self.of_family(
            (libc::IPPROTO_IP, libc::IP_TTL),
            (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
        )?;
        self.option(level, name).map(|ttl| ttl.max(0) as u32)
    }

    /// Sets the time to live of outgoing packets (1 to 255).
    ///
    /// # Errors
    ///
    /// `InvalidInput` out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let (level, name) = self.of_family(
            (libc::IPPROTO_IP, libc::IP_TTL),
            (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
        )?;
        self.set(Setting::int(level, name, i32::try_from(ttl).unwrap_or(i32::MAX)))
    }

    // ---- multicast ----

    /// Receives what is sent to a group of IPv4, on the interface with this address
    /// (`IP_ADD_MEMBERSHIP`); `0.0.0.0` lets the system choose.
    ///
    /// # Errors
    ///
    /// `AddrInUse`: it is in the group; `ENODEV`: no such interface; what else `setsockopt(2)` says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::Ipv4Addr;
    /// use ringloop::net::UdpSocketOptions;
    ///
    /// ringloop::run(async {
    ///     let socket = UdpSocketOptions::new().reuse_port(true).bind("0.0.0.0:5353").await?;
    ///     socket.join_multicast_v4(&Ipv4Addr::new(224, 0, 0, 251), &Ipv4Addr::UNSPECIFIED)?;
    ///     println!("{:?}", socket.recv_chunk().await?);
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.membership_v4(libc::IP_ADD_MEMBERSHIP, group, interface)
    }

    /// Leaves a group of IPv4 (`IP_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// `AddrNotAvailable`: it is not in the group.
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.membership_v4(libc::IP_DROP_MEMBERSHIP, group, interface)
    }

    /// Receives what is sent to a group of IPv6, on the interface with this number
    /// (`IPV6_ADD_MEMBERSHIP`); 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// `AddrInUse`: it is in the group; `ENODEV`: no such interface; what else `setsockopt(2)` says.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.membership_v6(libc::IPV6_ADD_MEMBERSHIP, group, interface)
    }

    /// Leaves a group of IPv6 (`IPV6_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// `AddrNotAvailable`: it is not in the group.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.membership_v6(libc::IPV6_DROP_MEMBERSHIP, group, interface)
    }

    /// Whether what it sends to a group comes back to this host's members of the group (on by default;
    /// `IP_MULTICAST_LOOP` or `IPV6_MULTICAST_LOOP`, by the socket's family).
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn multicast_loop(&self) -> io::Result<bool> {
        let (level, name) = self.of_family(
            (libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP),
            (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP),
        )?;
        self.option(level, name).map(|on| on != 0)
    }

    /// Sets whether what it sends to a group comes back; see [`multicast_loop`](Self::multicast_loop).
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_multicast_loop(&self, on: bool) -> io::Result<()> {
        let (level, name) = self.of_family(
            (libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP),
            (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP),
        )?;
        self.set(Setting::flag(level, name, on))
    }

    /// The time to live of what is sent to a group (1 by default: this network only).
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn multicast_ttl(&self) -> io::Result<u32> {
        let (level, name) = self.of_family(
            (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL),
            (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS),
        )?;
        self.option(level, name).map(|ttl| ttl.max(0) as u32)
    }

    /// Sets the time to live of what is sent to a group (0 to 255).
    ///
    /// # Errors
    ///
    /// `InvalidInput` out of range.
    pub fn set_multicast_ttl(&self, ttl: u32) -> io::Result<()> {
        let (level, name) = self.of_family(
            (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL),
            (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS),
        )?;
        self.set(Setting::int(level, name, i32::try_from(ttl).unwrap_or(i32::MAX)))
    }

    // ---- congestion, offload ----

    /// The mark of congestion that outgoing packets carry.
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn ecn(&self) -> io::Result<Ecn> {
        let (level, name) = self.class()?;
        self.option(level, name).map(|class| Ecn::of(class as u8))
    }

    /// Sets the mark of congestion that outgoing packets carry (none by default; the two low bits of
    /// `IP_TOS` or `IPV6_TCLASS`, the others stay). [`Transmit::ecn`](super::Transmit::ecn) sets it for one.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_ecn(&self, ecn: Ecn) -> io::Result<()> {
        let (level, name) = self.class()?;
        let class = self.option(level, name)?.max(0) & !0b11 | ecn as i32;
        self.set(Setting::int(level, name, class))
    }

    /// Asks the kernel for the marks of congestion of what is received from now on
    /// ([`Datagram::ecn`](super::Datagram::ecn)); off by default.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says; `Unsupported` where the kernel does not tell.
    pub fn set_recv_ecn(&self, on: bool) -> io::Result<()> {
        let v4 = Setting::flag(libc::IPPROTO_IP, libc::IP_RECVTOS, on);
        if self.is_v4()? {
            return self.set(v4).map_err(|e| unsupported(e, "the marks of congestion"));
        }
        let v6 = Setting::flag(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, on);
        self.set(v6).map_err(|e| unsupported(e, "the marks of congestion"))?;
        // For what comes from IPv4. A socket that is of IPv6 only has no need of it.
        let _ = self.set(v4);
        Ok(())
    }

    /// Whether the kernel cuts datagrams into segments: what
    /// [`send_segments`](Self::send_segments) and [`Transmit::segment_size`](super::Transmit::segment_size)
    /// need (`UDP_SEGMENT`, Linux 4.18).
    pub fn can_segment(&self) -> bool {
        self.endpoint.can_segment()
    }

    /// Lets the kernel put datagrams of one sender and one size together, from now on: a receive then gives
    /// several at once ([`Datagram::segments`](super::Datagram::segments); `UDP_GRO`, Linux 5.0). Off by
    /// default, for each receive must know of it.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the kernel cannot.
    pub fn set_gro(&self, on: bool) -> io::Result<()> {
        let gro = Setting::flag(libc::SOL_UDP, libc::UDP_GRO, on);
        self.set(gro).map_err(|e| unsupported(e, "putting datagrams together (UDP_GRO)"))
    }

    // ---- buffers ----

    /// The kernel's receive buffer, in bytes; it says twice what was set, for its own use.
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        self.option(libc::SOL_SOCKET, libc::SO_RCVBUF).map(|n| n.max(0) as usize)
    }

    /// Sets the kernel's receive buffer, in bytes.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        self.set(Setting::int(libc::SOL_SOCKET, libc::SO_RCVBUF, bytes))
    }

    /// The kernel's send buffer, in bytes; it says twice what was set, for its own use.
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        self.option(libc::SOL_SOCKET, libc::SO_SNDBUF).map(|n| n.max(0) as usize)
    }

    /// Sets the kernel's send buffer, in bytes.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        self.set(Setting::int(libc::SOL_SOCKET, libc::SO_SNDBUF, bytes))
    }

    fn membership_v4(&self, name: i32, group: &Ipv4Addr, on: &Ipv4Addr) -> io::Result<()> {
        let mut value = [0; 8];
        value[..4].copy_from_slice(&group.octets());
        value[4..].copy_from_slice(&on.octets());
        self.set_bytes(libc::IPPROTO_IP, name, &value)
    }

    fn membership_v6(&self, name: i32, group: &Ipv6Addr, on: u32) -> io::Result<()> {
        let mut value = [0; 20];
        value[..16].copy_from_slice(&group.octets());
        value[16..].copy_from_slice(&on.to_ne_bytes());
        self.set_bytes(libc::IPPROTO_IPV6, name, &value)
    }

    fn set_bytes(&self, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
        let fd = self.endpoint.fd().raw();
        self.endpoint.core().call(Call::SetOption { fd, level, name, value }).map(drop)
    }

    fn class(&self) -> io::Result<(i32, i32)> {
        self.of_family((libc::IPPROTO_IP, libc::IP_TOS), (libc::IPPROTO_IPV6, libc::IPV6_TCLASS))
    }

    fn of_family<T>(&self, v4: T, v6: T) -> io::Result<T> {
        self.is_v4().map(|is_v4| if is_v4 { v4 } else { v6 })
    }

    fn is_v4(&self) -> io::Result<bool> {
        self.local_addr().map(|address| matches!(address, SocketAddr::V4(_)))
    }

    fn option(&self, level: i32, name: i32) -> io::Result<i32> {
        options::get(self.endpoint.core(), self.endpoint.fd().raw(), level, name)
    }

    fn set(&self, setting: Setting) -> io::Result<()> {
        options::set(self.endpoint.core(), self.endpoint.fd().raw(), setting)
    }
}

/// What a kernel says that does not know an option, in words.
fn unsupported(error: io::Error, what: &str) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => {
            io::Error::new(io::ErrorKind::Unsupported, format!("{what}: not on this kernel"))
        }
        _ => error,
    }
}
