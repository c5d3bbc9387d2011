//! The bell: an `eventfd(2)` that any thread rings to end a shard's sleep; `uring-sys-notes/bell.md`.
#![expect(unsafe_code, reason = "eventfd(2) and write(2)")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::{check, count};

/// A handle to ring with. The descriptor lives as long as any handle, so a late ring is harmless.
#[derive(Clone, Debug)]
pub(crate) struct Bell(Arc<OwnedFd>);

impl Bell {
    /// A new, silent bell.
    pub(crate) fn new() -> io::Result<Self> {
        count::one();
        // SAFETY: eventfd takes two integers.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the kernel just gave us this descriptor; nobody else has it.
        Ok(Self(Arc::new(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Ends the sleep of the shard that listens.
    pub(crate) fn ring(&self) {
        count::one();
        let one = 1u64;
        // SAFETY: `one` is eight readable bytes, which is what an eventfd takes. It fails only when
        // the counter is full, and then the bell has been rung.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Makes it silent again, for a driver whose interest is not edge-triggered.
    pub(crate) fn hush(&self) {
        count::one();
        let mut rings = 0u64;
        // SAFETY: `rings` is eight writable bytes, which is what an eventfd fills. A silent bell
        // answers EAGAIN.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut rings).cast(), 8) };
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
