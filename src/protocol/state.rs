//! What a transport of a byte stream and its pump know of a connection.

use std::cell::Cell;
use std::io;
use std::ops::Deref;
use std::panic::Location;

use super::any::AnyProtocol;
use super::base::{Base, Phase};
use crate::net::Link;
use crate::task::report_error;

/// Which ways a connection carries bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ways {
    Both,
    /// The read end of a pipe.
    In,
    /// The write end of a pipe.
    Out,
}

pub(super) struct State {
    base: Base,
    pub(super) link: Link,
    pub(super) ways: Ways,
    /// Whether what comes may be delivered.
    pub(super) reading: Cell<bool>,
    /// The protocol of the next callback.
    pub(super) next: Cell<Option<AnyProtocol>>,
    eof_written: Cell<bool>,
}

impl Deref for State {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl State {
    pub(super) fn new(link: Link, ways: Ways, made_at: &'static Location<'static>) -> Self {
        Self {
            base: Base::new(made_at),
            link,
            ways,
            reading: Cell::new(true),
            next: Cell::new(None),
            eof_written: Cell::new(ways == Ways::In),
        }
    }

    /// Takes something to send in: whether more than the high mark is buffered.
    #[inline]
    pub(super) fn write(&self, put: impl FnOnce(&Link) -> io::Result<()>) -> bool {
        if !self.is_open() || self.eof_written.get() {
            self.refuse();
            return false;
        }
        match put(&self.link) {
            Ok(()) => self.is_over(self.link.buffered()),
            Err(_) => {
                // The pump tells why.
                self.drop_write();
                self.wake_pump();
                false
            }
        }
    }

    #[cold]
    fn refuse(&self) {
        if !self.is_open() {
            self.drop_write();
        } else if self.ways == Ways::In {
            let error = "the bytes are dropped: there is nobody to read them";
            report_error("a write to the read end of a pipe", &error, self.made_at);
        } else {
            let error = "the bytes are dropped: write_eof() was called before";
            report_error("a write after the end of writing", &error, self.made_at);
        }
    }

    pub(super) fn write_eof(&self) {
        if self.ways == Ways::Out {
            // A pipe has no other way to tell its reader.
            self.close();
        } else if self.is_open() && !self.eof_written.replace(true) {
            // Where it fails the connection has gone, which is told to whoever receives.
            let _ = self.link.write_eof();
        }
    }

    pub(super) fn abort(&self) {
        if self.base.abort() {
            self.link.discard();
        }
    }

    pub(super) fn is_reading(&self) -> bool {
        self.is_open() && self.reading.get() && self.ways != Ways::Out
    }

    /// Bytes that are still to be sent, as far as anybody may care.
    pub(super) fn buffered(&self) -> usize {
        match self.phase.get() {
            Phase::Open | Phase::Closing => self.link.buffered(),
            Phase::Aborted | Phase::Lost => 0,
        }
    }
}
