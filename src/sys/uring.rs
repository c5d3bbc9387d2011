//! `io_uring_enter(2)` and `io_uring_register(2)`, as the driver needs them.
//!
//! The io-uring crate maps the rings and builds entries. Entering is our own: the crate's wrappers
//! do not publish the CQ head, forget the registered index of the ring, and do not ask for
//! completions on a DEFER_TASKRUN ring (`uring-sys-notes/enter.md`).
#![expect(unsafe_code, reason = "io_uring_enter(2), io_uring_register(2)")]

use std::io;
use std::os::fd::RawFd;

use super::fork::Process;
use super::{check, count};

pub(crate) const ENTER_GETEVENTS: u32 = 1 << 0;
pub(crate) const ENTER_EXT_ARG: u32 = 1 << 3;
pub(crate) const ENTER_REGISTERED_RING: u32 = 1 << 4;
/// Linux 6.12, announced together with MIN_TIMEOUT.
pub(crate) const ENTER_ABS_TIMER: u32 = 1 << 5;
/// Linux 6.15, announced as a feature.
pub(crate) const ENTER_NO_IOWAIT: u32 = 1 << 7;

const REGISTER_RING_FDS: u32 = 20;
const UNREGISTER_RING_FDS: u32 = 21;

/// `struct io_uring_getevents_arg`: how long an enter may wait.
#[repr(C)]
struct GetEventsArg {
    sigmask: u64,
    sigmask_sz: u32,
    min_wait_usec: u32,
    ts: u64,
}

/// `struct __kernel_timespec`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timespec {
    pub(crate) sec: i64,
    pub(crate) nsec: i64,
}

/// `struct io_uring_rsrc_update`, as `IORING_REGISTER_RING_FDS` takes it.
#[repr(C)]
struct RingFdUpdate {
    offset: u32,
    resv: u32,
    data: u64,
}

/// The time of `CLOCK_MONOTONIC`, the clock of absolute waits.
pub(crate) fn monotonic() -> io::Result<Timespec> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a writable timespec.
    check(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) })?;
    Ok(Timespec { sec: time.tv_sec, nsec: time.tv_nsec })
}

/// Hands over `to_submit` entries and waits for `want` completions, or until `time`.
///
/// # Errors
///
/// `ETIME` and `EINTR` come only when nothing was submitted; else the count is returned.
///
/// # Safety
///
/// `ring` is an io_uring (or its registered index, with the flag for it), and the memory that the
/// queued entries point to lives until their last completion.
pub(crate) unsafe fn enter(
    ring: RawFd,
    to_submit: u32,
    want: u32,
    flags: u32,
    time: Option<Timespec>,
) -> io::Result<u32> {
    count::one();
    let ret = if let Some(time) = time {
        let arg = GetEventsArg {
            sigmask: 0,
            sigmask_sz: 8,
            min_wait_usec: 0,
            ts: (&raw const time) as u64,
        };
        // SAFETY: EXT_ARG says that the argument is a getevents_arg of this size; it points to a
        // timespec on this stack frame, and the kernel copies both. The rest is the caller's.
        unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                ring,
                to_submit,
                want,
                flags | ENTER_EXT_ARG,
                &raw const arg,
                size_of::<GetEventsArg>(),
            )
        }
    } else {
        // SAFETY: without EXT_ARG the argument is a signal mask, null for none.
        unsafe {
            libc::syscall(libc::SYS_io_uring_enter, ring, to_submit, want, flags, 0usize, 0usize)
        }
    };
    check(ret as i32).map(|n| n as u32)
}

/// A ring's descriptor registered with this thread: a cheaper name to enter it by.
///
/// The registration keeps the ring alive, with all that is in flight, and a thread has 16 of them:
/// it is given back on drop (`uring-sys-notes/teardown.md`).
#[derive(Debug)]
pub(crate) struct RegisteredRing {
    ring: RawFd,
    index: u32,
    process: Process,
}

impl RegisteredRing {
    /// Registers `ring`, which outlives this. Since Linux 5.18.
    pub(crate) fn new(ring: RawFd) -> io::Result<Self> {
        let mut update = RingFdUpdate { offset: u32::MAX, resv: 0, data: ring as u64 };
        match register_ring(ring, REGISTER_RING_FDS, &mut update)? {
            1 => Ok(Self { ring, index: update.offset, process: Process::current() }),
            _ => Err(io::Error::other("the ring's descriptor was not registered")),
        }
    }

    /// What an enter with [`ENTER_REGISTERED_RING`] takes.
    pub(crate) fn index(&self) -> RawFd {
        self.index as RawFd
    }
}

impl Drop for RegisteredRing {
    fn drop(&mut self) {
        if self.process.is_foreign() {
            // A forked child inherits no registration: under this index it may have one of its own.
            return;
        }
        let mut update = RingFdUpdate { offset: self.index, resv: 0, data: 0 };
        // It fails only on another thread, and a runtime does not leave its own.
        let _ = register_ring(self.ring, UNREGISTER_RING_FDS, &mut update);
    }
}

fn register_ring(ring: RawFd, operation: u32, update: &mut RingFdUpdate) -> io::Result<i32> {
    count::one();
    // SAFETY: both operations take an array of one io_uring_rsrc_update, which they read and fill.
    let ret = unsafe {
        libc::syscall(libc::SYS_io_uring_register, ring, operation, &raw mut *update, 1u32)
    };
    check(ret as i32)
}
