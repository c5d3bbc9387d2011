//! Every syscall that is not a [`Request`](crate::op::Request), as a thin safe function.
//!
//! Nothing here keeps state but [`count`], which counts what this thread asked of the kernel, and
//! [`signal`], for a process has one handler a signal.

mod addr;
pub(crate) mod affinity;
mod bell;
pub(crate) mod count;
pub(crate) mod datagram;
pub(crate) mod epoll;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod names;
pub(crate) mod path;
pub(crate) mod pipe;
pub(crate) mod rights;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod sync;
pub(crate) mod uring;
pub(crate) mod usage;

pub(crate) use addr::SockAddr;
pub(crate) use bell::Bell;

/// Whether the environment asks for debug mode: `RINGLOOP_DEBUG` that is unset, empty or `0` is no.
pub(crate) fn is_debug_asked_for() -> bool {
    std::env::var_os("RINGLOOP_DEBUG").is_some_and(|value| !value.is_empty() && value != "0")
}

use std::io;

/// Turns a libc return value of `-1` into the thread's `errno`.
fn check(ret: i32) -> io::Result<i32> {
    if ret == -1 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// [`check`] for calls that return a length.
fn check_len(ret: isize) -> io::Result<usize> {
    usize::try_from(ret).map_err(|_| io::Error::last_os_error())
}
