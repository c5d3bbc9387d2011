//! From a request to a submission queue entry: one match.
#![expect(unsafe_code, reason = "sets a field of the entry that the crate has no setter for")]

use std::os::fd::RawFd;

use io_uring::squeue::Entry;
use io_uring::{opcode, types};

use crate::op::{Into, Request};
use crate::sys::datagram::RESERVED;

/// The provided-buffer group of the pool.
pub(super) const GROUP: u16 = 0;
/// That of the messages' pool.
pub(super) const MESSAGES: u16 = 1;

const NEW_SOCKET: i32 = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
/// `MSG_WAITALL` makes the kernel send everything before it completes.
const SEND: i32 = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;

/// The entry of `request`, without user data. `totals`: the kernel knows `Recv::total`.
pub(super) fn entry(request: &Request, totals: bool) -> Entry {
    match *request {
        Request::Nop => opcode::Nop::new().build(),
        Request::Read { fd, ptr, len, offset } => {
            opcode::Read::new(types::Fd(fd), ptr, len).offset(offset).build()
        }
        Request::Write { fd, ptr, len, offset } => {
            opcode::Write::new(types::Fd(fd), ptr, len).offset(offset).build()
        }
        Request::Recv { fd, into: Into::At { ptr, len }, .. } => {
            opcode::Recv::new(types::Fd(fd), ptr, len).build()
        }
        Request::Recv { fd, into: Into::Group, multi: false, .. } => {
            opcode::Recv::new(types::Fd(fd), std::ptr::null_mut(), 0)
                .buf_group(GROUP)
                .build()
                .flags(io_uring::squeue::Flags::BUFFER_SELECT)
        }
        Request::Recv { fd, into: Into::Group, multi: true, total } => {
            let entry = opcode::RecvMulti::new(types::Fd(fd), GROUP).build();
            if totals && total > 0 { with_optlen(entry, total) } else { entry }
        }
        Request::Send { fd, ptr, len, .. } => {
            opcode::Send::new(types::Fd(fd), ptr, len).flags(SEND).build()
        }
        Request::SendMsg { fd, message } => {
            opcode::SendMsg::new(types::Fd(fd), message).flags(SEND as u32).build()
        }
        Request::RecvMsg { fd } => messages(fd, MESSAGES),
        Request::Accept { fd, multi: true } => {
            opcode::AcceptMulti::new(types::Fd(fd)).flags(NEW_SOCKET).build()
        }
        Request::Accept { fd, multi: false } => {
            let (address, len) = (std::ptr::null_mut(), std::ptr::null_mut());
            opcode::Accept::new(types::Fd(fd), address, len).flags(NEW_SOCKET).build()
        }
        Request::Connect { fd, address, len } => {
            opcode::Connect::new(types::Fd(fd), address, len).build()
        }
        Request::Close { fd } => opcode::Close::new(types::Fd(fd)).build(),
        Request::Open { path, flags, mode } => opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path)
            .flags(flags | libc::O_CLOEXEC)
            .mode(mode)
            .build(),
        Request::Sync { fd, data_only } => {
            let flags =
                if data_only { types::FsyncFlags::DATASYNC } else { types::FsyncFlags::empty() };
            opcode::Fsync::new(types::Fd(fd)).flags(flags).build()
        }
        // A half-close is told unasked, but not everywhere where the poll ends at once (seen on 6.12).
        Request::Poll { fd, events } => {
            opcode::PollAdd::new(types::Fd(fd), events | libc::POLLRDHUP as u32).build()
        }
    }
}

/// A multishot `recvmsg` into buffers of `group`.
pub(super) fn messages(fd: RawFd, group: u16) -> Entry {
    opcode::RecvMsgMulti::new(types::Fd(fd), RESERVED.as_ptr(), group)
        .flags(libc::MSG_CMSG_CLOEXEC as u32)
        .build()
}

/// A send that ends within the enter that hands it over and says so only if it did not send all:
/// with `MSG_DONTWAIT` it never waits, so nothing of it is left when the enter returns.
pub(super) fn quiet_send(fd: RawFd, ptr: *const u8, len: u32) -> Entry {
    opcode::Send::new(types::Fd(fd), ptr, len)
        .flags(SEND | libc::MSG_DONTWAIT)
        .build()
        .flags(io_uring::squeue::Flags::SKIP_SUCCESS)
}

/// Asks the request with this user data to end.
pub(super) fn cancel(user_data: u64) -> Entry {
    opcode::AsyncCancel::new(user_data).build()
}

/// Watches a descriptor for input.
pub(super) fn readable(fd: RawFd, multi: bool) -> Entry {
    opcode::PollAdd::new(types::Fd(fd), libc::POLLIN as u32).multi(multi).build()
}

/// Where `sqe->optlen` stands: the total of a multishot receive since Linux 6.17.
/// Older kernels refuse a value there with `EINVAL` (`uring-sys-notes/multishot-receive.md`).
const OPTLEN: usize = 44;
const _: () = assert!(size_of::<Entry>() == 64, "an entry is the kernel's 64 bytes");

fn with_optlen(mut entry: Entry, total: u32) -> Entry {
    // SAFETY: an Entry is a repr(C) wrapper of the kernel's 64-byte structure, in which byte 44 is
    // inside and begins an aligned u32.
    let optlen = unsafe { (&raw mut entry).cast::<u8>().add(OPTLEN).cast::<u32>() };
    // SAFETY: as above; any value is a valid u32.
    unsafe { optlen.write(total) };
    entry
}
