//! UDP.
//!
//! Datagrams come into the socket's inbox by themselves, from its first receive on, and wait there for
//! whoever takes them. Sends are calls that end at once, or as soon as there is room.

mod datagram;
mod options;
mod parked;
mod settings;
mod transmit;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::addr::{ToSocketAddrs, resolve, resolve_one};
use super::endpoint::{Endpoint, State};
use super::op::AttachOp;
use crate::buf::Stable;
use crate::op::Call;
use crate::runtime::{Fd, Submit, current};
use crate::sys::{SockAddr, file};
use crate::task::spend_many;

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

    // ---- sending ----

    /// Sends a datagram to the socket's peer, as soon as the kernel has room for it. Gives its length.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to); `NotConnected` or `DestinationAddressRequired` without a peer;
    /// `ConnectionRefused` for an earlier datagram that nobody wanted: this one has not gone then.
    ///
    /// # Cancel safety
    ///
    /// Dropping it has sent nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::net::UdpSocket;
    ///
    /// ringloop::run(async {
    ///     let (ours, theirs) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    ///     ours.connect(theirs.local_addr()?).await?;
    ///     assert_eq!(ours.send(b"ping").await?, 4);
    ///     let mut buf = [0; 16];
    ///     assert_eq!(theirs.recv_from(&mut buf).await?, (4, ours.local_addr()?));
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.endpoint.until_sent(|| self.endpoint.send_now(bytes, None)).await
    }

    /// Sends a datagram to the first address that `to` names, as soon as the kernel has room for it. Gives
    /// its length.
    ///
    /// Where a device's queue is full or memory is short (`ENOBUFS`, `ENOMEM`) it tries again for about a
    /// second.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE`: it is longer than a datagram may be (65,507 bytes of IPv4); the socket goes on.
    /// `PermissionDenied`, `NetworkUnreachable` and what else `sendto(2)` says; `InvalidInput` for text that
    /// is no address; `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it has sent nothing.
    #[doc(alias = "sendto")]
    #[doc(alias = "sock_sendto")]
    pub async fn send_to(&self, bytes: &[u8], to: impl ToSocketAddrs) -> io::Result<usize> {
        let to = SockAddr::from(resolve_one(to).await?);
        self.endpoint.until_sent(|| self.endpoint.send_now(bytes, Some(&to))).await
    }

    /// Sends a datagram to the socket's peer, if the kernel has room for it now.
    ///
    /// # Errors
    ///
    /// `WouldBlock`; else as [`send`](Self::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.endpoint.core().may_wait()?;
        self.endpoint.send_now(bytes, None)
    }

    /// Sends a datagram to an address, if the kernel has room for it now.
    ///
    /// # Errors
    ///
    /// `WouldBlock`; else as [`send_to`](Self::send_to).
    pub fn try_send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.endpoint.core().may_wait()?;
        self.endpoint.send_now(bytes, Some(&SockAddr::from(to)))
    }

    /// Sends the bytes as datagrams of `size` bytes each (the last may be shorter), in one call: at most 64,
    /// and 65,507 bytes in all. The kernel, or the network card, cuts them (generic segmentation offload).
    ///
    /// # Errors
    ///
    /// `Unsupported` where the kernel cannot ([`can_segment`](Self::can_segment)); `InvalidInput` for a
    /// `size` of 0, one that the network does not let pass, or too many segments; else as
    /// [`send_to`](Self::send_to).
    ///
    /// # Cancel safety
    ///
    /// Dropping it has sent nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::net::UdpSocket;
    ///
    /// ringloop::run(async {
    ///     let (ours, theirs) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    ///     if ours.can_segment() {
    ///         ours.send_segments(b"onetwothree", 3, theirs.local_addr()?).await?;
    ///         assert_eq!(&theirs.recv_chunk().await?[..], b"one");
    ///     }
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    pub async fn send_segments(&self, bytes: &[u8], size: u16, to: SocketAddr) -> io::Result<()> {
        transmit::send_segments(&self.endpoint, bytes, size, to).await
    }

    /// Sends some of these datagrams in one call, the first ones in their order, as soon as the kernel has
    /// room for one: how many went. What did not is to be sent again.
    ///
    /// # Errors
    ///
    /// What the first one met, as [`send_to`](Self::send_to) and [`send_segments`](Self::send_segments)
    /// say. Where a later one meets an error, those before it have gone, and the next call tells of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it has sent nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::net::{Transmit, UdpSocket};
    ///
    /// ringloop::run(async {
    ///     let (ours, theirs) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    ///     let to = theirs.local_addr()?;
    ///     let batch = [Transmit::new(b"one").to(to), Transmit::new(b"two").to(to)];
    ///     let mut sent = 0;
    ///     while sent < batch.len() {
    ///         sent += ours.send_batch(&batch[sent..]).await?;
    ///     }
    ///     let mut got = Vec::new();
    ///     while got.len() < 2 {
    ///         theirs.recv_batch(&mut got, 32).await?;
    ///     }
    ///     assert_eq!((&got[0][..], &got[1][..]), (&b"one"[..], &b"two"[..]));
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    #[doc(alias = "sendmmsg")]
    pub async fn send_batch(&self, batch: &[Transmit<'_>]) -> io::Result<usize> {
        if batch.is_empty() {
            return Ok(0);
        }
        self.endpoint.until_sent(|| self.endpoint.send_many_now(batch)).await
    }

    /// As [`send_batch`](Self::send_batch), as far as the kernel has room now.
    ///
    /// # Errors
    ///
    /// `WouldBlock`; else as [`send_batch`](Self::send_batch).
    pub fn try_send_batch(&self, batch: &[Transmit<'_>]) -> io::Result<usize> {
        self.endpoint.core().may_wait()?;
        if batch.is_empty() { Ok(0) } else { self.endpoint.send_many_now(batch) }
    }

    // ---- receiving ----

    /// Waits for a datagram and copies it into `buf`: its length there. What does not fit is discarded, as
    /// by `recv(2)`; [`recv_chunk`](Self::recv_chunk) knows no such limit.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a datagram stays for the next who asks.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_from(buf).await.map(|(len, _)| len)
    }

    /// Waits for a datagram and copies it into `buf`: its length there, and who sent it. What does not fit
    /// is discarded, as by `recvfrom(2)`. Several tasks may wait at once; they are served in turn.
    ///
    /// # Errors
    ///
    /// What the network has reported (`ConnectionRefused` and its kin, of a connected socket) and what else
    /// `recvmsg(2)` says, once, after the datagrams that came before it; `NotConnected` once the runtime
    /// has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a datagram stays for the next who asks.
    #[doc(alias = "recvfrom")]
    #[doc(alias = "sock_recvfrom")]
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let took = |_: &Endpoint, state: &mut State| {
            state.parked.pop().map(|next| next.map(|datagram| copy(&datagram, buf)))
        };
        self.endpoint.take("recv_from", took).await
    }

    /// Waits for a datagram and lends it: nothing is copied, and it may be of any length.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a datagram stays for the next who asks.
    pub async fn recv_chunk(&self) -> io::Result<Datagram> {
        self.endpoint.take("recv_chunk", |_, state| state.parked.pop()).await
    }

    /// Waits for a datagram, and appends it and those that have come with it to `into`, at most `most`: how
    /// many there were.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: datagrams stay for the next who asks.
    #[doc(alias = "recvmmsg")]
    pub async fn recv_batch(&self, into: &mut Vec<Datagram>, most: usize) -> io::Result<usize> {
        if most == 0 {
            return Ok(0);
        }
        let took = |_: &Endpoint, state: &mut State| state.parked.pop_many(into, most);
        let count = self.endpoint.take("recv_batch", took).await?;
        spend_many(u16::try_from(count / 8).unwrap_or(u16::MAX));
        Ok(count)
    }

    /// As [`recv`](Self::recv), and the datagram stays.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.peek_from(buf).await.map(|(len, _)| len)
    }

    /// As [`recv_from`](Self::recv_from), and the datagram stays.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let looked = |_: &Endpoint, state: &mut State| {
            state.parked.peek().map(|next| next.map(|datagram| copy(datagram, buf)))
        };
        self.endpoint.take("peek_from", looked).await
    }

    /// Waits until a receive would not have to wait.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.endpoint.take("readable", |_, _| Some(Ok(()))).await
    }

    /// As [`recv`](Self::recv), of a datagram that has come.
    ///
    /// # Errors
    ///
    /// As [`try_recv_chunk`](Self::try_recv_chunk).
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_recv_from(buf).map(|(len, _)| len)
    }

    /// As [`recv_from`](Self::recv_from), of a datagram that has come.
    ///
    /// # Errors
    ///
    /// As [`try_recv_chunk`](Self::try_recv_chunk).
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_recv_chunk().map(|datagram| copy(&datagram, buf))
    }

    /// As [`recv_chunk`](Self::recv_chunk), of a datagram that has come. The loop takes them in between
    /// two polls of a task: [`readable`](Self::readable) waits for one.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: none has, or those that wait for it come first; else as
    /// [`recv_from`](Self::recv_from).
    pub fn try_recv_chunk(&self) -> io::Result<Datagram> {
        self.endpoint.try_take(|_, state| state.parked.pop())
    }

    /// [`recv_chunk`](Self::recv_chunk) as a poll, for futures that are written by hand. Of several tasks
    /// that poll only the last one is woken; it stands in line with those that wait otherwise.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Datagram>> {
        self.endpoint.poll_next(cx, "poll_recv", |_, state| state.parked.pop())
    }

    /// How many datagrams the kernel has dropped because they came faster than they were taken
    /// (`SO_RXQ_OVFL`), as of those that came behind them.
    pub fn dropped(&self) -> u64 {
        self.endpoint.state.borrow().parked.dropped()
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.endpoint.close();
    }
}

/// Copies as much as fits.
fn copy(datagram: &Datagram, buf: &mut [u8]) -> (usize, SocketAddr) {
    let len = datagram.len().min(buf.len());
    buf[..len].copy_from_slice(&datagram[..len]);
    (len, datagram.addr())
}
