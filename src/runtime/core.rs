//! The core: what a runtime owns, and one turn of its loop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::inflight::{InFlight, Orphan, Settled, Waiting};
use super::metrics::Counters;
use super::sink::{Sink, Wakes};
use super::timers::{Key, Timers};
use crate::buf::{Pool, Spares};
use crate::driver::{Backend, Driver, Until};
use crate::op::{Call, Completion, Request, Token};
use crate::sys::fork::Process;
use crate::sys::sync::Arc;
use crate::task::{Ran, Tasks};
use crate::worker::Workers;

/// Polls in one turn, at most: I/O is never far away.
const POLLS_PER_TURN: usize = 1024;

/// Everything one runtime owns. Sockets, timers and futures hold it; it outlives the runtime as an
/// empty shell that answers "the runtime has ended".
pub(crate) struct Core {
    /// `None` once the runtime has ended.
    driver: RefCell<Option<Backend>>,
    tasks: Rc<Tasks>,
    inflight: RefCell<InFlight>,
    timers: RefCell<Timers<Alarm>>,
    pool: Pool,
    spares: Spares,
    workers: Arc<Workers>,
    /// Sinks that gathered writes in this turn.
    dirty: RefCell<Vec<Rc<dyn Sink>>>,
    /// Sinks that found no buffer, first come, first served.
    starved: RefCell<VecDeque<Rc<dyn Sink>>>,
    /// Outboxes that hold bytes.
    unsent: Cell<usize>,
    /// Set by `Handle::stop`, cleared by `run_forever`.
    stopped: Cell<bool>,
    counters: Counters,
    limits: Limits,
    totals: bool,
    scratch: RefCell<Scratch>,
    /// Set when everything in flight is asked to end: nothing new begins, but a close.
    ending: Cell<bool>,
    ended_at: Cell<Instant>,
    /// A forked child has a copy of all this, and must not use it.
    process: Process,
}

/// What the builder decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long the end of the runtime waits for outboxes and for the kernel.
    pub(crate) grace: Duration,
    /// How long a dropped stream may take to send what it had taken.
    pub(crate) linger: Duration,
}

/// Whom a timer tells.
enum Alarm {
    Wake(Waker),
    Sink(Weak<dyn Sink>),
}

/// Vectors that every turn uses again.
#[derive(Default)]
struct Scratch {
    done: Vec<Completion>,
    wakes: Wakes,
    due: Vec<Alarm>,
    flushing: Vec<Rc<dyn Sink>>,
}

impl Core {
    pub(super) fn new(
        driver: Backend,
        tasks: Rc<Tasks>,
        pool: Pool,
        workers: Arc<Workers>,
        limits: Limits,
    ) -> Rc<Self> {
        let now = driver.now();
        Rc::new(Self {
            totals: driver.totals(),
            driver: RefCell::new(Some(driver)),
            tasks,
            inflight: RefCell::default(),
            timers: RefCell::new(Timers::new(now)),
            pool,
            workers,
            spares: Spares::default(),
            dirty: RefCell::default(),
            starved: RefCell::default(),
            unsent: Cell::new(0),
            stopped: Cell::new(false),
            counters: Counters::new(),
            limits,
            scratch: RefCell::default(),
            ending: Cell::new(false),
            ended_at: Cell::new(now),
            process: Process::current(),
        })
    }

    // ---- requests ----

    /// Submits a request.
    ///
    /// # Errors
    ///
    /// The runtime has ended, or this process was forked from its own.
    pub(crate) fn submit(&self, request: Request, waiting: Waiting) -> io::Result<Token> {
        let mut driver = self.driver.borrow_mut();
        let driver = driver.as_mut().ok_or_else(ended)?;
        if self.is_foreign() {
            return Err(forked());
        }
        if self.ending.get() && !matches!(request, Request::Close { .. }) {
            return Err(ended());
        }
        let token = self.inflight.borrow_mut().insert(waiting);
        driver.submit(token, request);
        Ok(token)
    }

    /// Asks a request to end early.
    pub(crate) fn cancel(&self, token: Token) {
        if self.is_foreign() {
            let gone = self.inflight.borrow_mut().abandon(token);
            drop(gone);
        } else if let Some(driver) = self.driver.borrow_mut().as_mut() {
            driver.cancel(token);
        }
    }

    /// Does a control call.
    ///
    /// # Errors
    ///
    /// The call's own, or the runtime has ended, or this process was forked from its own.
    pub(crate) fn call(&self, call: Call<'_>) -> io::Result<i32> {
        if self.is_foreign() {
            return Err(forked());
        }
        self.driver.borrow_mut().as_mut().ok_or_else(ended)?.call(call)
    }

    /// The result of a future's request, if it is there; else `waker` is kept.
    pub(super) fn take(&self, token: Token, waker: &Waker) -> Option<Completion> {
        self.inflight.borrow_mut().take(token, waker)
    }

    /// Leaves a dropped future's operation to itself and asks it to end.
    pub(super) fn orphan(&self, token: Token, orphan: Box<dyn Orphan>) {
        let done = self.inflight.borrow_mut().orphan(token, orphan);
        match done {
            Some((orphan, completion)) => orphan.complete(completion),
            None => self.cancel(token),
        }
    }

    /// `sink.flush` is called before the next wait.
    pub(crate) fn mark_dirty(&self, sink: Rc<dyn Sink>) {
        self.dirty.borrow_mut().push(sink);
    }

    /// `sink.rearm` is called when there are buffers, or when it must do without.
    pub(crate) fn mark_starved(&self, sink: Rc<dyn Sink>) {
        self.starved.borrow_mut().push_back(sink);
    }

    /// Counts outboxes that hold bytes: the end of the runtime waits for them.
    pub(crate) fn outbox_filled(&self) {
        self.unsent.set(self.unsent.get() + 1);
    }

    /// The other half of [`outbox_filled`](Self::outbox_filled).
    pub(crate) fn outbox_emptied(&self) {
        self.unsent.set(self.unsent.get() - 1);
    }

    /// Runs `job` on a thread of the pool.
    ///
    /// # Errors
    ///
    /// The runtime has ended, or no thread can be had.
    pub(crate) fn block(&self, job: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if self.has_ended() {
            return Err(ended());
        }
        let refused =
            |_| io::Error::new(io::ErrorKind::WouldBlock, "no thread for a blocking call");
        self.workers.submit(job).map(drop).map_err(refused)
    }

    // ---- time ----

    /// The driver's clock; the moment of its end once the runtime has ended.
    pub(crate) fn now(&self) -> Instant {
        self.driver.borrow().as_ref().map_or_else(|| self.ended_at.get(), Driver::now)
    }

    /// Wakes `waker` at `deadline`.
    pub(crate) fn set_timer(&self, deadline: Instant, waker: Waker) -> Key {
        self.timers.borrow_mut().insert(deadline, Alarm::Wake(waker))
    }

    /// Calls `sink.alarm` at `deadline`.
    pub(crate) fn set_alarm(&self, deadline: Instant, sink: Weak<dyn Sink>) -> Key {
        self.timers.borrow_mut().insert(deadline, Alarm::Sink(sink))
    }

    /// Changes whom a timer wakes. False: it has fired.
    pub(crate) fn update_timer(&self, key: Key, waker: &Waker) -> bool {
        let old = match self.timers.borrow_mut().get_mut(key) {
            None => return false,
            Some(Alarm::Wake(old)) if old.will_wake(waker) => None,
            Some(alarm) => Some(std::mem::replace(alarm, Alarm::Wake(waker.clone()))),
        };
        // User code, with nothing borrowed.
        drop(old);
        true
    }

    /// Forgets a timer.
    pub(crate) fn clear_timer(&self, key: Key) {
        let alarm = self.timers.borrow_mut().remove(key);
        drop(alarm);
    }

    // ---- what is shared ----

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn spares(&self) -> &Spares {
        &self.spares
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether a multishot receive ends by itself at its total.
    pub(crate) fn totals(&self) -> bool {
        self.totals
    }

    /// Whether nothing will ever come of it in this process.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_closed() || self.is_foreign()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.driver.borrow().is_none()
    }

    /// Whether this process was forked from the one that runs it.
    pub(super) fn is_foreign(&self) -> bool {
        self.process.is_foreign()
    }

    pub(super) fn tasks(&self) -> &Rc<Tasks> {
        &self.tasks
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn in_flight(&self) -> usize {
        self.inflight.borrow().len()
    }

    pub(super) fn live_timers(&self) -> usize {
        self.timers.borrow().len()
    }

    pub(super) fn unsent(&self) -> usize {
        self.unsent.get()
    }

    pub(super) fn stop(&self) {
        self.stopped.set(true);
        self.tasks.wake_root();
    }

    pub(super) fn take_stopped(&self) -> bool {
        self.stopped.take()
    }

    // ---- the loop ----

    /// One turn: polls, flushes, waits (until `deadline` at the latest), settles.
    ///
    /// # Errors
    ///
    /// The driver's wait failed: the loop cannot go on.
    pub(super) fn turn(
        &self,
        deadline: Option<Instant>,
        poll_root: impl FnMut(&mut Context<'_>) -> bool,
    ) -> io::Result<Ran> {
        self.counters.turn();
        let ran = self.tasks.run(POLLS_PER_TURN, poll_root);
        self.flush();
        self.rearm();
        let until = match ran {
            Ran::RootEnded => Until::Now,
            Ran::All => self.until(deadline),
        };
        let mail = self.tasks.home().mail();
        let asleep = until != Until::Now && mail.fall_asleep();
        let mut done = std::mem::take(&mut self.scratch.borrow_mut().done);
        let waited = self.wait(if asleep { until } else { Until::Now }, &mut done);
        if asleep {
            mail.wake_up();
        }
        self.settle(&mut done);
        self.scratch.borrow_mut().done = done;
        waited?;
        self.expire();
        if mail.pending() {
            self.tasks.collect_mail();
        }
        Ok(ran)
    }

    fn wait(&self, until: Until, done: &mut Vec<Completion>) -> io::Result<()> {
        if self.is_foreign() {
            return Err(forked());
        }
        let mut driver = self.driver.borrow_mut();
        driver.as_mut().ok_or_else(ended)?.wait(until, &self.pool, done)
    }

    fn until(&self, deadline: Option<Instant>) -> Until {
        if !self.tasks.is_idle() || !self.dirty.borrow().is_empty() {
            return Until::Now;
        }
        match (self.timers.borrow().next(), deadline) {
            (Some(a), Some(b)) => Until::Instant(a.min(b)),
            (Some(one), None) | (None, Some(one)) => Until::Instant(one),
            (None, None) => Until::Event,
        }
    }

    fn flush(&self) {
        let mut flushing = std::mem::take(&mut self.scratch.borrow_mut().flushing);
        std::mem::swap(&mut flushing, &mut self.dirty.borrow_mut());
        flushing.drain(..).for_each(Sink::flush);
        self.scratch.borrow_mut().flushing = flushing;
    }

    /// Lets starved sinks receive again: as many as there are buffers, and all of them, one by one
    /// into the heap, when every buffer is lent.
    fn rearm(&self) {
        if self.starved.borrow().is_empty() {
            return;
        }
        self.pool.collect();
        let waiting = self.starved.borrow().len();
        let turns = if self.pool.exhausted() { waiting } else { self.pool.available() };
        for _ in 0..turns.min(waiting) {
            let sink = self.starved.borrow_mut().pop_front();
            sink.into_iter().for_each(Sink::rearm);
        }
    }

    /// Takes completions in; wakes when nothing is borrowed any more.
    fn settle(&self, done: &mut Vec<Completion>) {
        if done.is_empty() {
            return;
        }
        self.counters.completed(done.len());
        let mut wakes = std::mem::take(&mut self.scratch.borrow_mut().wakes);
        for completion in done.drain(..) {
            debug_assert_ne!(completion.result, -libc::EFAULT, "the kernel met freed memory");
            let settled = self.inflight.borrow_mut().settle(completion);
            match settled {
                Settled::Nothing => {}
                Settled::Wake(waker) => wakes.push(waker),
                Settled::Sink(sink, role) => sink.settle(role, completion, &mut wakes),
                Settled::Orphan(orphan) => orphan.complete(completion),
                Settled::Stray => self.counters.stray(),
            }
        }
        wake_all(&mut wakes);
        self.scratch.borrow_mut().wakes = wakes;
    }

    /// Wakes what is due. Reads the clock only when there is a timer.
    fn expire(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = self.now();
        let mut due = std::mem::take(&mut self.scratch.borrow_mut().due);
        self.timers.borrow_mut().expire(now, &mut due);
        let mut wakes = std::mem::take(&mut self.scratch.borrow_mut().wakes);
        for alarm in due.drain(..) {
            match alarm {
                Alarm::Wake(waker) => wakes.push(waker),
                Alarm::Sink(sink) => {
                    if let Some(sink) = sink.upgrade() {
                        sink.alarm(&mut wakes);
                    }
                }
            }
        }
        wake_all(&mut wakes);
        let mut scratch = self.scratch.borrow_mut();
        scratch.due = due;
        scratch.wakes = wakes;
    }

    // ---- the end ----

    /// Asks everything in flight to end, and begins nothing any more.
    pub(super) fn cancel_all(&self) {
        self.ending.set(true);
        let pending = self.inflight.borrow().pending();
        for token in pending {
            self.cancel(token);
        }
    }

    /// Lets go of whoever waits for buffers or a flush.
    pub(super) fn forget_waiting(&self) {
        let starved = std::mem::take(&mut *self.starved.borrow_mut());
        let dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        drop((starved, dirty));
    }

    /// Closes the driver. What is still in flight is leaked, never freed; returns how much it was.
    pub(super) fn close(&self) -> usize {
        self.ended_at.set(self.now());
        // The kernel writes into the memory of the process that asked, not into a child's copy.
        let leaked = if self.is_foreign() { 0 } else { self.in_flight() };
        let inflight = self.inflight.take();
        if leaked > 0 {
            self.pool.leak();
            std::mem::forget(inflight);
        }
        let now = self.ended_at.get();
        let timers = self.timers.replace(Timers::new(now));
        let driver = self.driver.borrow_mut().take();
        drop(driver);
        // User code: wakers. Nothing is borrowed.
        drop(timers);
        leaked
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("tasks", &self.tasks).finish_non_exhaustive()
    }
}

/// Wakes in order. A waker that is not ours may panic: that is its own affair.
fn wake_all(wakes: &mut Wakes) {
    for waker in wakes.drain(..) {
        crate::task::wake(waker);
    }
}

/// What everything answers that outlived its runtime.
pub(crate) fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the ringloop runtime of this object has ended")
}

fn forked() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this process was forked from the one that runs this ringloop runtime; \
         build a new runtime here",
    )
}
