//! UDP.
//!
//! Datagrams come into the socket's inbox by themselves, from its first receive on, and wait there for
//! whoever takes them. Sends are calls that end at once, or as soon as there is room.

mod datagram;
mod options;
mod parked;
mod receive;
mod send;
mod settings;
mod transmit;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use super::addr::{ToSocketAddrs, resolve};
use super::endpoint::Endpoint;
use super::op::AttachOp;
use crate::buf::Stable;
use crate::op::Call;
use crate::runtime::{Fd, Submit, current};
use crate::sys::{SockAddr, file};

pub use datagram::{Datagram, Ecn};
pub use options::UdpSocketOptions;
pub(super) use parked::Parked;
pub use transmit::Transmit;

/// Datagrams that may wait for their takers.
const PARKED: usize = 256;

/// A UDP socket.
///
/// All of it works by `&self`: several tasks may send, and several may receive; those are served in turn.
/// A datagram is received whole, whatever its length, and one that is empty is data. A datagram that nobody
/// has taken waits for the next who asks: a dropped receive loses none. Where nobody asks in time, the
/// kernel drops datagrams and counts them: [`dropped`](Self::dropped).
///
/// An error that the network reports, such as `ConnectionRefused` from a host where nobody listens, is
/// told once, by the next call of a connected socket; the socket goes on.
///
/// asyncio's [datagram endpoint], as futures.
///
/// [datagram endpoint]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_datagram_endpoint
///
/// # Examples
///
/// ```no_run
/// use ringloop::net::UdpSocket;
///
/// ringloop::run(async {
///     let socket = UdpSocket::bind("127.0.0.1:7000").await?;
///     loop {
///         let datagram = socket.recv_chunk().await?;
///         socket.send_to(&datagram, datagram.addr()).await?;
///     }
///     #[allow(unreachable_code)]
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[doc(alias = "create_datagram_endpoint")]
#[doc(alias = "DatagramTransport")]
#[derive(Debug)]
pub struct UdpSocket {
    endpoint: Rc<Endpoint>,
}

impl UdpSocket {
    /// Binds to the first address that can be bound, with the defaults of [`UdpSocketOptions`]; port 0
    /// takes a free one.
    ///
    /// # Errors
    ///
    /// The last address's: `AddrInUse`, `AddrNotAvailable`, `PermissionDenied`, …; `InvalidInput` for text
    /// that is no address; `NotConnected` outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::net::UdpSocket;
    ///
    /// ringloop::run(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     assert_ne!(socket.local_addr()?.port(), 0);
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    pub async fn bind(to: impl ToSocketAddrs) -> io::Result<Self> {
        UdpSocketOptions::new().bind(to).await
    }

    /// Takes over a socket of std.
    ///
    /// # Errors
    ///
    /// `NotConnected` outside a runtime; what `fcntl(2)` and `setsockopt(2)` say.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        let core = current()?;
        let fd = Fd::new(file::into_raw(socket.into()), core);
        fd.core().call(Call::SetNonblocking { fd: fd.raw(), on: true })?;
        Self::new(fd, PARKED)
    }

    /// Gives the socket back to std, in blocking mode, with the datagrams that had come and were not taken.
    ///
    /// The descriptor is a duplicate: its number differs.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` says; the socket is closed then.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the socket.
    pub async fn into_std(self) -> io::Result<(std::net::UdpSocket, Vec<Datagram>)> {
        let parked = self.endpoint.quiesce().await?;
        let fd = self.endpoint.fd();
        let copy = fd.core().call(Call::Duplicate { fd: fd.raw() })?;
        let socket = std::net::UdpSocket::from(file::own(copy));
        fd.core().call(Call::SetNonblocking { fd: copy, on: false })?;
        Ok((socket, parked.into_datagrams()))
    }

    /// Makes the first address that can be one the socket's peer: [`send`](Self::send) sends to it, and
    /// from now on only its datagrams are received. What had come from others is still handed out.
    ///
    /// # Errors
    ///
    /// The last address's, such as `NetworkUnreachable`; `InvalidInput` for text that is no address;
    /// `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it may leave the socket connected or not.
    pub async fn connect(&self, to: impl ToSocketAddrs) -> io::Result<()> {
        let mut error = None;
        for address in resolve(to).await? {
            let (fd, core) = (self.endpoint.fd().clone(), self.endpoint.core().clone());
            let attach = AttachOp { fd, address: Stable::new(SockAddr::from(address)) };
            match Submit::new(core, attach).await {
                Ok(()) => return Ok(()),
                Err(e) => error = Some(e),
            }
        }
        Err(error.expect("resolve gives an address"))
    }

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the runtime has ended.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let (fd, mut address) = (self.endpoint.fd().raw(), SockAddr::empty());
        self.endpoint.core().call(Call::LocalAddr { fd, address: &mut address })?;
        address.to_inet()
    }

    /// The peer that it is [connected](Self::connect) to.
    ///
    /// # Errors
    ///
    /// `NotConnected`: to none, or the runtime has ended.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let (fd, mut address) = (self.endpoint.fd().raw(), SockAddr::empty());
        self.endpoint.core().call(Call::PeerAddr { fd, address: &mut address })?;
        address.to_inet()
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.endpoint.close();
    }
}
