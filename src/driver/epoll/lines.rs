//! How lines get on: tried, carried over, put to rest, woken by an edge.

use std::io;
use std::os::fd::RawFd;

use super::Epoll;
use super::advance::{Out, Progress, SHARE, advance};
use super::interest::{Registration, Side};
use crate::driver::perform::{self, Attempt, Operation};
use crate::op::{Request, Token};

/// Both sides, the peer's half-close and urgent data.
const EVENTS: u32 =
    (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET) as u32;
/// Something may stand behind the last byte of a short read.
const ENDED: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR | libc::EPOLLPRI) as u32;
const READABLE: u32 = libc::EPOLLIN as u32 | ENDED;
const WRITABLE: u32 = (libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR) as u32;

impl Epoll {
    /// Puts a request last in its line; the first one of a line that may have more is tried at once.
    pub(super) fn line_up(&mut self, token: Token, fd: RawFd, request: Request, out: &mut Out<'_>) {
        let side = Side::of(&request).expect("only requests of a side line up");
        let slot = self.slots.insert(token, Operation::new(request));
        let line = self.interests.at(fd).line(side);
        line.waiting.push(slot);
        if line.waiting.len() == 1 && !line.drained && !line.carried {
            self.run(fd, side, out);
        }
    }

    /// Gets a line as far as it goes without waiting.
    pub(super) fn run(&mut self, fd: RawFd, side: Side, out: &mut Out<'_>) {
        let mut share = SHARE;
        loop {
            let interest = self.interests.at(fd);
            let Some(&slot) = interest.line(side).waiting.front() else { return };
            let active = self.slots.at(slot);
            if interest.registration == Registration::File && active.operation.may_block() {
                return self.start(slot, out);
            }
            match advance(active, interest, &mut share, out) {
                Progress::Ended => {
                    self.slots.remove(slot);
                    let line = interest.line(side);
                    line.waiting.pop();
                    if line.drained || line.waiting.is_empty() {
                        return;
                    }
                }
                Progress::Waits => return self.rest(fd, side, out),
                Progress::Spent => share = 0,
            }
            if share == 0 {
                self.interests.at(fd).line(side).carried = true;
                return self.carried.push_back((fd, side));
            }
        }
    }

    /// Lets a line wait for an edge. Where epoll takes the descriptor not, its requests fail.
    fn rest(&mut self, fd: RawFd, side: Side, out: &mut Out<'_>) {
        let error = match self.register(fd) {
            Ok(Registration::Made) => return self.interests.at(fd).drain(side),
            Ok(_) => -libc::EPERM,
            Err(e) => perform::errno(e),
        };
        while let Some(slot) = self.interests.at(fd).line(side).waiting.pop() {
            out.last(self.slots.remove(slot).token, error);
        }
    }

    /// Registers `fd` unless it is, and says what epoll thinks of it.
    pub(super) fn register(&mut self, fd: RawFd) -> io::Result<Registration> {
        let interest = self.interests.at(fd);
        if interest.registration == Registration::None {
            interest.registration = match self.epoll.add(fd, EVENTS, interest.data(fd)) {
                Ok(()) => Registration::Made,
                Err(e) if e.raw_os_error() == Some(libc::EPERM) => Registration::File,
                Err(e) => return Err(e),
            };
        }
        Ok(interest.registration)
    }

    /// Hears what an edge says.
    pub(super) fn hear(&mut self, event: libc::epoll_event, out: &mut Out<'_>) {
        let (data, shown) = (event.u64, event.events);
        let Some((fd, interest)) = self.interests.of(data) else { return };
        interest.ended |= shown & ENDED != 0;
        for (side, mask) in [(Side::Read, READABLE), (Side::Write, WRITABLE)] {
            let line = self.interests.at(fd).line(side);
            if shown & mask != 0 {
                line.drained = false;
                if !line.waiting.is_empty() && !line.carried {
                    self.run(fd, side, out);
                }
            }
        }
        let interest = self.interests.at(fd);
        interest.polls.retain(|&slot| {
            let Attempt::Done(result) = self.slots.at(slot).operation.attempt() else {
                return true;
            };
            out.last(self.slots.remove(slot).token, result);
            false
        });
    }
}
