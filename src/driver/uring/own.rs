//! A ring that knows whose it is.
//!
//! A forked child inherits the descriptor, but not the mappings of the queues: they are kept out of
//! it (`uring-sys-notes/fork.md`). Unmapping them there would hit whatever stands in their place by
//! then, such as the child's own ring.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;

use io_uring::IoUring;

use crate::sys::file;
use crate::sys::fork::Process;

pub(super) struct OwnRing {
    ring: ManuallyDrop<IoUring>,
    process: Process,
}

impl OwnRing {
    pub(super) fn new(ring: IoUring) -> Self {
        Self { ring: ManuallyDrop::new(ring), process: Process::current() }
    }
}

impl Deref for OwnRing {
    type Target = IoUring;

    fn deref(&self) -> &IoUring {
        &self.ring
    }
}

impl DerefMut for OwnRing {
    fn deref_mut(&mut self) -> &mut IoUring {
        &mut self.ring
    }
}

impl Drop for OwnRing {
    fn drop(&mut self) {
        if self.process.is_foreign() {
            // Nothing to be done about an error: the parent's ring is as it was.
            let _ = file::close(self.ring.as_raw_fd());
        } else {
            // SAFETY: dropped here only, and never used again.
            unsafe { ManuallyDrop::drop(&mut self.ring) };
        }
    }
}
