//! Sending, as a [`UdpSocket`] offers it.

use std::io;
use std::net::SocketAddr;

use super::{Transmit, UdpSocket, transmit};
use crate::net::addr::{ToSocketAddrs, resolve_one};
use crate::sys::SockAddr;

impl UdpSocket {
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
}
