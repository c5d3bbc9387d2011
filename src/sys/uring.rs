//! `io_uring_enter(2)` and `io_uring_register(2)`, as the driver needs them.
//!
//! The io-uring crate maps the rings and builds entries. Entering is our own: the crate's wrappers
//! do not publish the CQ head, forget the registered index of the ring, and do not ask for
//! completions on a DEFER_TASKRUN ring (`uring-sys-notes/enter.md`).
#![expect(unsafe_code, reason = "io_uring_enter(2), io_uring_register(2)")]

use std::io;
use std::os::fd::RawFd;

use super::{check, count};

pub(crate) const ENTER_GETEVENTS: u32 = 1 << 0;
pub(crate) const ENTER_EXT_ARG: u32 = 1 << 3;
pub(crate) const ENTER_REGISTERED_RING: u32 = 1 << 4;
/// Linux 6.12, announced together with MIN_TIMEOUT.
pub(crate) const ENTER_ABS_TIMER: u32 = 1 << 5;
/// Linux 6.15, announced as a feature.
pub(crate) const ENTER_NO_IOWAIT: u32 = 1 << 7;

const REGISTER_RING_FDS: u32 = 20;

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

/// Registers the ring's own descriptor with this thread: the index to enter by.
pub(crate) fn register_ring_fd(ring: RawFd) -> io::Result<RawFd> {
    let mut update = RingFdUpdate { offset: u32::MAX, resv: 0, data: ring as u64 };
    count::one();
    // SAFETY: the operation takes an array of one io_uring_rsrc_update, which it reads and fills.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            ring,
            REGISTER_RING_FDS,
            &raw mut update,
            1u32,
        )
    };
    match check(ret as i32)? {
        1 => Ok(update.offset as RawFd),
        _ => Err(io::Error::other("the ring's descriptor was not registered")),
    }
}
