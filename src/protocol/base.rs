//! What transports of either kind have: how far they have come, their marks, and their pump.

use std::cell::{Cell, OnceCell};
use std::convert::Infallible;
use std::io;
use std::panic::Location;
use std::task::Waker;

use crate::sync::{Event, oneshot};
use crate::task::report_error;

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

pub(super) struct Base {
    pub(super) phase: Cell<Phase>,
    pub(super) flow: Cell<Flow>,
    pub(super) low: Cell<usize>,
    high: Cell<usize>,
    /// Writes that came too late.
    dropped: Cell<u32>,
    /// Wakes the pump; empty before its first poll.
    pub(super) pump: OnceCell<Waker>,
    /// Whether the pump is at it, and looks by itself.
    pub(super) running: Cell<bool>,
    /// Whether `connection_made` has been called.
    pub(super) made: Cell<bool>,
    /// Set by whoever waits until it has returned; gone when it has, or the end has come before it.
    begun: Cell<Option<oneshot::Sender<Infallible>>>,
    /// Set when all callbacks have been.
    pub(super) ended: Event,
    pub(super) made_at: &'static Location<'static>,
}

impl Base {
    pub(super) fn new(made_at: &'static Location<'static>) -> Self {
        Self {
            phase: Cell::new(Phase::Open),
            flow: Cell::new(Flow::Free),
            low: Cell::new(HIGH / 4),
            high: Cell::new(HIGH),
            dropped: Cell::new(0),
            pump: OnceCell::new(),
            running: Cell::new(false),
            made: Cell::new(false),
            begun: Cell::new(None),
            ended: Event::new(),
            made_at,
        }
    }

    /// Waits until `connection_made` has returned, or the end has come before it. Once, and by whoever has
    /// just made the transport.
    pub(super) async fn begun(&self) {
        if self.phase.get() == Phase::Lost {
            // No task could be had for the pump.
            return;
        }
        let (begins, begun) = oneshot::channel();
        self.begun.set(Some(begins));
        let _ = begun.await;
    }

    /// Ends the wait for the beginning.
    pub(super) fn begin(&self) {
        drop(self.begun.take());
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase.get() == Phase::Open
    }

    /// Has the pump look, if it is not looking.
    pub(super) fn wake_pump(&self) {
        if !self.running.get()
            && let Some(pump) = self.pump.get()
        {
            pump.wake_by_ref();
        }
    }

    pub(super) fn close(&self) {
        if self.is_open() {
            self.phase.set(Phase::Closing);
            self.wake_pump();
        }
    }

    /// Whether there was something to abort.
    pub(super) fn abort(&self) -> bool {
        let is_there = matches!(self.phase.get(), Phase::Open | Phase::Closing);
        if is_there {
            self.phase.set(Phase::Aborted);
            self.wake_pump();
        }
        is_there
    }

    /// Whether `buffered` bytes are more than the high mark; then the protocol hears of it.
    pub(super) fn is_over(&self, buffered: usize) -> bool {
        let over = buffered > self.high.get();
        if over && self.flow.get() == Flow::Free {
            self.flow.set(Flow::Over);
            self.wake_pump();
        }
        over
    }

    pub(super) fn marks(&self) -> (usize, usize) {
        (self.low.get(), self.high.get())
    }

    pub(super) fn set_marks(
        &self,
        high: Option<usize>,
        low: Option<usize>,
        buffered: usize,
    ) -> io::Result<()> {
        let high = high.unwrap_or_else(|| low.map_or(HIGH, |low| low.saturating_mul(4)));
        let low = low.unwrap_or(high / 4);
        if low > high {
            let text = format!("the low mark ({low}) must not be above the high mark ({high})");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.low.set(low);
        self.high.set(high);
        if self.is_open() && !self.is_over(buffered) && self.flow.get() == Flow::Paused {
            self.wake_pump();
        }
        Ok(())
    }

    /// Counts a write that comes too late.
    #[cold]
    pub(super) fn drop_write(&self) {
        let dropped = self.dropped.get().saturating_add(1);
        self.dropped.set(dropped);
        if dropped > SILENT {
            let error = format!("the bytes of {dropped} writes were dropped");
            report_error("a write to a connection that is closed", &error, self.made_at);
        }
    }
}
