//! Receiving, as a [`UdpSocket`] offers it.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::{Datagram, UdpSocket};
use crate::net::endpoint::{Endpoint, State};
use crate::task::spend_many;

impl UdpSocket {
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

/// Copies as much as fits.
fn copy(datagram: &Datagram, buf: &mut [u8]) -> (usize, SocketAddr) {
    let len = datagram.len().min(buf.len());
    buf[..len].copy_from_slice(&datagram[..len]);
    (len, datagram.addr())
}
