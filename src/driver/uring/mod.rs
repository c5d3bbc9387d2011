//! The io_uring driver.
//!
//! ```text
//!   submit, cancel ──► SQ (overflow queue behind it) ──┐
//!   pool's free buffers ──► provided ring ─────────────┤
//!                                                      ▼
//!                              one io_uring_enter: hand over, run task work, sleep
//!                                                      │
//!   done ◄── sweep: copy every CQE, publish the head ◄─┘
//! ```
//!
//! The ring is made in the thread that runs it and entered by no other (`DEFER_TASKRUN`,
//! `uring-sys-notes/defer-taskrun.md`).
#![expect(unsafe_code, reason = "queues entries that point into memory of their owners")]

mod cancels;
mod caps;
mod emulate;
mod encode;
mod messages;
mod own;
mod probe;
mod provided;
mod quiet;
mod setup;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use io_uring::{cqueue, squeue};

use super::{Driver, Until, perform};
use crate::buf::Pool;
use crate::op::{Call, Completion, Flags, Request, Token};
use crate::sys::uring::{
    self as enter, ENTER_ABS_TIMER, ENTER_GETEVENTS, ENTER_NO_IOWAIT, ENTER_REGISTERED_RING,
    RegisteredRing, Timespec,
};
use crate::sys::{Bell, uring};
use crate::testing;
use cancels::Cancels;
pub(crate) use caps::Caps;
use emulate::Emulated;
use own::OwnRing;
use provided::Provided;
use quiet::Quiet;
pub(crate) use setup::Refused;

/// Who is not there: a cancel for it misses, and its answers are nobody's.
const NOBODY: u64 = u64::MAX - 1;
/// The poll of the bell.
const BELL: u64 = u64::MAX;

/// A turn that has nothing to hand over does not enter; every so many it does all the same.
const ENTER_EVERY: u32 = 61;

/// How often a sweep may find the kernel's overflow list filled again before the turn goes on
/// (`uring-sys-notes/cq-overflow.md`).
const FLUSHES: usize = 16;

/// How long a kernel without memory for a request is left alone.
const OUT_OF_MEMORY_PAUSE: Duration = Duration::from_millis(1);

/// An io_uring, and what waits to get into it.
pub(crate) struct Uring {
    /// Dropped first: it needs the ring's descriptor, and keeps the ring alive.
    _registered: Option<RegisteredRing>,
    ring: OwnRing,
    /// What `io_uring_enter` takes: the registered index, or the descriptor.
    handle: RawFd,
    /// The flags of every enter.
    flags: u32,
    /// Entries that found the submission queue full, cancels among them, in order
    /// (`uring-sys-notes/sq-full.md`).
    overflow: VecDeque<squeue::Entry>,
    /// `None` on kernels without multishot receives, where those are emulated.
    provided: Option<Provided>,
    /// `None` until the first request needs it.
    messages: Option<Provided>,
    pool: Pool,
    emulated: Emulated,
    cancels: Cancels,
    quiet: Quiet,
    caps: Caps,
    bell: Bell,
    bell_armed: bool,
    /// Waits since the last enter.
    skipped: u32,
    /// One moment on both clocks: ours and the kernel's.
    base: (Instant, Timespec),
}

impl Uring {
    /// Sets up a ring on this thread and tries it out, using no more than `most`. The sentence says
    /// which ring it is.
    ///
    /// # Errors
    ///
    /// [`Refused`]: why there is none to be had, and whether epoll may be tried instead.
    pub(super) fn new(pool: &Pool, most: Caps) -> Result<(Self, String), Refused> {
        let (ring, rung) = setup::ring(most)?;
        let fd = ring.as_raw_fd();
        // Before 5.18, or without room for one more, the descriptor does as well.
        let registered = if most.has(Caps::RING_FD) { RegisteredRing::new(fd).ok() } else { None };
        let (handle, by) = match &registered {
            Some(registered) => (registered.index(), ENTER_REGISTERED_RING),
            None => (fd, 0),
        };
        let mut flags = ENTER_GETEVENTS | by;
        if most.has(Caps::NO_IOWAIT) && ring.params().is_feature_no_iowait() {
            flags |= ENTER_NO_IOWAIT;
        }
        // Both came with Linux 6.12.
        if most.has(Caps::ABS_TIMER) && ring.params().is_feature_min_timeout() {
            flags |= ENTER_ABS_TIMER;
        }
        // Before 6.1, which brought DEFER_TASKRUN too, a send that went in part could say EAGAIN.
        let quiet = most.has(Caps::SKIP_SUCCESS)
            && rung.has(Caps::DEFER_TASKRUN)
            && ring.params().is_feature_skip_cqe_on_success();
        let now = Instant::now();
        let mut this = Self {
            _registered: registered,
            handle,
            flags,
            overflow: VecDeque::new(),
            provided: None,
            messages: None,
            pool: pool.clone(),
            emulated: Emulated::default(),
            cancels: Cancels::default(),
            quiet: Quiet::new(quiet),
            caps: most,
            bell: Bell::new().map_err(|e| Refused::by("eventfd", e))?,
            bell_armed: false,
            skipped: 0,
            base: (now, uring::monotonic().map_err(|e| Refused::by("clock_gettime", e))?),
            ring: OwnRing::new(ring),
        };
        if let Err(refused) = probe::probe(&mut this, pool) {
            // The ring is closed, so nothing fills the buffers that it had, and epoll needs them all.
            drop(this);
            pool.untake_all();
            return Err(refused);
        }
        let lacks = if this.emulates() {
            ", multishot emulated (before Linux 6.0)"
        } else if !this.caps.has(Caps::TOTALS) {
            ", without receive totals (before Linux 6.17)"
        } else {
            ""
        };
        let shrunk = setup::shrunk(this.ring.params());
        Ok((this, format!("io_uring with {}{lacks}{shrunk}", rung.name)))
    }

    /// Whether `Recv::total` is obeyed; else a paused socket must receive one-shot.
    pub(super) fn totals(&self) -> bool {
        self.caps.has(Caps::TOTALS) || self.emulates()
    }

    /// Whether it is a ring from before Linux 6.0, whose multishot requests are emulated.
    pub(super) fn emulates(&self) -> bool {
        !self.caps.has(Caps::MULTISHOT)
    }

    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: the request's owner keeps what the entry points to until the terminal completion:
        // that is the contract of `Request`.
        if !self.overflow.is_empty() || unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.overflow.push_back(entry);
        }
    }

    /// Moves what overflowed into the queue, as far as there is room.
    fn refill(&mut self) {
        let mut queue = self.ring.submission();
        while let Some(entry) = self.overflow.front() {
            // SAFETY: as in `push`.
            if unsafe { queue.push(entry) }.is_err() {
                break;
            }
            self.overflow.pop_front();
        }
    }

    fn arm_bell(&mut self) {
        if !self.bell_armed {
            self.bell_armed = true;
            let multi = self.caps.has(Caps::MULTI_POLL);
            self.push(encode::readable(self.bell.as_raw_fd(), multi).user_data(BELL));
        }
    }

    /// Goes on with the requests that are emulated; those that wait get a poll.
    fn pump(&mut self, pool: &Pool, done: &mut Vec<Completion>) {
        while !self.emulated.is_idle()
            && let Some((fd, data)) = self.emulated.pump(pool, done)
        {
            self.push(encode::readable(fd, false).user_data(data));
        }
    }

    /// Hands over the queue and sleeps as `until` says. At most one enter, unless the queue
    /// overflowed or the kernel took only a part.
    fn enter(&mut self, until: Until) -> io::Result<()> {
        loop {
            self.refill();
            let pending = !self.ring.completion().is_empty();
            let queue = self.ring.submission();
            let to_submit = queue.len() as u32;
            let behind = queue.taskrun() || queue.cq_overflow();
            drop(queue);
            let sleep = until != Until::Now && !pending && self.overflow.is_empty();
            if to_submit == 0 && !sleep && !behind && self.skipped < ENTER_EVERY {
                self.skipped += 1;
                return Ok(());
            }
            self.skipped = 0;
            let time = match until {
                Until::Instant(instant) if sleep => Some(self.kernel_time(instant)),
                _ => None,
            };
            match self.enter_once(to_submit, u32::from(sleep), time) {
                // Everything is in: a queue that overflowed goes on with what is left of it.
                Ok(n) if n == to_submit && self.overflow.is_empty() => return Ok(()),
                Ok(0) if to_submit > 0 => return Ok(()),
                Ok(_) => {}
                Err(e) if is_shortage(&e) => {
                    // No memory for a request now.
                    let time = self.kernel_time(Instant::now() + OUT_OF_MEMORY_PAUSE);
                    let paused = self.enter_once(0, 1, Some(time));
                    if paused.as_ref().is_err_and(is_shortage) {
                        // Not even for that, and the loop must not spin.
                        std::thread::sleep(OUT_OF_MEMORY_PAUSE);
                    }
                    return passing(paused);
                }
                other => return passing(other),
            }
        }
    }

    fn enter_once(&self, to_submit: u32, want: u32, time: Option<Timespec>) -> io::Result<u32> {
        testing::before_enter()?;
        // SAFETY: the handle is this ring's; what queued entries point to is kept by the contract of
        // `Request`. The CQ head was published when the last sweep dropped its queue.
        unsafe { enter::enter(self.handle, to_submit, want, self.flags, time) }
    }

    /// `instant` as the enter takes it: absolute where the kernel can, else what is left.
    fn kernel_time(&self, instant: Instant) -> Timespec {
        if self.flags & ENTER_ABS_TIMER == 0 {
            let left = instant.saturating_duration_since(Instant::now());
            return Timespec {
                sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                nsec: i64::from(left.subsec_nanos()),
            };
        }
        // The kernel's half of `base` was read last, so the sum is never early.
        let (ours, theirs) = self.base;
        let after = instant.saturating_duration_since(ours);
        let nanos = theirs.nsec + i64::from(after.subsec_nanos());
        let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
        Timespec {
            sec: theirs.sec.saturating_add(seconds).saturating_add(nanos / 1_000_000_000),
            nsec: nanos % 1_000_000_000,
        }
    }

    /// Copies every CQE and publishes the head.
    fn sweep(&mut self, done: &mut Vec<Completion>) {
        let mut rings = 0;
        for cqe in self.ring.completion() {
            match cqe.user_data() {
                NOBODY => {}
                data if self.emulated.hear(data) => {}
                BELL => {
                    rings += 1;
                    self.bell_armed = cqueue::more(cqe.flags());
                    // Before 5.13 a multishot poll is a bad argument.
                    if cqe.result() == -libc::EINVAL {
                        self.caps = self.caps.without(Caps::MULTI_POLL);
                    }
                }
                data => {
                    if let Some(token) = cancels::answered(data) {
                        self.cancels.hear(token, cqe.result());
                        continue;
                    }
                    let token = Token::from_user_data(data);
                    // Receives carry flags; a send has none.
                    if cqe.flags() == 0 {
                        self.quiet.hear(token);
                    }
                    let result = known(cqe.result());
                    done.push(Completion { token, result, flags: Flags::from_cqe(cqe.flags()) });
                }
            }
        }
        if rings > 0 && !self.caps.has(Caps::MULTI_POLL) {
            // A one-shot poll would fire at once on a bell that still rings.
            self.bell.hush();
        }
    }
}

fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM))
}

/// Lets errors pass that do not last. What is queued stays queued, and the next turn tries again;
/// `EBUSY` says that the overflow list is full, and the sweep that follows makes room.
fn passing(entered: io::Result<u32>) -> io::Result<()> {
    const PASS: [i32; 5] = [libc::ETIME, libc::EINTR, libc::EBUSY, libc::EAGAIN, libc::ENOMEM];
    match entered {
        Err(e) if !e.raw_os_error().is_some_and(|errno| PASS.contains(&errno)) => Err(e),
        _ => Ok(()),
    }
}

/// A cancelled operation of the kernel's workers may end with an errno that no syscall shows
/// (`ERESTARTSYS` and its kin): it was interrupted because somebody asked for it.
fn known(result: i32) -> i32 {
    if (-516..=-512).contains(&result) { -libc::ECANCELED } else { result }
}

impl Driver for Uring {
    fn submit(&mut self, token: Token, request: Request) {
        if self.must_emulate(&request) {
            return self.emulated.insert(token, request);
        }
        let entry = match request {
            Request::Send { fd, ptr, len, quiet: true } if self.quiet.admit(token, len) => {
                encode::quiet_send(fd, ptr, len)
            }
            _ => encode::entry(&request, self.caps.has(Caps::TOTALS)),
        };
        self.push(entry.user_data(token.user_data()));
    }

    fn cancel(&mut self, token: Token) {
        // A poll of ours that is not found is back, and then its request ends.
        if let Some(data) = self.emulated.cancel(token) {
            return self.push(encode::cancel(data).user_data(NOBODY));
        }
        let answer = self.cancels.ask(token);
        let data = if testing::misses() { NOBODY } else { token.user_data() };
        self.push(encode::cancel(data).user_data(answer));
    }

    fn wait(&mut self, until: Until, pool: &Pool, done: &mut Vec<Completion>) -> io::Result<()> {
        pool.collect();
        if let Some(provided) = &mut self.provided {
            provided.publish(pool);
        }
        self.publish_messages();
        self.arm_bell();
        let before = done.len();
        self.pump(pool, done);
        for token in self.cancels.due() {
            self.push(encode::cancel(token.user_data()).user_data(cancels::answer(token)));
        }
        let until = if done.len() > before { Until::Now } else { self.cancels.limit(until) };
        self.enter(until)?;
        self.sweep(done);
        for _ in 0..FLUSHES {
            if !self.ring.submission().cq_overflow() {
                break;
            }
            passing(self.enter_once(0, 0, None))?;
            self.sweep(done);
        }
        let queue = self.ring.submission();
        let all_in = queue.is_empty() && self.overflow.is_empty() && !queue.cq_overflow();
        drop(queue);
        if all_in {
            self.quiet.answer(done);
        }
        self.pump(pool, done);
        self.cancels.settle(&done[before..]);
        Ok(())
    }

    /// Buffers that came back are not asked for: a receive that finds none says so, and that is news.
    fn is_quiet(&mut self) -> bool {
        if self.skipped >= ENTER_EVERY || !self.ring.completion().is_empty() {
            return false;
        }
        let queue = self.ring.submission();
        let quiet = queue.is_empty()
            && !queue.taskrun()
            && !queue.cq_overflow()
            && self.bell_armed
            && self.overflow.is_empty()
            && self.emulated.is_idle()
            && self.cancels.is_quiet()
            && self.quiet.is_empty();
        self.skipped += u32::from(quiet);
        quiet
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

impl std::fmt::Debug for Uring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uring")
            .field("fd", &self.ring.as_raw_fd())
            .field("overflow", &self.overflow.len())
            .finish_non_exhaustive()
    }
}
