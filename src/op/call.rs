//! Operations that are answered at once and never block.

use std::os::fd::{BorrowedFd, RawFd};

use crate::sys::SockAddr;
use crate::sys::rights::Rights;

/// A control call on a descriptor; the result is the syscall's own.
#[derive(Debug)]
pub(crate) enum Call<'a> {
    /// `socket(2)` with `SOCK_CLOEXEC | SOCK_NONBLOCK`: the new descriptor.
    Socket { domain: i32, kind: i32, protocol: i32 },
    /// `socketpair(2)` of Unix sockets with `SOCK_CLOEXEC | SOCK_NONBLOCK`: the two descriptors.
    Pair { kind: i32, fds: &'a mut [RawFd; 2] },
    /// `bind(2)`.
    Bind { fd: RawFd, address: &'a SockAddr },
    /// `listen(2)`.
    Listen { fd: RawFd, backlog: i32 },
    /// `setsockopt(2)`.
    SetOption { fd: RawFd, level: i32, name: i32, value: &'a [u8] },
    /// `getsockopt(2)`: the length of the value.
    GetOption { fd: RawFd, level: i32, name: i32, value: &'a mut [u8] },
    /// `getsockname(2)`.
    LocalAddr { fd: RawFd, address: &'a mut SockAddr },
    /// `getpeername(2)`.
    PeerAddr { fd: RawFd, address: &'a mut SockAddr },
    /// `shutdown(2)`. Only a user's `shutdown` or `write_eof` asks for it, never a close.
    Shutdown { fd: RawFd, how: i32 },
    /// `accept4(2)` of what already waits in the backlog; `EAGAIN` when nothing does.
    AcceptNow { fd: RawFd },
    /// `recv(2)` of what has come: how many bytes; `EAGAIN` when nothing has.
    RecvNow { fd: RawFd, into: &'a mut [u8] },
    /// `send(2)` of what there is room for: how many bytes; `EAGAIN` when there is none.
    SendNow { fd: RawFd, bytes: &'a [u8] },
    /// [`RecvNow`](Self::RecvNow) by `recvmsg(2)`, with the descriptors that came along, close-on-exec; it
    /// ends behind the first bytes that have some.
    RecvFds { fd: RawFd, into: &'a mut [u8], rights: &'a mut Rights },
    /// [`SendNow`](Self::SendNow) by `sendmsg(2)`, with descriptors that go along with the first byte.
    SendFds { fd: RawFd, bytes: &'a [u8], fds: &'a [BorrowedFd<'a>] },
    /// `preadv2(2)` with `RWF_NOWAIT`, of what is in memory: how many bytes; `EAGAIN` when nothing is,
    /// `EOPNOTSUPP` where that cannot be promised. On Linux 5.9 and 5.10, 0 may mean `EAGAIN`.
    ReadNow { fd: RawFd, into: &'a mut [u8], offset: u64 },
    /// Sets or clears `O_NONBLOCK`.
    SetNonblocking { fd: RawFd, on: bool },
    /// Cuts a duplicate (`F_DUPFD_CLOEXEC`): the new descriptor.
    Duplicate { fd: RawFd },
}
