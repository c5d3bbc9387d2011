//! The plain-syscall meaning of every [`Request`](crate::op::Request) and [`Call`](crate::op::Call).
//!
//! The results are the integers that io_uring gives for the same request; both drivers are held
//! against these files. Nothing here waits, with one exception: a [`Job`] does, on a worker's thread.
//!
//! ```text
//!   call       a Call, at once
//!   request    a Request: an Operation is tried, a Job is done however long it takes
//!   rest       what is left of a message that went out in part
//!   receive    a receive into the pool, which takes a buffer when bytes are there
//! ```
//!
//! A request's pointers are vouched for by whoever made it: they stay good until its terminal
//! completion (see [`Request`](crate::op::Request)). That, and that a driver performs a request only
//! before it hands out this completion, is what every SAFETY comment here leans on.

mod call;
mod receive;
mod request;
mod rest;

use std::io;
use std::os::fd::RawFd;

use crate::sys::file;

pub(super) use call::call;
pub(super) use receive::{Received, is_tcp, message, receive, receive_message, receive_two};
pub(super) use request::{Job, Operation, close};

/// What an attempt that did not wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The request is done: a count, a descriptor or `-errno`.
    Done(i32),
    /// It has to wait until the descriptor is readable or writable.
    NotReady,
}

fn attempt(result: io::Result<impl TryInto<i32>>) -> Attempt {
    match result {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Attempt::NotReady,
        result => Attempt::Done(count(result)),
    }
}

fn count(result: io::Result<impl TryInto<i32>>) -> i32 {
    // The kernel moves less than 2 GiB at once.
    result.map_or_else(errno, |n| n.try_into().unwrap_or(i32::MAX))
}

/// The error as a completion says it.
pub(super) fn errno(e: io::Error) -> i32 {
    -e.raw_os_error().unwrap_or(libc::EIO)
}

/// Again, as long as a signal comes between.
#[inline]
fn retry<T>(mut syscall: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match syscall() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// `EAGAIN` unless the descriptor shows `event`, an error or a hang-up.
fn ready(fd: RawFd, event: libc::c_short) -> io::Result<()> {
    match file::poll(fd, event as u32)? {
        0 => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
        _ => Ok(()),
    }
}
