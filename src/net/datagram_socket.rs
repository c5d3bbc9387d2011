//! What every datagram socket can, whatever its family.

use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::task::{Context, Poll};

use super::udp::{Datagram, UdpSocket};
use super::unix::UnixDatagram;
use crate::buf::Lease;

/// A socket of datagrams: [`UdpSocket`] and [`UnixDatagram`].
///
/// It is for bounds, where either is taken, and sealed: nobody else can implement it.
///
/// # Examples
///
/// ```
/// use ringloop::net::{DatagramSocket, UdpSocket, UnixDatagram};
/// use ringloop::protocol::{DatagramProtocol, DatagramTransport, create_datagram_endpoint};
///
/// struct Echo;
///
/// impl<S: DatagramSocket> DatagramProtocol<S> for Echo {
///     fn datagram_received(&mut self, transport: &DatagramTransport<S>, data: &[u8], from: S::Addr) {
///         let _ = transport.send_to(data, from);
///     }
/// }
///
/// ringloop::run(async {
///     create_datagram_endpoint(|| Echo, UdpSocket::bind("127.0.0.1:0").await?).await?;
///     let (ours, theirs) = UnixDatagram::pair()?;
///     create_datagram_endpoint(|| Echo, ours).await?;
///     theirs.send(b"hello").await?;
///     assert_eq!(&theirs.recv_chunk().await?.0[..], b"hello");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
pub trait DatagramSocket: sealed::Sealed + 'static {
    /// What its ends are called: [`std::net::SocketAddr`] or [`std::os::unix::net::SocketAddr`].
    type Addr: Clone + std::fmt::Debug + 'static;
}

impl DatagramSocket for UdpSocket {
    type Addr = SocketAddr;
}

impl DatagramSocket for UnixDatagram {
    type Addr = UnixAddr;
}

mod sealed {
    use super::{Context, DatagramSocket, Poll, io};

    #[expect(unnameable_types, reason = "sealed: nobody outside may implement or call it")]
    pub trait Sealed: Sized + std::fmt::Debug {
        /// What one receive brings.
        #[doc(hidden)]
        type Received;

        #[doc(hidden)]
        fn local(&self) -> io::Result<Self::Addr>
        where
            Self: DatagramSocket;

        #[doc(hidden)]
        fn peer(&self) -> io::Result<Self::Addr>
        where
            Self: DatagramSocket;

        /// Whether somebody can be sent to by this address.
        #[doc(hidden)]
        fn leads_anywhere(to: &Self::Addr) -> bool
        where
            Self: DatagramSocket;

        #[doc(hidden)]
        fn are_same(one: &Self::Addr, other: &Self::Addr) -> bool
        where
            Self: DatagramSocket;

        /// `None`: to the peer.
        #[doc(hidden)]
        fn send_now(&self, bytes: &[u8], to: Option<&Self::Addr>) -> io::Result<usize>
        where
            Self: DatagramSocket;

        #[doc(hidden)]
        fn send_later(
            &self,
            bytes: &[u8],
            to: Option<&Self::Addr>,
        ) -> impl Future<Output = io::Result<usize>>
        where
            Self: DatagramSocket;

        #[doc(hidden)]
        fn poll_received(&self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Received>>;

        /// The datagrams of it.
        #[doc(hidden)]
        fn datagrams(received: &Self::Received) -> impl Iterator<Item = &[u8]>;

        #[doc(hidden)]
        fn sender(received: &Self::Received) -> Self::Addr
        where
            Self: DatagramSocket;
    }
}

impl sealed::Sealed for UdpSocket {
    type Received = Datagram;

    fn local(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn peer(&self) -> io::Result<SocketAddr> {
        self.peer_addr()
    }

    fn leads_anywhere(_to: &SocketAddr) -> bool {
        true
    }

    fn are_same(one: &SocketAddr, other: &SocketAddr) -> bool {
        one == other
    }

    fn send_now(&self, bytes: &[u8], to: Option<&SocketAddr>) -> io::Result<usize> {
        match to {
            Some(&to) => self.try_send_to(bytes, to),
            None => self.try_send(bytes),
        }
    }

    async fn send_later(&self, bytes: &[u8], to: Option<&SocketAddr>) -> io::Result<usize> {
        match to {
            Some(&to) => self.send_to(bytes, to).await,
            None => self.send(bytes).await,
        }
    }

    fn poll_received(&self, cx: &mut Context<'_>) -> Poll<io::Result<Datagram>> {
        self.poll_recv(cx)
    }

    fn datagrams(received: &Datagram) -> impl Iterator<Item = &[u8]> {
        received.segments()
    }

    fn sender(received: &Datagram) -> SocketAddr {
        received.addr()
    }
}

impl sealed::Sealed for UnixDatagram {
    type Received = (Lease, UnixAddr);

    fn local(&self) -> io::Result<UnixAddr> {
        self.local_addr()
    }

    fn peer(&self) -> io::Result<UnixAddr> {
        self.peer_addr()
    }

    fn leads_anywhere(to: &UnixAddr) -> bool {
        !to.is_unnamed()
    }

    fn are_same(one: &UnixAddr, other: &UnixAddr) -> bool {
        one.as_pathname() == other.as_pathname()
            && one.as_abstract_name() == other.as_abstract_name()
    }

    fn send_now(&self, bytes: &[u8], to: Option<&UnixAddr>) -> io::Result<usize> {
        match to {
            Some(to) => self.try_send_to(bytes, to),
            None => self.try_send(bytes),
        }
    }

    async fn send_later(&self, bytes: &[u8], to: Option<&UnixAddr>) -> io::Result<usize> {
        match to {
            Some(to) => self.send_to_addr(bytes, to).await,
            None => self.send(bytes).await,
        }
    }

    fn poll_received(&self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Received>> {
        self.poll_recv(cx)
    }

    fn datagrams(received: &Self::Received) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&received.0[..])
    }

    fn sender(received: &Self::Received) -> UnixAddr {
        received.1.clone()
    }
}
