//! What a transport and its pump know of a connection.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::panic::Location;
use std::task::{Context, Poll, Waker, ready};

use super::any::AnyProtocol;
use crate::net::Link;
use crate::note::{self, On};
use crate::task::{poll_proceed, report_error, spend, wake};

/// The high mark, where none is set: asyncio's.
const HIGH: usize = 64 * 1024;

/// So many writes to a lost connection are dropped in silence.
const SILENT: u32 = 4;

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Open,
    /// Set by a close, and by the peer's end: what was written is sent, nothing is received.
    Closing,
    /// Set by an abort: the end is to be told.
    Aborted,
    /// The end is told, or was.
    Lost,
}

/// What a protocol knows of its buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    Free,
    /// Set above the high mark: it is to be told.
    Over,
    /// It was told to pause; cleared at or below the low mark, when it is told to resume.
    Paused,
}

pub(super) struct State {
    pub(super) link: Link,
    pub(super) phase: Cell<Phase>,
    pub(super) flow: Cell<Flow>,
    /// Whether what comes may be delivered.
    pub(super) reading: Cell<bool>,
    /// Whether `connection_made` has been called.
    pub(super) made: Cell<bool>,
    /// Whether all callbacks have been.
    pub(super) ended: Cell<bool>,
    /// The protocol of the next callback.
    pub(super) next: Cell<Option<AnyProtocol>>,
    pub(super) low: Cell<usize>,
    high: Cell<usize>,
    eof_written: Cell<bool>,
    /// Writes that came too late.
    dropped: Cell<u32>,
    /// Wakes the pump; empty before its first poll.
    pub(super) pump: OnceCell<Waker>,
    /// Whether the pump is at it, and looks by itself.
    pub(super) running: Cell<bool>,
    /// Those who wait for the beginning or the end.
    waiting: RefCell<Vec<Waker>>,
    pub(super) made_at: &'static Location<'static>,
}

impl State {
    pub(super) fn new(link: Link, made_at: &'static Location<'static>) -> Self {
        Self {
            link,
            phase: Cell::new(Phase::Open),
            flow: Cell::new(Flow::Free),
            reading: Cell::new(true),
            made: Cell::new(false),
            ended: Cell::new(false),
            next: Cell::new(None),
            low: Cell::new(HIGH / 4),
            high: Cell::new(HIGH),
            eof_written: Cell::new(false),
            dropped: Cell::new(0),
            pump: OnceCell::new(),
            running: Cell::new(false),
            waiting: RefCell::default(),
            made_at,
        }
    }

    /// Has the pump look, if it is not looking.
    pub(super) fn wake_pump(&self) {
        if !self.running.get()
            && let Some(pump) = self.pump.get()
        {
            pump.wake_by_ref();
        }
    }

    /// Takes something to send in: whether more than the high mark is buffered.
    #[inline]
    pub(super) fn write(&self, put: impl FnOnce(&Link) -> io::Result<()>) -> bool {
        if self.phase.get() != Phase::Open || self.eof_written.get() {
            self.refuse();
            return false;
        }
        match put(&self.link) {
            Ok(()) => self.look_at_marks(),
            Err(_) => {
                // The pump tells why.
                self.drop_write();
                self.wake_pump();
                false
            }
        }
    }

    /// Whether more than the high mark is buffered; then the protocol hears of it.
    pub(super) fn look_at_marks(&self) -> bool {
        let over = self.link.buffered() > self.high.get();
        if over && self.flow.get() == Flow::Free {
            self.flow.set(Flow::Over);
            self.wake_pump();
        }
        over
    }

    #[cold]
    fn refuse(&self) {
        if self.phase.get() == Phase::Open {
            let error = "the bytes are dropped: write_eof() was called before";
            report_error("a write after the end of writing", &error, self.made_at);
        } else {
            self.drop_write();
        }
    }

    #[cold]
    fn drop_write(&self) {
        let dropped = self.dropped.get().saturating_add(1);
        self.dropped.set(dropped);
        if dropped > SILENT {
            let error = format!("the bytes of {dropped} writes were dropped");
            report_error("a write to a connection that is closed", &error, self.made_at);
        }
    }

    pub(super) fn write_eof(&self) {
        if self.phase.get() == Phase::Open && !self.eof_written.replace(true) {
            // Where it fails the connection has gone, which is told to whoever receives.
            let _ = self.link.write_eof();
        }
    }

    pub(super) fn close(&self) {
        if self.phase.get() == Phase::Open {
            self.phase.set(Phase::Closing);
            self.wake_pump();
        }
    }

    pub(super) fn abort(&self) {
        if matches!(self.phase.get(), Phase::Open | Phase::Closing) {
            self.phase.set(Phase::Aborted);
            self.link.discard();
            self.wake_pump();
        }
    }

    /// Bytes that are still to be sent, as far as anybody may care.
    pub(super) fn buffered(&self) -> usize {
        match self.phase.get() {
            Phase::Open | Phase::Closing => self.link.buffered(),
            Phase::Aborted | Phase::Lost => 0,
        }
    }

    pub(super) fn marks(&self) -> (usize, usize) {
        (self.low.get(), self.high.get())
    }

    pub(super) fn set_marks(&self, high: Option<usize>, low: Option<usize>) -> io::Result<()> {
        let high = high.unwrap_or_else(|| low.map_or(HIGH, |low| low.saturating_mul(4)));
        let low = low.unwrap_or(high / 4);
        if low > high {
            let text = format!("the low mark ({low}) must not be above the high mark ({high})");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.low.set(low);
        self.high.set(high);
        if self.phase.get() == Phase::Open && !self.look_at_marks() && self.flow.get() != Flow::Free
        {
            self.wake_pump();
        }
        Ok(())
    }

    /// Waits until `connection_made` has returned, or the end.
    pub(super) fn poll_made(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_for(cx, "connection_made", self.made.get())
    }

    /// Waits until `connection_lost` has returned, and the descriptor is gone.
    pub(super) fn poll_lost(&self, cx: &Context<'_>) -> Poll<()> {
        ready!(self.poll_for(cx, "connection_lost", false));
        self.link.poll_closed(cx).map(drop)
    }

    fn poll_for(&self, cx: &Context<'_>, what: &'static str, come: bool) -> Poll<()> {
        ready!(poll_proceed(cx));
        if come || self.ended.get() {
            spend();
            return Poll::Ready(());
        }
        // Its clone is user code.
        let waker = cx.waker().clone();
        let known = self.waiting.borrow().iter().any(|old| old.will_wake(&waker));
        if !known {
            self.waiting.borrow_mut().push(waker);
        }
        note::waits(what, On::Nothing);
        Poll::Pending
    }

    /// Wakes those who wait for the beginning or the end.
    pub(super) fn tell_waiting(&self) {
        self.waiting.take().into_iter().for_each(wake);
    }
}
