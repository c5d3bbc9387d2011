//! Operations that are answered later.

use std::os::fd::RawFd;

/// Where received bytes go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Into {
    /// Into memory that the request owns until its terminal completion.
    At { ptr: *mut u8, len: u32 },
    /// Into a buffer of the shard's pool, taken when bytes are there; the completion names it.
    Group,
}

/// One operation of the kernel, as data.
///
/// Every pointer points into memory that its owner keeps, unmoved and untouched, until the
/// request's terminal completion: the buffer pool, or a heap block of the typed operation. The
/// results are those of the syscall of the same name, with `-errno` for an error.
///
/// A `multi` request completes again and again with `F_MORE` set; the completion without it is the
/// last one, whatever its result.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    /// Does nothing: a round trip through the driver.
    Nop,
    /// `pread(2)`; at the file position where `offset` is [`Request::POSITION`]. A pipe and its kin
    /// have no positions and do not look at it; a socket takes that one and 0 only.
    Read { fd: RawFd, ptr: *mut u8, len: u32, offset: u64 },
    /// `pwrite(2)`, with the `offset` of a read.
    Write { fd: RawFd, ptr: *const u8, len: u32, offset: u64 },
    /// `recv(2)`. Multi: until EOF or an empty datagram (0), an error, `-ENOBUFS` (the pool is empty),
    /// or `total` bytes (0: no end) have come, where `Backend::totals` says that the driver knows
    /// totals; the receive that reaches `total` may overshoot it by its own size.
    /// Only pool buffers can be multi.
    Recv { fd: RawFd, into: Into, multi: bool, total: u32 },
    /// `send(2)` of all `len` bytes (`MSG_NOSIGNAL | MSG_WAITALL`); a cancelled one says how many
    /// bytes had gone (not on io_uring before Linux 6.0). Quiet: nobody waits for its end. The driver
    /// may then sleep over its completion
    /// and answer it when something else wakes it, and may end it with `-EAGAIN` or a short count
    /// where a plain send would wait for room.
    Send { fd: RawFd, ptr: *const u8, len: u32, quiet: bool },
    /// `sendmsg(2)` of all bytes of the message (`MSG_NOSIGNAL | MSG_WAITALL`). Where the peer has
    /// half-closed, io_uring does not wait for room on a non-blocking socket: it ends with a short count
    /// or `-EAGAIN`. A `Send` waits.
    SendMsg { fd: RawFd, message: *const libc::msghdr },
    /// `recvmsg(2)` of datagrams, again and again, each into a buffer of the messages' pool that the
    /// completion names: a [`Head`](crate::sys::message::Head), then the bytes. The result counts both.
    /// Until an empty one, which comes as a head without `F_MORE`, an error, or `-ENOBUFS`.
    RecvMsg { fd: RawFd },
    /// `accept4(2)` with `SOCK_CLOEXEC | SOCK_NONBLOCK` and no address.
    Accept { fd: RawFd, multi: bool },
    /// `connect(2)`; completes when the connection stands or has failed. A socket whose connect has
    /// failed is good for its close only: what else it does depends on the driver.
    Connect { fd: RawFd, address: *const libc::sockaddr, len: u32 },
    /// `close(2)`. The owner has seen the terminal completion of every other request on `fd`.
    Close { fd: RawFd },
    /// `openat(2)` with `O_CLOEXEC`, relative to the working directory.
    Open { path: *const libc::c_char, flags: i32, mode: u32 },
    /// `fsync(2)`, or `fdatasync(2)` where `data_only`.
    Sync { fd: RawFd, data_only: bool },
    /// Waits until `fd` shows one of `events` (`POLLIN`, `POLLOUT`, …); the result is what it shows.
    /// Unasked as well: `POLLERR`, `POLLHUP`, and `POLLRDHUP`, a half-close by the peer.
    Poll { fd: RawFd, events: u32 },
}

impl Request {
    /// The `offset` that means "the file's own position".
    pub(crate) const POSITION: u64 = u64::MAX;

    /// The descriptor the request works on, where it has one.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        match *self {
            Self::Nop | Self::Open { .. } => None,
            Self::Read { fd, .. }
            | Self::Write { fd, .. }
            | Self::Recv { fd, .. }
            | Self::Send { fd, .. }
            | Self::SendMsg { fd, .. }
            | Self::RecvMsg { fd }
            | Self::Accept { fd, .. }
            | Self::Connect { fd, .. }
            | Self::Close { fd }
            | Self::Sync { fd, .. }
            | Self::Poll { fd, .. } => Some(fd),
        }
    }
}

const _: () = assert!(size_of::<Request>() <= 32, "a request stays within half a cache line");
