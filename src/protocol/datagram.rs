//! Datagrams by callbacks: the protocol, its transport, and how they come about.

use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;

use super::base::Phase;
use super::connect::{CloseOnDrop, has_ended, name_of};
use super::datagram_pump;
use super::datagram_state::State;
use crate::net::{DatagramSocket, UdpSocket};
use crate::runtime::current;

/// The callbacks of a datagram socket: asyncio's [`DatagramProtocol`].
///
/// ```text
///   connection_made ─► (datagram_received | error_received)* ─► connection_lost
///                      pause_writing / resume_writing, by turns
/// ```
///
/// What stands in [`Protocol`](super::Protocol) of the order of callbacks and of panics holds here as well.
///
/// `S` is the kind of its socket, and with it of addresses: UDP where nothing is said. One for
/// [`UnixDatagram`](crate::net::UnixDatagram) is a `DatagramProtocol<UnixDatagram>`, and one for
/// [either](DatagramSocket) a `DatagramProtocol<S>`.
///
/// [`DatagramProtocol`]: https://docs.python.org/3/library/asyncio-protocol.html#asyncio.DatagramProtocol
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
/// use ringloop::protocol::{DatagramProtocol, DatagramTransport};
///
/// struct Echo;
///
/// impl DatagramProtocol for Echo {
///     fn datagram_received(&mut self, transport: &DatagramTransport, data: &[u8], from: SocketAddr) {
///         let _ = transport.send_to(data, from);
///     }
/// }
/// ```
pub trait DatagramProtocol<S: DatagramSocket = UdpSocket> {
    /// The socket is there. Called once, before anything else and before
    /// [`create_datagram_endpoint`] returns.
    fn connection_made(&mut self, transport: &DatagramTransport<S>) {
        let _ = transport;
    }

    /// A datagram has come; one of no bytes is one, too. Those that were received in one piece
    /// ([GRO](UdpSocket::set_gro)) come one by one. A Unix socket that is bound to nothing sends under an address
    /// that [is unnamed](std::os::unix::net::SocketAddr::is_unnamed).
    fn datagram_received(&mut self, transport: &DatagramTransport<S>, data: &[u8], from: S::Addr);

    /// An earlier datagram could not be sent, or the network has reported an error, such as `ConnectionRefused` from
    /// where nobody listens. The transport stays open.
    ///
    /// A Unix socket loses its peer for good when that has gone: it is told `ConnectionRefused` once, then
    /// `NotConnected` for each datagram, and receives from anybody. When its peer connects to somebody else and
    /// has not read everything, it is told `ConnectionReset`.
    fn error_received(&mut self, transport: &DatagramTransport<S>, error: io::Error) {
        let _ = (transport, error);
    }

    /// The transport was closed, or its runtime ends. Called once, last.
    fn connection_lost(&mut self, error: Option<io::Error>) {
        let _ = error;
    }

    /// More waits to be sent than the high mark; see [`Protocol::pause_writing`](super::Protocol::pause_writing).
    fn pause_writing(&mut self, transport: &DatagramTransport<S>) {
        let _ = transport;
    }

    /// No more waits than the low mark; see [`Protocol::resume_writing`](super::Protocol::resume_writing).
    fn resume_writing(&mut self, transport: &DatagramTransport<S>) {
        let _ = transport;
    }
}

/// Makes a transport of a [`UdpSocket`] or a [`UnixDatagram`](crate::net::UnixDatagram), bound or connected;
/// asyncio's [`create_datagram_endpoint`].
///
/// `factory` is called once, and [`connection_made`](DatagramProtocol::connection_made) before this returns. What had
/// come and was not taken is the protocol's. A socket that is connected stays so, and the file of a Unix socket is
/// removed as its drop would, after [`connection_lost`](DatagramProtocol::connection_lost).
///
/// [`create_datagram_endpoint`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_datagram_endpoint
///
/// # Errors
///
/// `NotConnected` outside a runtime.
///
/// # Cancel safety
///
/// Dropping it closes the socket. A protocol that was made already is told so.
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
/// use ringloop::net::UdpSocket;
/// use ringloop::protocol::{DatagramProtocol, DatagramTransport, create_datagram_endpoint};
///
/// struct Echo;
///
/// impl DatagramProtocol for Echo {
///     fn datagram_received(&mut self, transport: &DatagramTransport, data: &[u8], from: SocketAddr) {
///         let _ = transport.send_to(data, from);
///     }
/// }
///
/// ringloop::run(async {
///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
///     let echo = create_datagram_endpoint(|| Echo, socket).await?;
///
///     let client = UdpSocket::bind("127.0.0.1:0").await?;
///     client.send_to(b"hello", echo.local_addr()?).await?;
///     assert_eq!(&client.recv_chunk().await?[..], b"hello");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
///
/// Between processes of one host, by a path:
///
/// ```
/// use std::os::unix::net::SocketAddr;
/// use ringloop::net::UnixDatagram;
/// use ringloop::protocol::{DatagramProtocol, DatagramTransport, create_datagram_endpoint};
///
/// struct Log;
///
/// impl DatagramProtocol<UnixDatagram> for Log {
///     fn datagram_received(
///         &mut self,
///         transport: &DatagramTransport<UnixDatagram>,
///         data: &[u8],
///         from: SocketAddr,
///     ) {
///         println!("{}", data.escape_ascii());
///         // Who is bound to nothing cannot be answered.
///         if !from.is_unnamed() {
///             let _ = transport.send_to(b"noted", from);
///         }
///     }
/// }
///
/// ringloop::run(async {
///     let folder = std::env::temp_dir();
///     let path = |name| folder.join(format!("ringloop-{name}-{}", std::process::id()));
///     let log = create_datagram_endpoint(|| Log, UnixDatagram::bind(path("log"))?).await?;
///
///     let client = UnixDatagram::bind(path("client"))?;
///     client.connect(path("log")).await?;
///     client.send(b"hello").await?;
///     assert_eq!(&client.recv_chunk().await?.0[..], b"noted");
///     log.close();
///     log.wait_closed().await;
///     assert!(!path("log").exists());
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[track_caller]
pub fn create_datagram_endpoint<P, S>(
    factory: impl FnOnce() -> P,
    socket: S,
) -> impl Future<Output = io::Result<DatagramTransport<S>>>
where
    P: DatagramProtocol<S> + 'static,
    S: DatagramSocket,
{
    let made_at = Location::caller();
    async move {
        current()?;
        let transport = datagram_pump::start(socket, Box::new(factory()), name_of::<P>(), made_at);
        let mut guard = CloseOnDrop(Some(|| transport.close()));
        transport.0.begun().await;
        if !transport.0.made.get() {
            return Err(has_ended());
        }
        guard.0 = None;
        drop(guard);
        Ok(transport)
    }
}

/// A datagram socket with a protocol: takes what is to be sent, and never waits. asyncio's [`DatagramTransport`].
///
/// Clones are handles on the same socket; dropping all of them changes nothing. None of the methods calls a protocol.
///
/// [`DatagramTransport`]: https://docs.python.org/3/library/asyncio-protocol.html#asyncio.DatagramTransport
pub struct DatagramTransport<S: DatagramSocket = UdpSocket>(pub(super) Rc<State<S>>);

impl<S: DatagramSocket> DatagramTransport<S> {
    /// Sends a datagram to the peer that the socket is connected to: at once if there is room, else when there is, behind
    /// those that wait already. One of no bytes is one, too.
    ///
    /// A Unix socket that does not receive holds a few datagrams (`net.unix.max_dgram_qlen`, 10). What follows waits
    /// until it does, and so does what comes behind that, whomever it is for.
    ///
    /// Whether more than the high mark waits now; see
    /// [`set_write_buffer_limits`](Self::set_write_buffer_limits).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the socket is not connected. Whatever the system says goes to
    /// [`error_received`](DatagramProtocol::error_received). After a [`close`](Self::close) or an [`abort`](Self::abort)
    /// the datagram is dropped, and from the fifth on the hook of
    /// [`Builder::on_unhandled`](crate::Builder::on_unhandled) is told.
    pub fn send(&self, data: &[u8]) -> io::Result<bool> {
        if self.0.peer.is_none() {
            return Err(invalid("the socket is connected to nobody: say whom to send to"));
        }
        Ok(self.0.send(data, None))
    }

    /// As [`send`](Self::send), to an address.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the socket is connected to another address, or the address is an unnamed one of a Unix socket.
    /// Else as [`send`](Self::send).
    #[doc(alias = "sendto")]
    pub fn send_to(&self, data: &[u8], to: S::Addr) -> io::Result<bool> {
        match &self.0.peer {
            None if S::leads_anywhere(&to) => Ok(self.0.send(data, Some(to))),
            None => Err(invalid("a socket that is bound to nothing has no address to send to")),
            Some(peer) if S::are_same(peer, &to) => Ok(self.0.send(data, None)),
            Some(peer) => {
                Err(invalid(format!("the socket is connected to {peer:?}, not to {to:?}")))
            }
        }
    }

    /// Closes the socket: nothing is received any more, what waits is sent, then
    /// [`connection_lost`](DatagramProtocol::connection_lost) is called with `None`, never from within this.
    pub fn close(&self) {
        self.0.close();
    }

    /// Closes the socket at once: what waits is discarded.
    /// [`connection_lost`](DatagramProtocol::connection_lost) is called with `None`, never from within this.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether it is closed, or about to be.
    pub fn is_closing(&self) -> bool {
        self.0.phase.get() != Phase::Open
    }

    /// Waits until [`connection_lost`](DatagramProtocol::connection_lost) has returned. It does not close.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn wait_closed(&self) {
        self.0.ended.wait().await;
    }

    /// Sets the marks, in bytes; see
    /// [`Transport::set_write_buffer_limits`](super::Transport::set_write_buffer_limits).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `low` is above `high`; nothing changes then.
    pub fn set_write_buffer_limits(
        &self,
        high: impl Into<Option<usize>>,
        low: impl Into<Option<usize>>,
    ) -> io::Result<()> {
        self.0.set_marks(high.into(), low.into(), self.0.buffered())
    }

    /// Bytes that wait to be sent, and eight for each datagram among them.
    pub fn get_write_buffer_size(&self) -> usize {
        self.0.buffered()
    }

    /// The marks: the low one, then the high one.
    pub fn get_write_buffer_limits(&self) -> (usize, usize) {
        self.0.marks()
    }

    /// Gives the socket another protocol: the next callback is its. It is not told that the socket was made, nor that
    /// writing is paused. The old one is dropped.
    pub fn set_protocol(&self, protocol: impl DatagramProtocol<S> + 'static) {
        let old = match self.0.phase.get() {
            Phase::Lost => return drop(protocol),
            _ => self.0.next.replace(Some(Box::new(protocol))),
        };
        self.0.wake_pump();
        drop(old);
    }

    /// The address that the socket is bound to; also after its end.
    ///
    /// # Errors
    ///
    /// `NotConnected` where it could not be told.
    #[doc(alias = "sockname")]
    #[doc(alias = "get_extra_info")]
    pub fn local_addr(&self) -> io::Result<S::Addr> {
        self.0.local.clone().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The peer that the socket is connected to; also after its end.
    ///
    /// # Errors
    ///
    /// `NotConnected`: to nobody.
    #[doc(alias = "peername")]
    pub fn peer_addr(&self) -> io::Result<S::Addr> {
        self.0.peer.clone().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text.into())
}

impl<S: DatagramSocket> Clone for DatagramTransport<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: DatagramSocket> fmt::Debug for DatagramTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramTransport")
            .field("local", &self.0.local)
            .field("peer", &self.0.peer)
            .field("phase", &self.0.phase.get())
            .field("buffered", &self.get_write_buffer_size())
            .finish_non_exhaustive()
    }
}
