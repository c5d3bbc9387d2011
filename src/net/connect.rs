//! Connecting.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::addr::{Family, ToSocketAddrs, find};
use super::connect_error::ConnectError;
use super::happy_eyeballs::{Attempts, Settings, race};
use super::op::ConnectOp;
use super::options::{self, Setting};
use super::socket::Socket;
use super::tcp_stream::TcpStream;
use crate::op::Call;
use crate::runtime::{Core, Fd, Submit, current};
use crate::sys::SockAddr;
use crate::task::proceed;
use crate::time::timeout;

/// How a [`TcpStream`] is connected: with time limits, from a local address, to which of several addresses
/// first.
///
/// # Several addresses
///
/// A name often has several addresses, of both families, and the first need not be the one that answers.
/// They are tried by [happy eyeballs] (RFC 8305): the families take turns, and the next address is tried
/// when one has failed or when the last one has not answered for 250 ms. The first that answers is the
/// connection; the others are closed. [`happy_eyeballs_delay`](Self::happy_eyeballs_delay) and
/// [`interleave`](Self::interleave) change that.
///
/// A list of addresses is tried in its order, one after the other, unless one of the two is called.
///
/// asyncio's [`create_connection`], where happy eyeballs are off by default.
///
/// [happy eyeballs]: https://www.rfc-editor.org/rfc/rfc8305
/// [`create_connection`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_connection
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
#[doc(alias = "create_connection")]
#[derive(Clone, Debug, Default)]
pub struct TcpConnector {
    timeout: Option<Duration>,
    total_timeout: Option<Duration>,
    family: Option<Family>,
    local: Vec<SocketAddr>,
    several: Settings,
    nodelay: bool,
    keepalive: Option<Duration>,
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

    /// How long all of it may take: the look-up of the name, and all of its addresses.
    pub fn total_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.total_timeout = Some(timeout);
        self
    }

    /// Connects to addresses of this family only.
    pub fn family(&mut self, family: Family) -> &mut Self {
        self.family = Some(family);
        self
    }

    /// The local address to connect from; port 0 for any.
    ///
    /// Addresses of the other family cannot be connected to from it: they fail.
    pub fn local_addr(&mut self, address: SocketAddr) -> &mut Self {
        self.local_addrs([address])
    }

    /// Local addresses to connect from: the first that can be bound, and that is of the family of the
    /// peer's. None (the default): one of the kernel's choice.
    pub fn local_addrs(&mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> &mut Self {
        self.local = addresses.into_iter().collect();
        self
    }

    /// How long an address has to answer before the next one is tried beside it; `None`: until it has
    /// failed. By default 250 ms for a name, `None` for a list.
    ///
    /// RFC 8305 asks for no less than 10 ms; zero tries all at once.
    pub fn happy_eyeballs_delay(&mut self, delay: impl Into<Option<Duration>>) -> &mut Self {
        self.several.delay = Some(delay.into());
        self
    }

    /// How many addresses of the first one's family come before the families take turns; 0 leaves all in
    /// their order. By default 1 where there is a [delay](Self::happy_eyeballs_delay), else 0.
    #[doc(alias = "first_address_family_count")]
    pub fn interleave(&mut self, first: usize) -> &mut Self {
        self.several.interleave = Some(first);
        self
    }

    /// Sets `TCP_NODELAY` (off by default).
    pub fn nodelay(&mut self, on: bool) -> &mut Self {
        self.nodelay = on;
        self
    }

    /// As [`TcpStream::set_keepalive`] (off by default).
    pub fn keepalive(&mut self, idle: Duration) -> &mut Self {
        self.keepalive = Some(idle);
        self
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    ///
    /// Of one address: `ConnectionRefused`, `TimedOut`, and what else `connect(2)` says. Of several: all
    /// that happened, in its text and in the [`ConnectError`] within; its kind is that of the one that
    /// came nearest to a connection. `TimedOut` when the [total](Self::total_timeout) is up.
    ///
    /// What [`lookup_host`](super::lookup_host) says of names. `AddrNotAvailable` and `AddrInUse` for
    /// local addresses; `InvalidInput` for text that is no address, and where none is of the
    /// [family](Self::family); `NotConnected` outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the sockets.
    pub async fn connect(&self, to: impl ToSocketAddrs) -> io::Result<TcpStream> {
        if let Some(address) = self.only(&to) {
            return self.connect_one(address).await;
        }
        // Outside a runtime there is no clock either.
        current()?;
        let (mut name, mut attempts) = (None, Attempts::new());
        let connecting = async {
            let found = find(to, self.family).await?;
            name.clone_from(&found.name);
            let plan = self.several.plan(found);
            let start = |address| self.connect_one(address);
            io::Result::Ok(race(plan, &mut attempts, start).await)
        };
        let (winner, within) = match self.total_timeout {
            Some(limit) => match timeout(limit, connecting).await {
                Ok(result) => (result?, None),
                Err(_) => (None, Some(limit)),
            },
            None => (connecting.await?, None),
        };
        winner.ok_or_else(|| ConnectError::of(name, within, attempts))
    }

    /// The address, where there is but one: nobody to look it up, to race it or to tell of it then.
    fn only(&self, to: &impl ToSocketAddrs) -> Option<SocketAddr> {
        let fits = |address: &SocketAddr| self.family.is_none_or(|it| it == Family::of(address));
        to.address().filter(fits).filter(|_| self.total_timeout.is_none())
    }

    async fn connect_one(&self, address: SocketAddr) -> io::Result<TcpStream> {
        // What is refused at once counts, too: whoever tries again and again holds up nobody.
        proceed().await;
        let core = current()?;
        let fd = Fd::socket(&core, Family::of(&address).domain(), libc::SOCK_STREAM)?;
        if !self.local.is_empty() {
            self.bind(&core, &fd, address)?;
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
        let stream = TcpStream::new(Socket::new(fd));
        if self.keepalive.is_some() {
            stream.set_keepalive(self.keepalive)?;
        }
        Ok(stream)
    }

    /// Binds to the first local address that `peer` can be reached from.
    fn bind(&self, core: &Rc<Core>, fd: &Fd, peer: SocketAddr) -> io::Result<()> {
        let family = Family::of(&peer);
        // The port is chosen when the peer is known, so many connections may share one address.
        let late = Setting::flag(libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT, true);
        let _ = options::set(core, fd.raw(), late);
        let mut error = io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            format!("there is no local {family} address to connect to {peer} from"),
        );
        for local in self.local.iter().filter(|local| Family::of(local) == family) {
            let bind = Call::Bind { fd: fd.raw(), address: &SockAddr::from(*local) };
            match core.call(bind) {
                Ok(_) => return Ok(()),
                Err(e) => {
                    let text = format!("cannot connect from the local address {local}: {e}");
                    error = io::Error::new(e.kind(), text);
                }
            }
        }
        Err(error)
    }
}
