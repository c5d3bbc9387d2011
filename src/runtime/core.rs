//! The core: what a runtime owns, and what everything above asks of it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::alarms::Alarm;
use super::awake::Awake;
use super::context::is_current;
use super::inflight::{InFlight, Left, Orphan, Taken, Waiting};
use super::lanes::Lanes;
use super::metrics::Counters;
use super::sink::{Sink, Wakes};
use super::timers::Timers;
use super::watch::Watcher;
use crate::buf::{Pool, Spares};
use crate::driver::{Backend, Driver};
use crate::op::{Call, Completion, Request, Token};
use crate::sys::fork::Process;
use crate::task::{CancelToken, Tasks, discard};

/// Everything one runtime owns. Sockets, timers and futures hold it; it outlives the runtime as an
/// empty shell that answers "the runtime has ended".
pub(crate) struct Core {
    /// `None` once the runtime has ended.
    pub(super) driver: RefCell<Option<Backend>>,
    pub(super) tasks: Rc<Tasks>,
    pub(super) inflight: RefCell<InFlight>,
    pub(super) timers: RefCell<Timers<Alarm>>,
    pub(super) pool: Pool,
    spares: Spares,
    lanes: Lanes,
    /// Sinks that gathered writes in this turn.
    pub(super) dirty: RefCell<Vec<Rc<dyn Sink>>>,
    /// Sinks that found no buffer, first come, first served.
    pub(super) starved: RefCell<VecDeque<Rc<dyn Sink>>>,
    /// Outboxes that hold bytes.
    unsent: Cell<usize>,
    /// Set by `Handle::stop`, cleared by `run_forever`.
    stopped: Cell<bool>,
    /// Cancelled when the end comes. Made for whoever asks first.
    pub(super) root: OnceCell<CancelToken>,
    /// Set near the end: what has not been submitted by then never is.
    pub(super) closing: Cell<bool>,
    /// Set by each turn: whether it belongs to the runtime's life and not to its end.
    pub(super) may_be_quiet: Cell<bool>,
    pub(super) counters: Counters,
    limits: Limits,
    totals: bool,
    pub(super) awake: Awake,
    /// In debug mode.
    watcher: Option<Watcher>,
    /// What the last wait brought, until it is settled.
    pub(super) done: RefCell<Vec<Completion>>,
    pub(super) scratch: RefCell<Scratch>,
    pub(super) ended_at: Cell<Instant>,
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
    /// Whether bytes may go by calls of their own.
    pub(crate) direct: bool,
    /// How long a loop with nothing to do stays awake; `None`: as long as it pays.
    pub(crate) spin: Option<Duration>,
    /// Whether SIGINT interrupts a main future that may be interrupted.
    pub(crate) ctrl_c: bool,
}

/// Vectors that every turn uses again.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) wakes: Wakes,
    pub(super) due: Vec<Alarm>,
    pub(super) flushing: Vec<Rc<dyn Sink>>,
}

impl Core {
    pub(super) fn new(
        driver: Backend,
        tasks: Rc<Tasks>,
        pool: Pool,
        lanes: Lanes,
        limits: Limits,
        watcher: Option<Watcher>,
    ) -> Rc<Self> {
        let now = driver.now();
        let spin = limits.spin.or_else(|| (!driver.shows_news()).then_some(Duration::ZERO));
        Rc::new(Self {
            totals: driver.totals(),
            driver: RefCell::new(Some(driver)),
            tasks,
            inflight: RefCell::default(),
            timers: RefCell::new(Timers::new(now)),
            pool,
            lanes,
            spares: Spares::default(),
            dirty: RefCell::default(),
            starved: RefCell::default(),
            unsent: Cell::new(0),
            stopped: Cell::new(false),
            root: OnceCell::new(),
            closing: Cell::new(false),
            may_be_quiet: Cell::new(false),
            counters: Counters::new(),
            limits: Limits { spin, ..limits },
            awake: Awake::default(),
            watcher,
            done: RefCell::default(),
            scratch: RefCell::default(),
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
        if self.closing.get() && !matches!(request, Request::Close { .. }) {
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

    /// A call that moves bytes past the driver's queue: how many.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub(crate) fn call_directly(&self, call: Call<'_>) -> io::Result<usize> {
        self.counters.direct();
        self.call(call).map(|len| len as usize)
    }

    /// The result of a future's request, if it is there; else `waker` is kept.
    ///
    /// # Errors
    ///
    /// The runtime has ended.
    pub(super) fn take(&self, token: Token, waker: &Waker) -> io::Result<Option<Completion>> {
        // Outside of the borrow: cloning and dropping wakers is user code.
        let mut waker = Some(waker.clone());
        let taken = self.inflight.borrow_mut().take(token, &mut waker);
        discard(waker);
        match taken {
            Taken::Done(completion) => Ok(Some(completion)),
            Taken::Waits => self.may_wait().map(|()| None),
            Taken::Lost => Err(ended()),
        }
    }

    /// Leaves a dropped future's operation to itself and asks it to end.
    pub(super) fn orphan(&self, token: Token, orphan: Box<dyn Orphan>) {
        // Taken out of the borrow first: what is dropped here may be user code.
        let left = self.inflight.borrow_mut().orphan(token, orphan);
        match left {
            Left::Done(orphan, completion) => orphan.complete(completion),
            Left::InFlight(waker) => {
                self.cancel(token);
                discard(waker);
            }
            Left::Lost(orphan) => std::mem::forget(orphan),
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

    // ---- what is shared ----

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn spares(&self) -> &Spares {
        &self.spares
    }

    pub(super) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether a send may end unnoticed until the next event: not while the end waits for it.
    pub(crate) fn may_be_quiet(&self) -> bool {
        self.may_be_quiet.get()
    }

    /// Whether a multishot receive ends by itself at its total.
    pub(crate) fn totals(&self) -> bool {
        self.totals
    }

    /// Whether nothing will ever come of it in this process.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_closed() || self.is_foreign()
    }

    /// Whether a future may wait for something of this runtime here and now.
    ///
    /// # Errors
    ///
    /// It has ended, this process was forked from its own, or another one runs on this thread, or
    /// none: then nothing would ever come.
    pub(crate) fn may_wait(&self) -> io::Result<()> {
        if self.is_foreign() {
            return Err(forked());
        }
        if self.is_closed() {
            return Err(ended());
        }
        if is_current(self) { Ok(()) } else { Err(elsewhere()) }
    }

    /// Whether a future may begin something here and now: it may wait, and the end has not come.
    ///
    /// # Errors
    ///
    /// As [`may_wait`](Self::may_wait).
    pub(crate) fn may_begin(&self) -> io::Result<()> {
        self.may_wait()?;
        if self.closing.get() { Err(ended()) } else { Ok(()) }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.driver.borrow().is_none()
    }

    /// Whether this process was forked from the one that runs it.
    pub(crate) fn is_foreign(&self) -> bool {
        self.process.is_foreign()
    }

    pub(super) fn watcher(&self) -> Option<&Watcher> {
        self.watcher.as_ref()
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
        self.drop_forgotten();
        self.timers.borrow().len()
    }

    pub(super) fn unsent(&self) -> usize {
        self.unsent.get()
    }

    pub(super) fn stop(&self) {
        self.stopped.set(true);
        self.tasks.wake_root();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    pub(super) fn take_stopped(&self) -> bool {
        self.stopped.take()
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("tasks", &self.tasks).finish_non_exhaustive()
    }
}

/// What everything answers that outlived its runtime.
pub(super) fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the ringloop runtime of this object has ended")
}

fn elsewhere() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "this object belongs to a ringloop runtime that does not run here and now; \
         use it within that one's block_on",
    )
}

pub(super) fn forked() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this process was forked from the one that runs this ringloop runtime; \
         build a new runtime here",
    )
}
