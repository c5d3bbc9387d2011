//! The epoll driver: plain syscalls, tried first, and edges that say when to try again.
//!
//! What a request means is in [`perform`](super::perform); when to try it is decided here.
//!
//! ```text
//!   submit ─► asked ─► line of (fd, read) or (fd, write) ─► advance ─► done
//!   cancel ─►   (in order, at the next wait)  ▲   │ EAGAIN or short: register once, wait for the edge
//!                                     edge ───┘   │ share used up: carried to the next wait
//!                                                 └ regular file, open, sync: a worker ─► results, bell
//! ```
//!
//! A descriptor is registered when a request on it first has to wait, once, edge-triggered, for
//! everything, until its [`Close`](Request::Close). The registration reports what is ready by then,
//! so nothing is lost between a try and its registration; on a registered descriptor, an edge from
//! before the try is covered by the try itself. So each descriptor that was ever waited for must be
//! closed through the driver: closed behind its back, its number would come back as another file
//! that nobody has registered.

mod advance;
mod interest;
mod jobs;
mod slots;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use self::advance::{Out, Progress, SHARE, advance};
use self::interest::{Interests, Registration, Side};
use self::jobs::Jobs;
use self::slots::Slots;
use super::perform::{self, Attempt, Operation};
use super::{Driver, Until};
use crate::buf::Pool;
use crate::op::{Call, Completion, Request, Token};
use crate::sys::sync::Arc;
use crate::sys::{self, Bell};
use crate::worker::Workers;

/// Both sides, the peer's half-close and urgent data.
const EVENTS: u32 =
    (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET) as u32;
/// Something may stand behind the last byte of a short read.
const ENDED: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR | libc::EPOLLPRI) as u32;
const READABLE: u32 = libc::EPOLLIN as u32 | ENDED;
const WRITABLE: u32 = (libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR) as u32;
/// The data of the bell's events; descriptors have it not, for they are not negative.
const BELL: u64 = u64::MAX;

/// The driver.
#[derive(Debug)]
pub(crate) struct Epoll {
    epoll: sys::epoll::Epoll,
    bell: Bell,
    /// What was asked since the last wait, in order.
    asked: Vec<Asked>,
    slots: Slots,
    interests: Interests,
    /// Lines that used up their share and go on at the next wait.
    carried: Vec<(RawFd, Side)>,
    jobs: Jobs,
    look: Look,
    events: Box<[libc::epoll_event]>,
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Submit(Token, Request),
    Cancel(Token),
}

impl Epoll {
    /// A driver that has `workers` do what blocks.
    pub(crate) fn new(workers: Arc<Workers>) -> io::Result<Self> {
        let epoll = sys::epoll::Epoll::new()?;
        let bell = Bell::new()?;
        // Edge-triggered, so each ring is news and nobody has to hush it.
        epoll.add(bell.as_raw_fd(), (libc::EPOLLIN | libc::EPOLLET) as u32, BELL)?;
        Ok(Self {
            epoll,
            jobs: Jobs::new(workers, bell.clone()),
            bell,
            asked: Vec::new(),
            slots: Slots::default(),
            interests: Interests::default(),
            carried: Vec::new(),
            look: Look::default(),
            events: vec![libc::epoll_event { events: 0, u64: 0 }; 256].into(),
        })
    }

    /// Goes on with the lines that were carried over, then performs what was asked.
    fn perform_all(&mut self, out: &mut Out<'_>) {
        for (fd, side) in std::mem::take(&mut self.carried) {
            self.interests.at(fd).line(side).carried = false;
            self.run(fd, side, out);
        }
        let mut asked = std::mem::take(&mut self.asked);
        for asked in asked.drain(..) {
            match asked {
                Asked::Submit(token, request) => self.perform(token, request, out),
                Asked::Cancel(token) => self.end(token, out),
            }
        }
        // Nothing here asks, so the list is empty and its memory serves the next turn.
        self.asked = asked;
    }

    fn perform(&mut self, token: Token, request: Request, out: &mut Out<'_>) {
        if request.fd().is_some_and(|fd| fd < 0) {
            return out.last(token, -libc::EBADF);
        }
        match request {
            Request::Nop => out.last(token, 0),
            Request::Close { fd } => self.close(token, fd, out),
            Request::Open { .. } | Request::Sync { .. } => {
                let slot = self.slots.insert(token, Operation::new(request));
                self.start(slot, out);
            }
            Request::Poll { fd, .. } => self.poll(token, fd, request, out),
            Request::Read { fd, .. } => self.line_up_file(token, fd, request, Side::Read, out),
            Request::Write { fd, .. } => self.line_up_file(token, fd, request, Side::Write, out),
            Request::Recv { fd, .. } | Request::Accept { fd, .. } => {
                self.line_up(token, fd, request, Side::Read, out);
            }
            Request::Send { fd, .. }
            | Request::SendMsg { fd, .. }
            | Request::Connect { fd, .. } => {
                self.line_up(token, fd, request, Side::Write, out);
            }
        }
    }

    fn line_up(
        &mut self,
        token: Token,
        fd: RawFd,
        request: Request,
        side: Side,
        out: &mut Out<'_>,
    ) {
        let slot = self.slots.insert(token, Operation::new(request));
        let line = self.interests.at(fd).line(side);
        line.waiting.push_back(slot);
        if line.waiting.len() == 1 && !line.drained && !line.carried {
            self.run(fd, side, out);
        }
    }

    /// Only epoll knows whether a descriptor can be waited for, so it is asked before the first try.
    fn line_up_file(
        &mut self,
        token: Token,
        fd: RawFd,
        request: Request,
        side: Side,
        out: &mut Out<'_>,
    ) {
        match self.register(fd) {
            Ok(_) => self.line_up(token, fd, request, side, out),
            Err(e) => out.last(token, perform::errno(e)),
        }
    }

    fn poll(&mut self, token: Token, fd: RawFd, request: Request, out: &mut Out<'_>) {
        let mut operation = Operation::new(request);
        if let Attempt::Done(result) = operation.attempt() {
            return out.last(token, result);
        }
        match self.register(fd) {
            Ok(Registration::Made) => {
                let slot = self.slots.insert(token, operation);
                self.interests.at(fd).polls.push(slot);
            }
            // What a regular file does not show at once it never shows.
            Ok(_) => out.last(token, -libc::EPERM),
            Err(e) => out.last(token, perform::errno(e)),
        }
    }

    /// Gets a line as far as it goes without waiting.
    fn run(&mut self, fd: RawFd, side: Side, out: &mut Out<'_>) {
        let mut share = SHARE;
        loop {
            let interest = self.interests.at(fd);
            let Some(&slot) = interest.line(side).waiting.front() else { return };
            if interest.registration == Registration::File {
                return self.start(slot, out);
            }
            match advance(self.slots.at(slot), interest, &mut share, out) {
                Progress::Ended => {
                    self.slots.remove(slot);
                    let line = interest.line(side);
                    line.waiting.pop_front();
                    if line.drained || line.waiting.is_empty() {
                        return;
                    }
                }
                Progress::Waits => return self.rest(fd, side, out),
                Progress::Tired => share = 0,
            }
            if share == 0 {
                self.interests.at(fd).line(side).carried = true;
                return self.carried.push((fd, side));
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
        for slot in std::mem::take(&mut self.interests.at(fd).line(side).waiting) {
            out.last(self.slots.remove(slot).token, error);
        }
    }

    /// Registers `fd` unless it is, and says what epoll thinks of it.
    fn register(&mut self, fd: RawFd) -> io::Result<Registration> {
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

    /// Has a worker do the request in `slot`, unless one is at it.
    fn start(&mut self, slot: u32, out: &mut Out<'_>) {
        let active = self.slots.at(slot);
        if active.job.is_some() {
            return;
        }
        match self.jobs.start(active.token, active.operation.request()) {
            Ok(job) => active.job = Some(job),
            Err(_refused) => {
                let token = active.token;
                self.finish(token, -libc::EAGAIN, out);
            }
        }
    }

    /// Books the end of a request that a worker did, and starts the next of its line.
    fn finish(&mut self, token: Token, result: i32, out: &mut Out<'_>) {
        out.last(token, result);
        if let Some((fd, side)) = self.forget(token) {
            self.run(fd, side, out);
        }
    }

    /// Ends a request because somebody asked for it; one that a worker has begun ends by itself.
    fn end(&mut self, token: Token, out: &mut Out<'_>) {
        let Some(active) = self.slots.get(token) else { return };
        let result = active.operation.cancelled();
        let job = active.job;
        if job.is_some_and(|job| !self.jobs.withdraw(job)) {
            return;
        }
        if job.is_some() {
            self.finish(token, result, out);
        } else {
            out.last(token, result);
            self.forget(token);
        }
    }

    /// Takes a request out of its slot and out of the line that it stood in, which it returns.
    fn forget(&mut self, token: Token) -> Option<(RawFd, Side)> {
        let slot = token.index();
        let request = self.slots.remove(slot).operation.request();
        let (fd, side) = match request {
            Request::Poll { fd, .. } => {
                self.interests.at(fd).polls.retain(|&poll| poll != slot);
                return None;
            }
            Request::Read { fd, .. } | Request::Recv { fd, .. } | Request::Accept { fd, .. } => {
                (fd, Side::Read)
            }
            Request::Write { fd, .. }
            | Request::Send { fd, .. }
            | Request::SendMsg { fd, .. }
            | Request::Connect { fd, .. } => (fd, Side::Write),
            Request::Nop | Request::Close { .. } | Request::Open { .. } | Request::Sync { .. } => {
                return None;
            }
        };
        self.interests.at(fd).line(side).waiting.retain(|&other| other != slot);
        Some((fd, side))
    }

    fn close(&mut self, token: Token, fd: RawFd, out: &mut Out<'_>) {
        if let Some(interest) = self.interests.remove(fd) {
            let waiting = interest.read.waiting.iter().chain(&interest.write.waiting);
            for &slot in waiting.chain(&interest.polls) {
                debug_assert!(false, "descriptor {fd} is closed while slot {slot} waits on it");
                out.last(self.slots.remove(slot).token, -libc::ECANCELED);
            }
            if interest.registration == Registration::Made {
                // A duplicate may keep the file open, and then close(2) would not unregister it. It
                // fails only if somebody closed the descriptor behind our back.
                let _ = self.epoll.remove(fd);
            }
        }
        out.last(token, perform::close(fd));
    }

    /// Hears what an edge says.
    fn hear(&mut self, event: libc::epoll_event, out: &mut Out<'_>) {
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

    fn settle_jobs(&mut self, out: &mut Out<'_>) {
        for (token, result) in self.jobs.take() {
            self.finish(token, result, out);
        }
    }

    /// How long to look at epoll; `None` for not at all.
    fn timeout(&mut self, until: Until, produced: bool) -> Option<Option<Duration>> {
        match until {
            Until::Instant(at) if !produced => {
                Some(Some(at.saturating_duration_since(Instant::now())))
            }
            Until::Event if !produced => Some(None),
            _ => self.look.is_due().then_some(Some(Duration::ZERO)),
        }
    }
}

impl Driver for Epoll {
    fn submit(&mut self, token: Token, request: Request) {
        self.asked.push(Asked::Submit(token, request));
    }

    fn cancel(&mut self, token: Token) {
        self.asked.push(Asked::Cancel(token));
    }

    fn wait(&mut self, until: Until, pool: &Pool, done: &mut Vec<Completion>) -> io::Result<()> {
        pool.collect();
        let before = done.len();
        let mut out = Out { pool, done };
        self.perform_all(&mut out);
        self.settle_jobs(&mut out);
        let produced = out.done.len() > before || !self.carried.is_empty();
        let Some(timeout) = self.timeout(until, produced) else { return Ok(()) };
        self.look = Look::default();
        let n = match self.epoll.wait(&mut self.events, timeout) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            result => result?,
        };
        for i in 0..n {
            self.hear(self.events[i], &mut out);
        }
        self.settle_jobs(&mut out);
        Ok(())
    }

    fn call(&mut self, call: Call<'_>) -> io::Result<i32> {
        perform::call(call)
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn bell(&self) -> Bell {
        self.bell.clone()
    }
}

/// When a driver that need not sleep looks at epoll: a look is a syscall, and there is other work.
#[derive(Debug, Default)]
struct Look {
    /// Waits without a look.
    skipped: u32,
    /// When the third of them was; a loop that alternates between work and sleep reads no clock.
    since: Option<Instant>,
}

impl Look {
    const TURNS: u32 = 61;
    const TIME: Duration = Duration::from_micros(200);

    fn is_due(&mut self) -> bool {
        self.skipped += 1;
        if self.skipped < 3 {
            return false;
        }
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        self.skipped >= Self::TURNS || now.duration_since(since) >= Self::TIME
    }
}
