//! What a transport of a byte stream and its pump know of a connection.

use std::cell::Cell;
use std::io;
use std::ops::Deref;
use std::panic::Location;

use super::any::AnyProtocol;
use super::base::{Base, Phase};
use crate::net::Link;
use crate::task::report_error;

pub(super) struct State {
    base: Base,
    pub(super) link: Link,
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
    pub(super) fn new(link: Link, made_at: &'static Location<'static>) -> Self {
        Self {
            base: Base::new(made_at),
            link,
            reading: Cell::new(true),
            next: Cell::new(None),
            eof_written: Cell::new(false),
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
        if self.is_open() {
            let error = "the bytes are dropped: write_eof() was called before";
            report_error("a write after the end of writing", &error, self.made_at);
        } else {
            self.drop_write();
        }
    }

    pub(super) fn write_eof(&self) {
        if self.is_open() && !self.eof_written.replace(true) {
            // Where it fails the connection has gone, which is told to whoever receives.
            let _ = self.link.write_eof();
        }
    }

    pub(super) fn abort(&self) {
        if self.base.abort() {
            self.link.discard();
        }
    }

    /// Bytes that are still to be sent, as far as anybody may care.
    pub(super) fn buffered(&self) -> usize {
        match self.phase.get() {
            Phase::Open | Phase::Closing => self.link.buffered(),
            Phase::Aborted | Phase::Lost => 0,
        }
    }
}
