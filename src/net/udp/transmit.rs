//! Sending: a call within the poll, and another when there is room.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::ready;
use std::time::Duration;

use super::Ecn;
use crate::net::endpoint::Endpoint;
use crate::net::op::PollOp;
use crate::net::options;
use crate::op::Call;
use crate::runtime::Submit;
use crate::sys::SockAddr;
use crate::sys::datagram::{BATCH, Outgoing};
use crate::sys::message::Control;
use crate::task::{poll_proceed, spend, spend_many};
use crate::time::sleep;

/// A datagram to send, or several of one size in one buffer: for
/// [`UdpSocket::send_batch`](super::UdpSocket::send_batch).
///
/// # Examples
///
/// ```
/// use ringloop::net::{Ecn, Transmit};
///
/// let peer = "192.0.2.7:443".parse().unwrap();
/// let three = Transmit::new(&[0; 3600]).to(peer).segment_size(1200).ecn(Ecn::Ect0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    bytes: &'a [u8],
    to: Option<SocketAddr>,
    segment: Option<u16>,
    ecn: Option<Ecn>,
}

impl<'a> Transmit<'a> {
    /// The bytes, as one datagram to the socket's peer.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, to: None, segment: None, ecn: None }
    }

    /// Whom it is for, where the socket is not connected.
    #[must_use]
    pub fn to(mut self, address: SocketAddr) -> Self {
        self.to = Some(address);
        self
    }

    /// Cuts the bytes into datagrams of this size, of which the last may be shorter (`UDP_SEGMENT`, see
    /// `udp(7)`): at most 64, and 65,507 bytes in all. The kernel, or the network card, cuts them.
    #[must_use]
    pub fn segment_size(mut self, bytes: u16) -> Self {
        self.segment = Some(bytes);
        self
    }

    /// The mark of congestion that it carries, instead of the socket's
    /// ([`set_ecn`](super::UdpSocket::set_ecn)).
    #[must_use]
    pub fn ecn(mut self, ecn: Ecn) -> Self {
        self.ecn = Some(ecn);
        self
    }
}

/// A datagram in the kernel's words.
struct Prepared {
    to: Option<SockAddr>,
    control: Control,
}

/// How long a kernel without memory for a datagram is left alone at first, and at most.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// After so many pauses (a second or so) the error is told.
const PATIENCE: u32 = 64;

impl Endpoint {
    /// Calls until the kernel has taken something: at once, and whenever there may be room again.
    pub(in crate::net) async fn until_sent<T>(
        &self,
        mut send: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut pause = PAUSE;
        let mut showed_room = false;
        let mut short = 0;
        loop {
            let sent = std::future::poll_fn(|cx| {
                ready!(poll_proceed(cx));
                spend();
                std::task::Poll::Ready(self.core().may_wait().and_then(|()| send()))
            });
            let error = match sent.await {
                Err(error) => error,
                sent => return sent,
            };
            match error.raw_os_error() {
                Some(libc::EAGAIN) if !showed_room => {
                    let poll = PollOp { fd: self.fd().clone(), events: libc::POLLOUT as u32 };
                    Submit::new(self.core().clone(), poll).await?;
                    showed_room = true;
                    continue;
                }
                // The room is ours, and it is the other side's queue that is full: nothing tells of that.
                Some(libc::EAGAIN) => {}
                // The queue of a device is full, or memory is short.
                Some(libc::ENOBUFS | libc::ENOMEM) if short < PATIENCE => short += 1,
                _ => return Err(error),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            showed_room = false;
        }
    }

    pub(in crate::net) fn send_now(
        &self,
        bytes: &[u8],
        to: Option<&SockAddr>,
    ) -> io::Result<usize> {
        let datagram = Outgoing { bytes, to, control: &[] };
        let sent = self.core().call(Call::SendDatagram { fd: self.fd().raw(), datagram })?;
        Ok(sent as usize)
    }

    pub(super) fn send_many_now(&self, batch: &[Transmit<'_>]) -> io::Result<usize> {
        let batch = &batch[..batch.len().min(BATCH)];
        let mut prepared = [const { Prepared { to: None, control: Control::NONE } }; BATCH];
        let mut datagrams = [Outgoing { bytes: &[], to: None, control: &[] }; BATCH];
        let mut fit = 0;
        for (transmit, place) in batch.iter().zip(&mut prepared) {
            match self.prepare(transmit) {
                Ok(ready) => *place = ready,
                // Those before it go; the next call meets the error.
                Err(_) if fit > 0 => break,
                Err(error) => return Err(error),
            }
            fit += 1;
        }
        for ((transmit, ready), place) in batch[..fit].iter().zip(&prepared).zip(&mut datagrams) {
            let (to, control) = (ready.to.as_ref(), ready.control.as_bytes());
            *place = Outgoing { bytes: transmit.bytes, to, control };
        }
        let (fd, datagrams) = (self.fd().raw(), &datagrams[..fit]);
        let sent = match datagrams {
            &[datagram] => self.core().call(Call::SendDatagram { fd, datagram }).map(|_| 1),
            datagrams => self.core().call(Call::SendDatagrams { fd, datagrams }),
        };
        let sent = sent? as usize;
        spend_many(sent as u16 / 8);
        Ok(sent)
    }

    fn prepare(&self, transmit: &Transmit<'_>) -> io::Result<Prepared> {
        let mut control = Control::NONE;
        if let Some(size) = transmit.segment {
            if size == 0 {
                let message = "a segment has at least one byte";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            self.must_segment()?;
            // One alone needs no cutting, and devices that cannot cut take it.
            if transmit.bytes.len() > usize::from(size) {
                control.push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
            }
        }
        if let Some(ecn) = transmit.ecn {
            // Each family hears its own and ignores the other's; a socket of IPv6 may talk to both.
            let class = (ecn as i32).to_ne_bytes();
            control.push(libc::IPPROTO_IP, libc::IP_TOS, &class);
            control.push(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &class);
        }
        Ok(Prepared { to: transmit.to.map(SockAddr::from), control })
    }

    /// Whether the kernel segments what is sent: asked once.
    pub(super) fn can_segment(&self) -> bool {
        self.segments.get().unwrap_or_else(|| {
            let (fd, level) = (self.fd().raw(), libc::SOL_UDP);
            let can = options::get(self.core(), fd, level, libc::UDP_SEGMENT).is_ok();
            self.segments.set(Some(can));
            can
        })
    }

    fn must_segment(&self) -> io::Result<()> {
        if self.can_segment() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this kernel does not cut datagrams into segments (UDP_SEGMENT, Linux 4.18)",
        ))
    }
}

/// One datagram, cut into segments.
pub(super) async fn send_segments(
    endpoint: &Rc<Endpoint>,
    bytes: &[u8],
    size: u16,
    to: SocketAddr,
) -> io::Result<()> {
    let transmit = Transmit::new(bytes).to(to).segment_size(size);
    endpoint.until_sent(|| endpoint.send_many_now(&[transmit])).await.map(drop)
}
