//! Datagrams, with the addresses and control messages that go along. None of these waits.
#![expect(unsafe_code, reason = "recvmsg(2), sendmsg(2) and sendmmsg(2)")]

use std::io;
use std::mem;
use std::os::fd::RawFd;

use super::message::{CONTROL, HEAD, Head, NAME};
use super::{SockAddr, check, check_len, count};

/// How many datagrams one `sendmmsg(2)` takes here.
pub(crate) const BATCH: usize = 32;

/// A message header for static memory: what a receive into a buffer reserves before the datagram.
pub(crate) struct Reserved(libc::msghdr);

// SAFETY: its pointers are null, and nobody writes it.
unsafe impl Sync for Reserved {}

impl Reserved {
    pub(crate) fn as_ptr(&self) -> *const libc::msghdr {
        &raw const self.0
    }
}

/// What io_uring's multishot `recvmsg` is told.
pub(crate) static RESERVED: Reserved = Reserved(libc::msghdr {
    msg_namelen: NAME as libc::socklen_t,
    msg_controllen: CONTROL,
    // SAFETY: a msghdr is pointers and integers: all zeroes is an empty one.
    ..unsafe { mem::zeroed() }
});

/// `recvmsg(2)` into a buffer, in the form of io_uring's multishot: a [`Head`], then the datagram. How
/// much of the buffer is filled: at least the head.
///
/// # Safety
///
/// `ptr` is writable for `len` bytes, which are not fewer than a head's.
pub(crate) unsafe fn recv_message(fd: RawFd, ptr: *mut u8, len: usize) -> io::Result<usize> {
    count::one();
    debug_assert!(len >= HEAD);
    let mut slice = libc::iovec { iov_base: ptr.wrapping_add(HEAD).cast(), iov_len: len - HEAD };
    // SAFETY: all zeroes is an empty msghdr.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = ptr.wrapping_add(HEAD - CONTROL - NAME).cast();
    message.msg_namelen = NAME as libc::socklen_t;
    message.msg_control = ptr.wrapping_add(HEAD - CONTROL).cast();
    message.msg_controllen = CONTROL;
    message.msg_iov = &raw mut slice;
    message.msg_iovlen = 1;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the parts lie side by side in the caller's memory.
    let came = check_len(unsafe { libc::recvmsg(fd, &raw mut message, flags) })?;
    let (name, control) = (message.msg_namelen as usize, message.msg_controllen);
    let lengths = Head::lengths(name, control, came, message.msg_flags);
    // SAFETY: a head fits into the caller's memory, and begins with these.
    unsafe { ptr.copy_from_nonoverlapping(lengths.as_ptr(), lengths.len()) };
    Ok(HEAD + came)
}

/// `recvmsg(2)` of a datagram into a slice, without control messages: how long it is, which may be more
/// than there was room for. `peek`: it stays.
pub(crate) fn recv_from(
    fd: RawFd,
    into: &mut [u8],
    from: &mut SockAddr,
    peek: bool,
) -> io::Result<usize> {
    count::one();
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC | if peek { libc::MSG_PEEK } else { 0 };
    let (name, name_len) = from.as_out();
    let (ptr, len) = (into.as_mut_ptr().cast(), into.len());
    // SAFETY: the slice is writable for its length, the address for the length that it says.
    check_len(unsafe { libc::recvfrom(fd, ptr, len, flags, name, name_len) })
}

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) bytes: &'a [u8],
    /// `None`: to the socket's peer.
    pub(crate) to: Option<&'a SockAddr>,
    /// Control messages.
    pub(crate) control: &'a [u8],
}

const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// `sendmsg(2)`, or `sendto(2)` where that does: how many bytes, which are all.
pub(crate) fn send(fd: RawFd, datagram: Outgoing<'_>) -> io::Result<usize> {
    count::one();
    if datagram.control.is_empty() {
        let (ptr, len) = (datagram.bytes.as_ptr().cast(), datagram.bytes.len());
        let (to, to_len) = match datagram.to {
            Some(to) => (to.as_ptr(), to.len()),
            None => (std::ptr::null(), 0),
        };
        // SAFETY: the slice and the address are readable for their lengths.
        return check_len(unsafe { libc::sendto(fd, ptr, len, FLAGS, to, to_len) });
    }
    let mut slice = slice(datagram.bytes);
    let message = header(datagram, &raw mut slice);
    // SAFETY: the header names the caller's slices and one on this frame.
    check_len(unsafe { libc::sendmsg(fd, &raw const message, FLAGS) })
}

/// `sendmmsg(2)` of the first [`BATCH`]: how many went. The error is the first one's; of those behind it
/// the next call hears.
pub(crate) fn send_many(fd: RawFd, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
    count::one();
    let datagrams = &datagrams[..datagrams.len().min(BATCH)];
    let mut slices = [slice(&[]); BATCH];
    // SAFETY: all zeroes is an empty mmsghdr.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    for ((&datagram, slot), message) in datagrams.iter().zip(&mut slices).zip(&mut messages) {
        *slot = slice(datagram.bytes);
        message.msg_hdr = header(datagram, slot);
    }
    let len = datagrams.len() as u32;
    // SAFETY: the first `len` headers name the caller's slices, and those on this frame.
    let sent = check(unsafe { libc::sendmmsg(fd, messages.as_mut_ptr(), len, FLAGS) })?;
    Ok(sent as usize)
}

fn slice(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// The header of a datagram whose bytes stand in `slice`.
fn header(datagram: Outgoing<'_>, slice: *mut libc::iovec) -> libc::msghdr {
    // SAFETY: all zeroes is an empty msghdr.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    if let Some(to) = datagram.to {
        message.msg_name = to.as_ptr().cast_mut().cast();
        message.msg_namelen = to.len();
    }
    if !datagram.control.is_empty() {
        message.msg_control = datagram.control.as_ptr().cast_mut().cast();
        message.msg_controllen = datagram.control.len();
    }
    message.msg_iov = slice;
    message.msg_iovlen = 1;
    message
}
