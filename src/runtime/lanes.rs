//! The runtime's threads for calls that block: a pool for each kind, so that none starves another.

use std::io;

use super::core::{Core, ended};
use crate::sys::sync::Arc;
use crate::worker::Workers;

/// A kind of calls that block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lane {
    /// The user's. They may take for ever.
    Calls,
    /// Of names. A server that does not answer takes half a minute each.
    LookUps,
}

/// A pool a lane. Their threads are started when needed.
#[derive(Debug)]
pub(super) struct Lanes {
    /// The driver's: file I/O on epoll.
    pub(super) files: Arc<Workers>,
    pub(super) calls: Arc<Workers>,
    pub(super) look_ups: Arc<Workers>,
}

impl Lanes {
    /// Throws away what has not started, and waits for nothing.
    pub(super) fn close(&self) {
        for lane in [&self.files, &self.calls, &self.look_ups] {
            lane.close();
        }
    }
}

impl Core {
    /// The threads of a lane.
    ///
    /// # Errors
    ///
    /// The runtime ends or has ended, or this process was forked from its own.
    pub(crate) fn lane(&self, lane: Lane) -> io::Result<&Arc<Workers>> {
        if self.has_ended() || self.tasks().is_closed() {
            return Err(ended());
        }
        Ok(match lane {
            Lane::Calls => &self.lanes().calls,
            Lane::LookUps => &self.lanes().look_ups,
        })
    }
}
