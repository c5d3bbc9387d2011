//! The callbacks by name, and what becomes of their panics.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

use crate::task::report_caught;

/// Which user code runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Callback {
    ConnectionMade,
    DataReceived,
    GetBuffer,
    BufferUpdated,
    EofReceived,
    DatagramReceived,
    ErrorReceived,
    PauseWriting,
    ResumeWriting,
    ConnectionLost,
    Drop,
}

impl Callback {
    const fn panicked(self) -> &'static str {
        match self {
            Self::ConnectionMade => "connection_made panicked",
            Self::DataReceived => "data_received panicked",
            Self::GetBuffer => "get_buffer panicked",
            Self::BufferUpdated => "buffer_updated panicked",
            Self::EofReceived => "eof_received panicked",
            Self::DatagramReceived => "datagram_received panicked",
            Self::ErrorReceived => "error_received panicked",
            Self::PauseWriting => "pause_writing panicked",
            Self::ResumeWriting => "resume_writing panicked",
            Self::ConnectionLost => "connection_lost panicked",
            Self::Drop => "the drop of a protocol panicked",
        }
    }

    /// Tells its panic, which becomes the error of its connection.
    #[cold]
    pub(super) fn caught(
        self,
        payload: Box<dyn Any + Send>,
        made_at: &'static Location<'static>,
    ) -> io::Error {
        let what = self.panicked();
        let text = report_caught(what, payload, made_at);
        io::Error::other(format!("{what}: {text}"))
    }

    /// Runs it where there is no connection to end any more.
    pub(super) fn contain(self, made_at: &'static Location<'static>, run: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
            self.caught(payload, made_at);
        }
    }
}
