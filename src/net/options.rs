//! Socket options.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::op::Call;
use crate::runtime::Core;

/// An option's place and its value as the kernel reads it.
pub(super) struct Setting {
    level: i32,
    name: i32,
    value: [i32; 2],
    /// How many of `value` count.
    len: usize,
}

impl Setting {
    pub(super) const fn int(level: i32, name: i32, value: i32) -> Self {
        Self { level, name, value: [value, 0], len: 1 }
    }

    pub(super) const fn flag(level: i32, name: i32, on: bool) -> Self {
        Self::int(level, name, on as i32)
    }
}

/// `SO_LINGER`.
pub(super) fn linger(linger: libc::linger) -> Setting {
    let value = [linger.l_onoff, linger.l_linger];
    Setting { level: libc::SOL_SOCKET, name: libc::SO_LINGER, value, len: 2 }
}

pub(super) fn set(core: &Core, fd: RawFd, setting: Setting) -> io::Result<()> {
    let Setting { level, name, value: [a, b], len } = setting;
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&a.to_ne_bytes());
    bytes[4..].copy_from_slice(&b.to_ne_bytes());
    core.call(Call::SetOption { fd, level, name, value: &bytes[..len * 4] }).map(drop)
}

/// An option of one integer.
pub(super) fn get(core: &Core, fd: RawFd, level: i32, name: i32) -> io::Result<i32> {
    get_pair(core, fd, level, name).map(|[value, _]| value)
}

/// An option of up to two integers.
pub(super) fn get_pair(core: &Core, fd: RawFd, level: i32, name: i32) -> io::Result<[i32; 2]> {
    let mut bytes = [0; 8];
    core.call(Call::GetOption { fd, level, name, value: &mut bytes })?;
    let [a, b, c, d, e, f, g, h] = bytes;
    Ok([i32::from_ne_bytes([a, b, c, d]), i32::from_ne_bytes([e, f, g, h])])
}

/// Seconds as the kernel takes them: whole ones, at least one.
pub(super) fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1000).max(1)).unwrap_or(i32::MAX)
}

/// How a [`TcpListener`](super::TcpListener) is made.
///
/// # Examples
///
/// ```
/// use ringloop::net::TcpListenerOptions;
///
/// ringloop::run(async {
///     let listener = TcpListenerOptions::new().backlog(64).bind("127.0.0.1:0").await?;
///     assert_ne!(listener.local_addr()?.port(), 0);
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct TcpListenerOptions {
    pub(super) backlog: u32,
    pub(super) parked: usize,
    pub(super) reuse_addr: bool,
    pub(super) reuse_port: bool,
    pub(super) only_v6: Option<bool>,
    /// Bound only: [`TcpListener::listen`](super::TcpListener::listen) follows.
    pub(super) deferred: bool,
}

impl TcpListenerOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            backlog: 4096,
            parked: 256,
            reuse_addr: true,
            reuse_port: false,
            only_v6: None,
            deferred: false,
        }
    }

    /// How many connections the kernel keeps before they are accepted (4096; the kernel lowers it to
    /// `net.core.somaxconn`). See `listen(2)`.
    pub fn backlog(&mut self, connections: u32) -> &mut Self {
        self.backlog = connections;
        self
    }

    /// How many accepted connections may wait for [`accept`](super::TcpListener::accept) (256) before
    /// accepting pauses; the rest stays in the kernel's backlog. What the kernel hands over in one go
    /// is not counted before it is there: after a burst of dials more may wait, up to the
    /// [backlog](Self::backlog).
    ///
    /// With 0, no connection is accepted before an `accept` takes it, at the price of a system call
    /// each: for programs that count their descriptors.
    pub fn parked(&mut self, connections: usize) -> &mut Self {
        self.parked = connections;
        self
    }

    /// `SO_REUSEADDR` (on): bind although old connections of the address linger.
    pub fn reuse_addr(&mut self, on: bool) -> &mut Self {
        self.reuse_addr = on;
        self
    }

    /// `SO_REUSEPORT` (off): several listeners share the address, and the kernel spreads connections.
    pub fn reuse_port(&mut self, on: bool) -> &mut Self {
        self.reuse_port = on;
        self
    }

    /// Binds without listening yet: dials are refused until then.
    pub(crate) fn deferred(&mut self) -> &mut Self {
        self.deferred = true;
        self
    }

    /// `IPV6_V6ONLY` (the system's default): whether an IPv6 address leaves IPv4 alone.
    pub fn only_v6(&mut self, on: bool) -> &mut Self {
        self.only_v6 = Some(on);
        self
    }
}

impl Default for TcpListenerOptions {
    fn default() -> Self {
        Self::new()
    }
}
