//! A descriptor that is closed through the driver.

use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;

use super::core::Core;
use super::inflight::Waiting;
use crate::op::{Call, Request};
use crate::sys;

/// An owned descriptor of one runtime.
///
/// Requests on it hold its owner, so it is dropped, and then closed, only after their last
/// completion: `close(2)` ends nothing that is in flight (`uring-sys-notes/close.md`). Closing never
/// calls `shutdown(2)`; the open description may be shared with a child or another process.
pub(crate) struct Fd {
    raw: RawFd,
    core: Rc<Core>,
}

impl Fd {
    /// Takes over a descriptor that a call or a completion has just made.
    pub(crate) fn new(raw: RawFd, core: Rc<Core>) -> Self {
        debug_assert!(raw >= 0, "a descriptor is not negative");
        if let Some(watcher) = core.watcher() {
            watcher.opened(raw);
        }
        Self { raw, core }
    }

    /// `socket(2)`.
    pub(crate) fn socket(core: &Rc<Core>, domain: i32, kind: i32) -> io::Result<Self> {
        let raw = core.call(Call::Socket { domain, kind, protocol: 0 })?;
        Ok(Self::new(raw, core.clone()))
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.raw
    }

    pub(crate) fn core(&self) -> &Rc<Core> {
        &self.core
    }

    /// `shutdown(2)` of writing, once the runtime has ended: nothing of it is on this descriptor any more.
    pub(crate) fn end_writing(&self) {
        if !self.core.is_foreign() {
            let _ = sys::socket::shutdown(self.raw, libc::SHUT_WR);
        }
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        if let Some(watcher) = self.core.watcher() {
            watcher.closed(self.raw);
        }
        if self.core.submit(Request::Close { fd: self.raw }, Waiting::Nobody).is_err() {
            // The runtime has ended: nothing of it is on this descriptor any more.
            let _ = sys::file::close(self.raw);
        }
    }
}

impl std::fmt::Debug for Fd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fd({})", self.raw)
    }
}
