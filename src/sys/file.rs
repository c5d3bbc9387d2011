//! Descriptor and file syscalls.
#![expect(unsafe_code, reason = "pread(2), openat(2), fcntl(2), poll(2) and their kin")]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::{check, check_len, count};
use crate::testing;

/// Takes ownership of a descriptor that a syscall has just made.
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass the fresh result of a syscall of this module's neighbours, or of a
    // completion that made it; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Borrows the descriptor that `owner` keeps open.
pub(crate) fn borrow<T>(fd: RawFd, _owner: &T) -> BorrowedFd<'_> {
    // SAFETY: callers pass a descriptor that `owner` owns, and it is borrowed for as long.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Gives up ownership of a descriptor.
pub(crate) fn into_raw(fd: OwnedFd) -> RawFd {
    fd.into_raw_fd()
}

/// `close(2)`. Whatever it answers, the descriptor is gone.
pub(crate) fn close(fd: RawFd) -> io::Result<i32> {
    count::one();
    // SAFETY: one integer; the caller owns the descriptor.
    check(unsafe { libc::close(fd) })
}

/// Sets or clears `O_NONBLOCK`.
pub(crate) fn set_nonblocking(fd: RawFd, on: bool) -> io::Result<i32> {
    count::one();
    // SAFETY: F_GETFL takes no argument.
    let old = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    let new = if on { old | libc::O_NONBLOCK } else { old & !libc::O_NONBLOCK };
    if new == old {
        return Ok(0);
    }
    count::one();
    // SAFETY: F_SETFL takes an integer.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, new) })
}

/// `fchmod(2)`.
pub(crate) fn set_mode(fd: RawFd, mode: u32) -> io::Result<i32> {
    count::one();
    // SAFETY: two integers.
    check(unsafe { libc::fchmod(fd, mode) })
}

/// A duplicate, close-on-exec.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<RawFd> {
    count::one();
    // SAFETY: F_DUPFD_CLOEXEC takes an integer.
    check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })
}

/// `openat(2)` from the working directory, close-on-exec.
///
/// # Safety
///
/// `path` is a C string.
pub(crate) unsafe fn open(path: *const libc::c_char, flags: i32, mode: u32) -> io::Result<RawFd> {
    count::one();
    // SAFETY: passed on to the caller.
    check(unsafe { libc::openat(libc::AT_FDCWD, path, flags | libc::O_CLOEXEC, mode) })
}

/// `pread(2)`, or `read(2)` where `offset` is `None`.
///
/// # Safety
///
/// `ptr` is writable for `len` bytes.
pub(crate) unsafe fn read(
    fd: RawFd,
    ptr: *mut u8,
    len: usize,
    offset: Option<u64>,
) -> io::Result<usize> {
    count::one();
    check_len(match offset {
        // SAFETY: passed on to the caller.
        Some(offset) => unsafe { libc::pread(fd, ptr.cast(), len, offset as libc::off_t) },
        // SAFETY: passed on to the caller.
        None => unsafe { libc::read(fd, ptr.cast(), len) },
    })
}

/// `pwrite(2)`, or `write(2)` where `offset` is `None`.
///
/// # Safety
///
/// `ptr` is readable for `len` bytes.
pub(crate) unsafe fn write(
    fd: RawFd,
    ptr: *const u8,
    len: usize,
    offset: Option<u64>,
) -> io::Result<usize> {
    count::one();
    check_len(match offset {
        // SAFETY: passed on to the caller.
        Some(offset) => unsafe { libc::pwrite(fd, ptr.cast(), len, offset as libc::off_t) },
        // SAFETY: passed on to the caller.
        None => unsafe { libc::write(fd, ptr.cast(), len) },
    })
}

/// [`read`] that never waits, whatever the descriptor's flags: `EAGAIN` instead. `EOPNOTSUPP` where
/// the kernel cannot promise that for this file.
///
/// # Safety
///
/// `ptr` is writable for `len` bytes.
pub(crate) unsafe fn read_now(
    fd: RawFd,
    ptr: *mut u8,
    len: usize,
    offset: Option<u64>,
) -> io::Result<usize> {
    let slice = libc::iovec { iov_base: ptr.cast(), iov_len: len };
    count::one();
    // SAFETY: `slice` is one iovec; what it names is passed on to the caller.
    check_len(unsafe { libc::preadv2(fd, &raw const slice, 1, at(offset), libc::RWF_NOWAIT) })
}

/// [`read_now`] into a slice.
pub(crate) fn read_slice_now(fd: RawFd, into: &mut [u8], offset: u64) -> io::Result<usize> {
    if let Some(answer) = testing::read_now() {
        return answer;
    }
    // SAFETY: a slice is writable for its length.
    unsafe { read_now(fd, into.as_mut_ptr(), into.len(), Some(offset)) }
}

/// [`write()`] that never waits, whatever the descriptor's flags: `EAGAIN` instead. `EOPNOTSUPP` where
/// the kernel cannot promise that for this file.
///
/// # Safety
///
/// `ptr` is readable for `len` bytes.
pub(crate) unsafe fn write_now(
    fd: RawFd,
    ptr: *const u8,
    len: usize,
    offset: Option<u64>,
) -> io::Result<usize> {
    let slice = libc::iovec { iov_base: ptr.cast_mut().cast(), iov_len: len };
    count::one();
    // SAFETY: `slice` is one iovec, which a write only reads; what it names is passed on to the
    // caller.
    check_len(unsafe { libc::pwritev2(fd, &raw const slice, 1, at(offset), libc::RWF_NOWAIT) })
}

/// Whether the kernel can promise for this stream, which is empty, what [`read_now`] asks for.
#[cfg(test)]
pub(crate) fn never_has_to_wait(fd: RawFd) -> bool {
    let mut byte = 0;
    // SAFETY: a byte is writable for its length.
    let read = unsafe { read_now(fd, &raw mut byte, 1, None) };
    read.err().is_none_or(|e| e.raw_os_error() != Some(libc::EOPNOTSUPP))
}

/// How preadv2 and pwritev2 say "at the file's own position".
fn at(offset: Option<u64>) -> libc::off_t {
    offset.map_or(-1, |offset| offset as libc::off_t)
}

/// `fsync(2)`, or `fdatasync(2)` where `data_only`.
pub(crate) fn sync(fd: RawFd, data_only: bool) -> io::Result<i32> {
    count::one();
    if data_only {
        // SAFETY: one integer.
        check(unsafe { libc::fdatasync(fd) })
    } else {
        // SAFETY: one integer.
        check(unsafe { libc::fsync(fd) })
    }
}

/// `poll(2)` of one descriptor without waiting: what it shows, 0 for nothing.
pub(crate) fn poll(fd: RawFd, events: u32) -> io::Result<u32> {
    count::one();
    let mut poll = libc::pollfd { fd, events: events as libc::c_short, revents: 0 };
    // SAFETY: `poll` is one pollfd.
    check(unsafe { libc::poll(&raw mut poll, 1, 0) })?;
    Ok(u32::from(poll.revents as u16))
}
