//! Descriptors that travel with the bytes of a Unix stream.
//!
//! A receive that does not ask for them loses them (`uring-sys-notes/unix-sockets.md`), so a stream says before its first read that it wants
//! them. From then on no receive is in flight: its bytes are fetched by calls within the poll
//! (`net/direct.rs`), and what comes with them is parked here.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::op::RoomOp;
use crate::net::direct::{MOST, Traffic};
use crate::net::inbox::Receive;
use crate::net::socket::Socket;
use crate::op::Call;
use crate::runtime::{Core, Submit};
use crate::sys::rights::{self, Rights};
use crate::task::{poll_proceed, spend};
use crate::time::sleep;

/// Descriptors that may be parked, at most: a peer can send many with each byte.
const PARKED: usize = 4 * rights::MOST;

/// How long a send waits where the socket has no room and will not tell of it.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What came with the bytes of a stream and nobody has taken, in their order.
#[derive(Debug, Default)]
pub(in crate::net) struct Parked {
    groups: VecDeque<Group>,
    /// Descriptors in `groups`.
    count: usize,
    /// Bytes received so far.
    received: u64,
}

/// What came with one receive.
#[derive(Debug)]
struct Group {
    /// Where in the stream its bytes begin.
    at: u64,
    rights: Rights,
}

impl Parked {
    /// `recvmsg(2)` of what has come: how many bytes.
    pub(in crate::net) fn receive(
        &mut self,
        core: &Core,
        fd: RawFd,
        into: &mut [u8],
    ) -> io::Result<usize> {
        let mut rights = Rights::default();
        let len = core.call_directly(Call::RecvFds { fd, into, rights: &mut rights })?;
        self.came(len, rights);
        Ok(len)
    }

    fn came(&mut self, len: usize, mut rights: Rights) {
        rights.cut |= self.count + rights.fds.len() > PARKED;
        if rights.cut {
            // A part of them is of no use to anybody.
            rights.fds.clear();
        }
        if rights.cut || !rights.fds.is_empty() {
            self.count += rights.fds.len();
            self.groups.push_back(Group { at: self.received, rights });
        }
        self.received += len as u64;
    }

    /// How many bytes come before the next descriptors, where those before `position` have been read.
    fn until_next(&self, position: u64) -> usize {
        let next = self.groups.iter().find(|group| group.at > position);
        next.map_or(usize::MAX, |group| usize::try_from(group.at - position).unwrap_or(usize::MAX))
    }

    /// Whether descriptors that came with the bytes up to `position` have been lost; told once.
    fn lost(&mut self, position: u64) -> bool {
        let lost = self.groups.iter().position(|group| group.at <= position && group.rights.cut);
        lost.and_then(|index| self.groups.remove(index)).is_some()
    }

    /// Takes what came with the bytes before `position`.
    fn take(&mut self, position: u64) -> Vec<OwnedFd> {
        let mut taken = Vec::new();
        while self.groups.front().is_some_and(|group| group.at < position && !group.rights.cut) {
            taken.extend(self.groups.pop_front().map(|group| group.rights.fds).unwrap_or_default());
        }
        self.count -= taken.len();
        taken
    }
}

impl Socket {
    /// Lets descriptors come in, if none can have been lost yet.
    pub(super) fn accept_fds(&self) -> io::Result<()> {
        let mut rights = self.rights.borrow_mut();
        if rights.is_some() {
            return Ok(());
        }
        let mut inbox = self.inbox.borrow_mut();
        if !matches!(inbox.receive, Receive::Idle) || !inbox.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a stream that was read from has lost the descriptors that came: \
                 call accept_fds before the first read",
            ));
        }
        inbox.traffic = Traffic::by_call();
        *rights = Some(Box::default());
        Ok(())
    }

    /// Works on what has come, after [`accept_fds`](Self::accept_fds). `position` is where its reader
    /// stands.
    fn with_rights<T>(&self, f: impl FnOnce(&mut Parked, u64) -> T) -> T {
        let parked = self.inbox.borrow().parked() as u64;
        let mut rights = self.rights.borrow_mut();
        let rights = rights.get_or_insert_default();
        let position = rights.received.saturating_sub(parked);
        f(rights, position)
    }

    pub(super) async fn recv_fds(
        self: &Rc<Self>,
        into: &mut [u8],
    ) -> io::Result<(usize, Vec<OwnedFd>)> {
        self.accept_fds()?;
        poll_fn(|cx| self.poll_recv_fds(cx, into)).await
    }

    fn poll_recv_fds(
        self: &Rc<Self>,
        cx: &Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<(usize, Vec<OwnedFd>)>> {
        ready!(poll_proceed(cx));
        let lost = |rights: &mut Parked, position| rights.lost(position);
        if self.with_rights(lost) {
            spend();
            return Poll::Ready(Err(descriptors_lost()));
        }
        // The bytes of one call end before the next descriptors.
        let room = self.with_rights(|rights, position| rights.until_next(position)).min(into.len());
        let into = &mut into[..room];
        let mut len = self.fetch_into(into);
        if len == 0 && !into.is_empty() {
            len = ready!(self.poll_take(cx, |inbox| inbox.read(into)))?.unwrap_or(0);
        } else if self.with_rights(|rights, position| rights.lost(position - len as u64)) {
            // The bytes stay to be read.
            self.inbox.borrow_mut().push(self.core().pool().copy(&into[..len]));
            return Poll::Ready(Err(descriptors_lost()));
        }
        let fds = self.with_rights(|rights, position| rights.take(position));
        Poll::Ready(Ok((len, fds)))
    }

    pub(super) async fn send_fds(
        self: &Rc<Self>,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        check(bytes, fds)?;
        // They must not overtake what was written before.
        self.flush().await?;
        let mut pause = PAUSE;
        let sent = loop {
            let first = &bytes[..bytes.len().min(MOST)];
            match poll_fn(|cx| self.poll_send_fds(cx, first, fds)).await {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => break sent?,
            }
            let room = RoomOp { socket: self.clone() };
            let shown = Submit::new(self.core().clone(), room).await?;
            if shown & (libc::POLLOUT | libc::POLLERR | libc::POLLHUP) as u32 == 0 {
                // Of a peer that has ended its side the poll tells at once, room or not.
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        self.write_all(&bytes[sent..]).await
    }

    fn poll_send_fds(
        &self,
        cx: &Context<'_>,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(poll_proceed(cx));
        self.core().may_wait()?;
        spend();
        let sent = self.core().call_directly(Call::SendFds { fd: self.fd.raw(), bytes, fds });
        if let Err(error) = &sent {
            self.note_loss(error.raw_os_error().unwrap_or(0));
        }
        Poll::Ready(sent)
    }
}

fn check(bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let says = if bytes.is_empty() {
        "descriptors travel with a byte: there must be one at least".into()
    } else if fds.len() > rights::MOST {
        format!("{} descriptors are too many for one message: {} at most", fds.len(), rights::MOST)
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, says))
}

fn descriptors_lost() -> io::Error {
    io::Error::other(
        "descriptors that came with the next bytes were lost: this process has no room for more, \
         or nobody took those that came before",
    )
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn some(n: usize) -> Rights {
        let one = || std::io::stdin().as_fd().try_clone_to_owned().unwrap();
        Rights { fds: (0..n).map(|_| one()).collect(), cut: false }
    }

    #[test]
    fn descriptors_come_with_the_first_of_their_bytes_and_bytes_end_before_the_next() {
        let mut parked = Parked::default();
        parked.came(10, some(0));
        parked.came(5, some(2));
        parked.came(5, some(1));
        assert_eq!((parked.until_next(0), parked.until_next(10)), (10, 5));
        assert_eq!(parked.take(10).len(), 0);
        assert_eq!(parked.take(11).len(), 2);
        assert_eq!(parked.until_next(15), usize::MAX);
        assert_eq!(parked.take(20).len(), 1);
        assert_eq!(parked.count, 0);
    }

    // Seen to fail when `take` passed over what was lost.
    #[test]
    fn what_was_lost_is_told_once_in_its_place() {
        let mut parked = Parked::default();
        parked.came(10, some(1));
        parked.came(10, Rights { cut: true, ..some(3) });
        parked.came(10, some(1));
        assert!(!parked.lost(0) && !parked.lost(9));
        assert_eq!(parked.take(30).len(), 1, "nothing overtakes it");
        assert!(parked.lost(10) && !parked.lost(10));
        assert_eq!(parked.take(30).len(), 1);
    }

    #[test]
    fn descriptors_that_nobody_takes_do_not_gather_without_end() {
        let mut parked = Parked::default();
        for _ in 0..6 {
            parked.came(1, some(rights::MOST));
        }
        assert_eq!(parked.count, PARKED);
        assert_eq!(parked.take(4).len(), PARKED);
        assert!(parked.lost(4) && parked.lost(5) && !parked.lost(6));
    }
}
