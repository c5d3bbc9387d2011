//! Operations that are answered at once and never block.

use std::io::IoSlice;
use std::os::fd::{BorrowedFd, RawFd};

use crate::sys::SockAddr;
use crate::sys::datagram::Outgoing;
use crate::sys::pipe::Description;
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
    /// `recvfrom(2)` of a datagram that has come: how long it is, which may be more than there is room
    /// for; `EAGAIN` when none has. `peek`: it stays.
    RecvFromNow { fd: RawFd, into: &'a mut [u8], from: &'a mut SockAddr, peek: bool },
    /// `sendmsg(2)` of a datagram: how many bytes; `EAGAIN` when there is no room.
    SendDatagram { fd: RawFd, datagram: Outgoing<'a> },
    /// `sendmmsg(2)`: how many of the datagrams went; `EAGAIN` when there is room for none.
    SendDatagrams { fd: RawFd, datagrams: &'a [Outgoing<'a>] },
    /// `preadv2(2)` with `RWF_NOWAIT`, of what is in memory: how many bytes; `EAGAIN` when nothing is,
    /// `EOPNOTSUPP` where that cannot be promised. On Linux 5.9 and 5.10, 0 may mean `EAGAIN`.
    ReadNow { fd: RawFd, into: &'a mut [u8], offset: u64 },
    /// Reads from a stream that is no socket what has come: how many bytes; `EAGAIN` when nothing has.
    ReadStream { fd: RawFd, into: &'a mut [u8], way: Way },
    /// Writes to a stream that is no socket what there is room for: how many bytes; `EAGAIN` when there is
    /// none. It raises no SIGPIPE: by the call's own flag where `quiet` says so (`EOPNOTSUPP` where the
    /// kernel or the file does not know it), else by keeping the signal from the thread.
    WriteStream { fd: RawFd, slices: &'a [IoSlice<'a>], way: Way, quiet: bool },
    /// `splice(2)` of what has come by `from` and has room in `to`, one of them a pipe: how many bytes;
    /// `EAGAIN` when there is none. It raises no SIGPIPE. A socket is non-blocking.
    Splice { from: RawFd, to: RawFd, len: usize },
    /// `pipe2(2)` with `O_CLOEXEC | O_NONBLOCK`: the end to read, the end to write.
    Pipe { fds: &'a mut [RawFd; 2] },
    /// What the descriptor is of.
    Describe { fd: RawFd, description: &'a mut Description },
    /// Opens what `fd` is of once more, with flags of its own and `O_NONBLOCK`: the new descriptor.
    Reopen { fd: RawFd, flags: i32 },
    /// `fchmod(2)`. Of a Unix socket before its bind: what its file may have, at most.
    SetMode { fd: RawFd, mode: u32 },
    /// Sets or clears `O_NONBLOCK`.
    SetNonblocking { fd: RawFd, on: bool },
    /// Cuts a duplicate (`F_DUPFD_CLOEXEC`): the new descriptor.
    Duplicate { fd: RawFd },
}

/// How a call on a stream that is no socket is kept from waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// By the call's own flag (`RWF_NOWAIT`); `EOPNOTSUPP` where the file cannot promise it.
    Flag,
    /// As it is: the descriptor is non-blocking, or of a file, where nobody is waited for.
    Plain,
    /// It is asked for its readiness first (`poll(2)`), and takes no more than `PIPE_BUF` bytes, which a
    /// pipe that is ready has room for. Where somebody else has the other half of this end, that one may be
    /// faster, and then the call waits: `O_NONBLOCK` would be theirs too, so it is not ours to set.
    Asked,
}
