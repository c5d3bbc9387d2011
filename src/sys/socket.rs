//! Socket syscalls that answer at once.
#![expect(unsafe_code, reason = "socket(2), bind(2), setsockopt(2) and their kin")]

use std::io;
use std::os::fd::RawFd;

use super::{SockAddr, check, check_len, count};

const NEW: i32 = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;

/// `socket(2)`, close-on-exec and non-blocking.
pub(crate) fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<RawFd> {
    count::one();
    // SAFETY: three integers.
    check(unsafe { libc::socket(domain, kind | NEW, protocol) })
}

/// `socketpair(2)` of Unix sockets, close-on-exec and non-blocking.
pub(crate) fn pair(kind: i32, fds: &mut [RawFd; 2]) -> io::Result<i32> {
    count::one();
    // SAFETY: `fds` is room for two descriptors.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind | NEW, 0, fds.as_mut_ptr()) })
}

/// `bind(2)`.
pub(crate) fn bind(fd: RawFd, address: &SockAddr) -> io::Result<i32> {
    count::one();
    // SAFETY: the address is readable for its length.
    check(unsafe { libc::bind(fd, address.as_ptr(), address.len()) })
}

/// `listen(2)`.
pub(crate) fn listen(fd: RawFd, backlog: i32) -> io::Result<i32> {
    count::one();
    // SAFETY: two integers.
    check(unsafe { libc::listen(fd, backlog) })
}

/// `connect(2)`.
///
/// # Safety
///
/// `address` is readable for `len` bytes.
pub(crate) unsafe fn connect(
    fd: RawFd,
    address: *const libc::sockaddr,
    len: u32,
) -> io::Result<i32> {
    count::one();
    // SAFETY: passed on to the caller.
    check(unsafe { libc::connect(fd, address, len) })
}

/// `accept4(2)`, close-on-exec and non-blocking, without the address.
pub(crate) fn accept(fd: RawFd) -> io::Result<RawFd> {
    count::one();
    // SAFETY: null pointers say that no address is wanted.
    check(unsafe { libc::accept4(fd, std::ptr::null_mut(), std::ptr::null_mut(), NEW) })
}

/// `getsockname(2)`.
pub(crate) fn local_addr(fd: RawFd, address: &mut SockAddr) -> io::Result<i32> {
    count::one();
    let (storage, len) = address.as_out();
    // SAFETY: `storage` has room for `*len` bytes.
    check(unsafe { libc::getsockname(fd, storage, len) })
}

/// `getpeername(2)`.
pub(crate) fn peer_addr(fd: RawFd, address: &mut SockAddr) -> io::Result<i32> {
    count::one();
    let (storage, len) = address.as_out();
    // SAFETY: `storage` has room for `*len` bytes.
    check(unsafe { libc::getpeername(fd, storage, len) })
}

/// `setsockopt(2)`.
pub(crate) fn set_option(fd: RawFd, level: i32, name: i32, value: &[u8]) -> io::Result<i32> {
    count::one();
    // SAFETY: the value is readable for its length.
    check(unsafe {
        libc::setsockopt(fd, level, name, value.as_ptr().cast(), value.len() as libc::socklen_t)
    })
}

/// `getsockopt(2)`: how many bytes it filled.
pub(crate) fn option(fd: RawFd, level: i32, name: i32, value: &mut [u8]) -> io::Result<i32> {
    count::one();
    let mut len = value.len() as libc::socklen_t;
    // SAFETY: the value is writable for `len` bytes.
    check(unsafe { libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut len) })?;
    Ok(len as i32)
}

/// `shutdown(2)`.
pub(crate) fn shutdown(fd: RawFd, how: i32) -> io::Result<i32> {
    count::one();
    // SAFETY: two integers.
    check(unsafe { libc::shutdown(fd, how) })
}

/// `recv(2)`, never waiting.
///
/// # Safety
///
/// `ptr` is writable for `len` bytes.
pub(crate) unsafe fn recv(fd: RawFd, ptr: *mut u8, len: usize) -> io::Result<usize> {
    count::one();
    // SAFETY: passed on to the caller.
    check_len(unsafe { libc::recv(fd, ptr.cast(), len, libc::MSG_DONTWAIT) })
}

/// [`recv`] into two pieces of memory, the second when the first is full.
///
/// # Safety
///
/// Both are writable for `len` bytes.
pub(crate) unsafe fn recv_two(fd: RawFd, ptrs: [*mut u8; 2], len: usize) -> io::Result<usize> {
    count::one();
    let mut slices = ptrs.map(|ptr| libc::iovec { iov_base: ptr.cast(), iov_len: len });
    // SAFETY: all zeros is a valid msghdr, of no name and no control messages.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = slices.as_mut_ptr();
    message.msg_iovlen = slices.len();
    // SAFETY: the header names only the slices on this frame, and those the caller's memory.
    check_len(unsafe { libc::recvmsg(fd, &raw mut message, libc::MSG_DONTWAIT) })
}

/// [`recv`] into a slice.
pub(crate) fn recv_slice(fd: RawFd, into: &mut [u8]) -> io::Result<usize> {
    // SAFETY: a slice is writable for its length.
    unsafe { recv(fd, into.as_mut_ptr(), into.len()) }
}

/// `send(2)`, never waiting and never raising SIGPIPE.
///
/// # Safety
///
/// `ptr` is readable for `len` bytes.
pub(crate) unsafe fn send(fd: RawFd, ptr: *const u8, len: usize) -> io::Result<usize> {
    count::one();
    // SAFETY: passed on to the caller.
    check_len(unsafe { libc::send(fd, ptr.cast(), len, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) })
}

/// [`send`] of a slice.
pub(crate) fn send_slice(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: a slice is readable for its length.
    unsafe { send(fd, bytes.as_ptr(), bytes.len()) }
}

/// `sendmsg(2)`, never waiting and never raising SIGPIPE.
///
/// # Safety
///
/// `message` and everything it points to is readable.
pub(crate) unsafe fn send_message(fd: RawFd, message: *const libc::msghdr) -> io::Result<usize> {
    count::one();
    // SAFETY: passed on to the caller.
    check_len(unsafe { libc::sendmsg(fd, message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) })
}
