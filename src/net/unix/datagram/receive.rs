//! Receiving: fetched within the poll, when there is something to fetch.

use std::io;
use std::os::unix::net::SocketAddr;
use std::task::{Context, Poll, ready};

use super::UnixDatagram;
use crate::buf::{Block, Lease};
use crate::net::endpoint::{Endpoint, State};
use crate::net::unix::addr::unnamed;
use crate::op::Call;
use crate::sys::SockAddr;

impl UnixDatagram {
    /// Waits for a datagram, received into `buf`: its length there. What does not fit is discarded, as by
    /// `recv(2)`; [`recv_chunk`](Self::recv_chunk) knows no such limit.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a datagram stays for the next who asks.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive("recv", buf, false).await.map(|(len, _)| len)
    }

    /// Waits for a datagram, received into `buf`: its length there, and who sent it. What does not fit is
    /// discarded, as by `recvfrom(2)`. Several tasks may wait at once; they are served in turn.
    ///
    /// # Errors
    ///
    /// What `recvfrom(2)` says; `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a datagram stays for the next who asks.
    #[doc(alias = "recvfrom")]
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (len, from) = self.receive("recv_from", buf, false).await?;
        Ok((len, sender(from)))
    }

    /// Waits for a datagram, of any length, and lends it.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a datagram stays for the next who asks.
    pub async fn recv_chunk(&self) -> io::Result<(Lease, SocketAddr)> {
        let (lease, from) = self.endpoint.take("recv_chunk", fetch_chunk).await?;
        Ok((lease, sender(from)))
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
        let (len, from) = self.receive("peek_from", buf, true).await?;
        Ok((len, sender(from)))
    }

    /// Waits until a receive would not have to wait.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.receive("readable", &mut [], true).await.map(drop)
    }

    /// As [`recv`](Self::recv), of a datagram that has come.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: none has, or those that wait for it come first; else as
    /// [`recv_from`](Self::recv_from).
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let took = |endpoint: &Endpoint, state: &mut State| fetch(endpoint, state, buf, false);
        self.endpoint.try_take(took).map(|(len, _)| len)
    }

    /// As [`recv_from`](Self::recv_from), of a datagram that has come.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let took = |endpoint: &Endpoint, state: &mut State| fetch(endpoint, state, buf, false);
        let (len, from) = self.endpoint.try_take(took)?;
        Ok((len, sender(from)))
    }

    /// [`recv_chunk`](Self::recv_chunk) as a poll, for futures that are written by hand. Of several tasks
    /// that poll only the last one is woken; it stands in line with those that wait otherwise.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Lease, SocketAddr)>> {
        let fetched = ready!(self.endpoint.poll_next(cx, "poll_recv", fetch_chunk));
        Poll::Ready(fetched.map(|(lease, from)| (lease, sender(from))))
    }

    /// Takes a datagram in a large block of the pool's, which goes back to it afterwards: nothing is allocated but for
    /// one that is longer.
    pub(in crate::net) fn poll_lent(
        &self,
        cx: &mut Context<'_>,
        lend: impl FnOnce(&[u8], SocketAddr),
    ) -> Poll<io::Result<()>> {
        let pool = self.endpoint.core().pool();
        let fetch = |endpoint: &Endpoint, state: &mut State| {
            fetch_whole(endpoint, state, |len| {
                let large = pool.large();
                if len <= large.len() {
                    return large;
                }
                pool.keep_large(large);
                Block::zeroed(len as u32)
            })
        };
        let (block, len, from) = ready!(self.endpoint.poll_next(cx, "poll_recv", fetch))?;
        lend(&block[..len], sender(from));
        pool.keep_large(block);
        Poll::Ready(Ok(()))
    }

    async fn receive(
        &self,
        what: &'static str,
        buf: &mut [u8],
        peek: bool,
    ) -> io::Result<(usize, SockAddr)> {
        let took = |endpoint: &Endpoint, state: &mut State| fetch(endpoint, state, buf, peek);
        self.endpoint.take(what, took).await
    }
}

/// The sender's name. One that std has no room for, a path of all 108 bytes, counts as none: what was sent
/// must not be lost for it.
fn sender(from: SockAddr) -> SocketAddr {
    from.to_unix().unwrap_or_else(|_| unnamed())
}

/// Fetches a datagram: how much of it is in `buf`. `None`: there is none.
fn fetch(
    endpoint: &Endpoint,
    state: &mut State,
    buf: &mut [u8],
    peek: bool,
) -> Option<io::Result<(usize, SockAddr)>> {
    let room = buf.len();
    Some(call(endpoint, state, buf, peek)?.map(|(len, from)| (len.min(room), from)))
}

/// Fetches a datagram, whatever its length.
fn fetch_chunk(endpoint: &Endpoint, state: &mut State) -> Option<io::Result<(Lease, SockAddr)>> {
    let fetched = fetch_whole(endpoint, state, |len| Block::zeroed(len as u32))?;
    Some(fetched.map(|(block, len, from)| {
        let mut lease = endpoint.core().pool().adopt(block);
        lease.truncate(len);
        (lease, from)
    }))
}

/// Fetches a datagram into a block with room for all of it. The kernel says lengths as integers of 31 bits.
fn fetch_whole(
    endpoint: &Endpoint,
    state: &mut State,
    room: impl FnOnce(usize) -> Block,
) -> Option<io::Result<(Block, usize, SockAddr)>> {
    let len = match call(endpoint, state, &mut [], true)? {
        Ok((len, _)) => len,
        Err(error) => return Some(Err(error)),
    };
    let mut block = room(len);
    let fetched = fetch(endpoint, state, &mut block, false)?;
    Some(fetched.map(|(len, from)| (block, len, from)))
}

/// The call. Nothing to be had is no result.
fn call(
    endpoint: &Endpoint,
    state: &mut State,
    into: &mut [u8],
    peek: bool,
) -> Option<io::Result<(usize, SockAddr)>> {
    let (fd, mut from) = (endpoint.fd().raw(), SockAddr::empty());
    match endpoint.core().call(Call::RecvFromNow { fd, into, from: &mut from, peek }) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && state.shut => {
            let says = "the receiving side of this socket was shut down";
            Some(Err(io::Error::new(io::ErrorKind::NotConnected, says)))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            state.ready = false;
            None
        }
        result => Some(result.map(|len| (len as usize, from))),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::net::options::{self, Setting};

    #[test]
    fn one_that_no_large_block_holds_is_lent_whole_and_so_is_the_next() {
        crate::runtime::run(async {
            let (ours, theirs) = UnixDatagram::pair().unwrap();
            let room = Setting::int(libc::SOL_SOCKET, libc::SO_SNDBUF, 212_992);
            options::set(theirs.endpoint.core(), theirs.endpoint.fd().raw(), room).unwrap();
            let long: Vec<u8> = (0..300_000).map(|n| (n % 251) as u8).collect();
            for sent in [&long[..], b"short", b"", &long[7..]] {
                theirs.send(sent).await.unwrap();
                let mut lent = None;
                poll_fn(|cx| ours.poll_lent(cx, |bytes, _| lent = Some(bytes.to_vec())))
                    .await
                    .unwrap();
                assert!(lent.as_deref() == Some(sent), "{} bytes", sent.len());
            }
        });
    }
}
