//! The epoll driver: plain syscalls, tried first, and edges that say when to try again.
//!
//! What a request means is in [`perform`]; when to try it is decided here. Where an edge does not
//! come is in `uring-sys-notes/epoll-edges.md`.
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
mod lines;
mod look;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use self::advance::Out;
use self::interest::{Interests, Registration, Side};
use self::jobs::Jobs;
use self::look::Look;
use self::slots::Slots;
use super::perform::{self, Attempt, Operation};
use super::{Driver, Until};
use crate::buf::Pool;
use crate::op::{Call, Completion, Request, Token};
use crate::sys::sync::Arc;
use crate::sys::{self, Bell};
use crate::worker::Workers;

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
    carried: VecDeque<(RawFd, Side)>,
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
            carried: VecDeque::new(),
            look: Look::default(),
            events: vec![libc::epoll_event { events: 0, u64: 0 }; 256].into(),
        })
    }

    /// Goes on with the lines that were carried over, then performs what was asked.
    fn perform_all(&mut self, out: &mut Out<'_>) {
        for _ in 0..self.carried.len() {
            let Some((fd, side)) = self.carried.pop_front() else { break };
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
            // Only epoll knows whether a descriptor can be waited for, so it is asked before the
            // first try: what it refuses is a file, and workers do that.
            Request::Read { fd, .. } | Request::Write { fd, .. } => match self.register(fd) {
                Ok(_) => self.line_up(token, fd, request, out),
                Err(e) => out.last(token, perform::errno(e)),
            },
            Request::Recv { fd, .. }
            | Request::RecvMsg { fd }
            | Request::Accept { fd, .. }
            | Request::Send { fd, .. }
            | Request::SendMsg { fd, .. }
            | Request::Connect { fd, .. } => self.line_up(token, fd, request, out),
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
            // What a regular file does not show at once it never shows. io_uring says EINVAL.
            Ok(_) => out.last(token, -libc::EINVAL),
            Err(e) => out.last(token, perform::errno(e)),
        }
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

    /// Takes a request out of its slot and out of where it waits: the line, if it was one.
    fn forget(&mut self, token: Token) -> Option<(RawFd, Side)> {
        let slot = token.index();
        let request = self.slots.remove(slot).operation.request();
        let interest = self.interests.at(request.fd()?);
        let Some(side) = Side::of(&request) else {
            interest.polls.retain(|&poll| poll != slot);
            return None;
        };
        interest.line(side).waiting.retain(|&other| other != slot);
        Some((request.fd()?, side))
    }

    fn close(&mut self, token: Token, fd: RawFd, out: &mut Out<'_>) {
        if let Some(interest) = self.interests.remove(fd) {
            let waiting = interest.read.waiting.iter().chain(interest.write.waiting.iter());
            for &slot in waiting.chain(&interest.polls) {
                debug_assert!(false, "descriptor {fd} is closed while slot {slot} waits on it");
                out.last(self.slots.remove(slot).token, -libc::ECANCELED);
            }
            if interest.read.carried || interest.write.carried {
                // The number may come back within this wait, and its line be carried in its own right.
                self.carried.retain(|&(carried, _)| carried != fd);
            }
            if interest.registration == Registration::Made {
                // A duplicate may keep the file open, and then close(2) would not unregister it. It
                // fails only if somebody closed the descriptor behind our back.
                let _ = self.epoll.remove(fd);
            }
        }
        out.last(token, perform::close(fd));
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

    fn is_quiet(&mut self) -> bool {
        self.asked.is_empty()
            && self.carried.is_empty()
            && !self.jobs.any_ended()
            && !self.look.is_due()
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
