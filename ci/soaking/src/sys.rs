//! The system calls that std does not have.
#![expect(unsafe_code, reason = "libc")]

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Lets this process have `n` open files.
pub(crate) fn allow_files(n: u64) -> Result<(), String> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct lives here.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    if limit.rlim_cur >= n {
        return Ok(());
    }
    let wanted = libc::rlimit { rlim_cur: n, rlim_max: limit.rlim_max.max(n) };
    // SAFETY: as above.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) }).map(drop).map_err(|error| {
        format!("{n} open files are needed, {} allowed (ulimit -Hn): {error}", limit.rlim_max)
    })
}

/// Ends this process when its parent ends.
pub(crate) fn end_with_parent() {
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// One arena: what threads allocate must not make the memory look grown.
pub(crate) fn one_arena() {
    // SAFETY: takes numbers only.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Gives free memory back to the kernel; bytes of the heap that are in use.
pub(crate) fn trim() -> u64 {
    // SAFETY: glibc may be asked at any time.
    unsafe { libc::malloc_trim(0) };
    // SAFETY: as above.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

/// Connects from a source address of the loopback net, each of which has ports of its own.
pub(crate) fn connect(from: Ipv4Addr, to: SocketAddrV4) -> io::Result<TcpStream> {
    // SAFETY: takes numbers only.
    let fd =
        check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // The port is chosen when it connects, so that it need be unique for this peer only.
    set(&fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1_i32)?;
    let len = size_of::<libc::sockaddr_in>() as u32;
    let from = sockaddr(SocketAddrV4::new(from, 0));
    // SAFETY: the address lives here and is as long as it says.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const from).cast(), len) })?;
    let to = sockaddr(to);
    // SAFETY: as above.
    check(unsafe { libc::connect(fd.as_raw_fd(), (&raw const to).cast(), len) })?;
    Ok(fd.into())
}

fn sockaddr(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

/// Makes the close a reset.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let _ = set(stream, libc::SOL_SOCKET, libc::SO_LINGER, &linger);
}

fn set<T>(fd: &impl AsRawFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as u32;
    // SAFETY: the value lives here and is as long as it says.
    let done =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const *value).cast(), len) };
    check(done).map(drop)
}

/// Waits until `stream` can be read, or written where `write` says so; which of them. Neither: nothing
/// came in time.
pub(crate) fn poll(
    stream: &TcpStream,
    write: bool,
    patience: Duration,
) -> io::Result<(bool, bool)> {
    let revents = wait(stream, libc::POLLIN | if write { libc::POLLOUT } else { 0 }, patience)?;
    let ended = revents & (libc::POLLERR | libc::POLLHUP) != 0;
    Ok((ended || revents & libc::POLLIN != 0, write && (ended || revents & libc::POLLOUT != 0)))
}

/// Waits until `stream` can be written, or has ended; whether.
pub(crate) fn poll_write(stream: &TcpStream, patience: Duration) -> io::Result<bool> {
    Ok(wait(stream, libc::POLLOUT, patience)? != 0)
}

fn wait(stream: &TcpStream, events: i16, patience: Duration) -> io::Result<i16> {
    let mut poll = libc::pollfd { fd: stream.as_raw_fd(), events, revents: 0 };
    // SAFETY: one entry, which lives here.
    check(unsafe { libc::poll(&mut poll, 1, patience.as_millis() as i32) })?;
    Ok(poll.revents)
}
