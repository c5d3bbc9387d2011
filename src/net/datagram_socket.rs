//! What every datagram socket can, whatever its family.

use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::task::{Context, Poll, ready};

use super::udp::UdpSocket;
use super::unix::UnixDatagram;

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

        /// Waits for a receive, and hands over what has come, with its sender: a datagram, or several that came in
        /// one piece. Nothing is borrowed meanwhile.
        #[doc(hidden)]
        fn poll_each(
            &self,
            cx: &mut Context<'_>,
            each: impl FnMut(&[u8], Self::Addr),
        ) -> Poll<io::Result<()>>
        where
            Self: DatagramSocket;
    }
}

impl sealed::Sealed for UdpSocket {
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

    fn poll_each(
        &self,
        cx: &mut Context<'_>,
        mut each: impl FnMut(&[u8], SocketAddr),
    ) -> Poll<io::Result<()>> {
        let datagram = ready!(self.poll_recv(cx))?;
        datagram.segments().for_each(|data| each(data, datagram.addr()));
        Poll::Ready(Ok(()))
    }
}

impl sealed::Sealed for UnixDatagram {
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

    fn poll_each(
        &self,
        cx: &mut Context<'_>,
        each: impl FnMut(&[u8], UnixAddr),
    ) -> Poll<io::Result<()>> {
        self.poll_lent(cx, each)
    }
}
