//! What is received: a datagram with what is known of it.

use std::fmt;
use std::net::SocketAddr;
use std::ops::{ControlFlow, Deref};

use crate::buf::Lease;
use crate::sys::message::{HEAD, Head, control_messages};

/// A received datagram: its bytes, lent as a [`Lease`] is, who sent it, and what the kernel said of it.
///
/// It dereferences to its bytes, of which there may be none.
///
/// # Examples
///
/// ```
/// use ringloop::net::UdpSocket;
///
/// ringloop::run(async {
///     let (ours, theirs) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
///     theirs.send_to(b"hello", ours.local_addr()?).await?;
///     let datagram = ours.recv_chunk().await?;
///     assert_eq!((&datagram[..], datagram.addr()), (&b"hello"[..], theirs.local_addr()?));
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
pub struct Datagram {
    lease: Lease,
    from: SocketAddr,
    /// 0: it is one.
    segment: u16,
    ecn: Option<Ecn>,
}

/// What came with a datagram and is not its own.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// How many datagrams the kernel has dropped so far (`SO_RXQ_OVFL`), modulo 2³².
    pub(super) dropped: Option<u32>,
}

impl Datagram {
    /// The datagram of a message that a receive has filled. The error is an errno: there is none in it, or
    /// not all of it.
    pub(super) fn of(mut message: Lease) -> Result<(Self, Aside), i32> {
        let head = Head::of(&message).ok_or(libc::EIO)?;
        if head.is_truncated() {
            return Err(libc::EMSGSIZE);
        }
        let from = head.name().to_inet().map_err(|_| libc::EIO)?;
        let (mut segment, mut ecn, mut aside) = (0, None, Aside::default());
        control_messages(head.control(), |level, kind, data| {
            let int = data.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => aside.dropped = int.map(|n| n as u32),
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    segment = int.and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
                }
                // A byte, and an integer.
                (libc::IPPROTO_IP, libc::IP_TOS) => ecn = data.first().map(|tos| Ecn::of(*tos)),
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => ecn = int.map(|tos| Ecn::of(tos as u8)),
                _ => {}
            }
            ControlFlow::Continue(())
        });
        message.advance(HEAD);
        Ok((Self { lease: message, from, segment, ecn }, aside))
    }

    /// Who sent it.
    pub fn addr(&self) -> SocketAddr {
        self.from
    }

    /// Where the kernel has put several datagrams of one sender together
    /// ([`set_gro`](super::UdpSocket::set_gro)): the length of each but the last, which may be shorter.
    /// `None`: it is a single one. [`segments`](Self::segments) takes it apart.
    pub fn segment_size(&self) -> Option<usize> {
        (self.segment > 0).then_some(usize::from(self.segment))
    }

    /// The datagrams that were sent: several where the kernel has put them together, else this one.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let size = self.segment_size().unwrap_or(self.len()).max(1);
        // An empty one is one as well.
        let empty = self.is_empty().then_some(&self[..]);
        empty.into_iter().chain(self.chunks(size))
    }

    /// The mark of congestion that it came with, where the socket was told to ask
    /// ([`set_recv_ecn`](super::UdpSocket::set_recv_ecn)).
    pub fn ecn(&self) -> Option<Ecn> {
        self.ecn
    }

    /// The bytes alone.
    pub fn into_lease(self) -> Lease {
        self.lease
    }
}

impl Deref for Datagram {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.lease
    }
}

impl AsRef<[u8]> for Datagram {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datagram({} bytes from {})", self.len(), self.from)
    }
}

/// The mark of congestion in a packet's header (RFC 3168).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// The sender does not know of marks.
    #[default]
    NotEct = 0b00,
    /// ECT(1): it does, and means RFC 9331's.
    Ect1 = 0b01,
    /// ECT(0): it does.
    Ect0 = 0b10,
    /// Somebody on the way met congestion.
    Ce = 0b11,
}

impl Ecn {
    /// Of a traffic class, whose other bits are another matter.
    pub(super) fn of(class: u8) -> Self {
        match class & 0b11 {
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            0b11 => Self::Ce,
            _ => Self::NotEct,
        }
    }
}
