//! The socket options that only a [`TcpStream`] has.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::TcpStream;
use super::options::{self, Setting};

impl TcpStream {
    /// Whether small writes leave at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.option(libc::IPPROTO_TCP, libc::TCP_NODELAY).map(|on| on != 0)
    }

    /// Lets small writes leave at once (`TCP_NODELAY`, off by default): without waiting for the
    /// answer to earlier ones.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.set(Setting::flag(libc::IPPROTO_TCP, libc::TCP_NODELAY, on))
    }

    /// After how much silence the kernel asks whether the peer is there (`SO_KEEPALIVE` and
    /// `TCP_KEEPIDLE`); `None`: never.
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        if self.option(libc::SOL_SOCKET, libc::SO_KEEPALIVE)? == 0 {
            return Ok(None);
        }
        let idle = self.option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE)?;
        Ok(Some(Duration::from_secs(idle.max(0) as u64)))
    }

    /// Sets after how much silence (in whole seconds, rounded up) the kernel asks whether the peer is
    /// there; `None` (the default) never asks.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_keepalive(&self, idle: Option<Duration>) -> io::Result<()> {
        if let Some(idle) = idle {
            let idle = options::seconds(idle);
            self.set(Setting::int(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, idle))?;
        }
        self.set(Setting::flag(libc::SOL_SOCKET, libc::SO_KEEPALIVE, idle.is_some()))
    }

    /// `SO_LINGER`; see [`set_linger`](Self::set_linger).
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        let fd = self.socket().fd();
        let [on, seconds] =
            options::get_pair(fd.core(), fd.raw(), libc::SOL_SOCKET, libc::SO_LINGER)?;
        Ok((on != 0).then(|| Duration::from_secs(seconds.max(0) as u64)))
    }

    /// Sets `SO_LINGER`, in whole seconds: zero makes the close a reset. A longer time is for whoever
    /// gets the stream by [`into_std`](Self::into_std): ringloop's own close never waits, for the loop
    /// would stand still; the stream flushes in the background without it.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        let seconds = linger.map_or(0, |linger| match linger.is_zero() {
            true => 0,
            false => options::seconds(linger),
        });
        let linger = libc::linger { l_onoff: i32::from(linger.is_some()), l_linger: seconds };
        self.set(options::linger(linger))?;
        self.socket().close_waits.set(seconds > 0);
        Ok(())
    }

    /// The time to live of outgoing packets.
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn ttl(&self) -> io::Result<u32> {
        let (level, name) = self.ttl_option()?;
        self.option(level, name).map(|ttl| ttl.max(0) as u32)
    }

    /// Sets the time to live of outgoing packets (1 to 255).
    ///
    /// # Errors
    ///
    /// `InvalidInput` out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let (level, name) = self.ttl_option()?;
        self.set(Setting::int(level, name, i32::try_from(ttl).unwrap_or(i32::MAX)))
    }

    fn ttl_option(&self) -> io::Result<(i32, i32)> {
        Ok(match self.local_addr()? {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TTL),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
        })
    }
}
