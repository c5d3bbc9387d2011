//! Syscalls for streams that are no sockets: pipes, terminals, devices.
#![expect(
    unsafe_code,
    reason = "pipe2(2), pwritev2(2), fstat(2), pthread_sigmask(3) and their kin"
)]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use super::{check, check_len, count, file};
use crate::testing;

/// What a descriptor is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A pipe, with a name or without.
    Pipe,
    Socket,
    /// A terminal, but for the end that its master holds.
    Terminal,
    /// The end of a terminal where its programs are served. It says `EIO` when the last of them has gone.
    Master,
    /// Any other character device.
    Device,
    /// A regular file.
    File,
    Directory,
    /// A block device, or something that has no name yet.
    Other,
}

/// A descriptor as its owner sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Description {
    pub(crate) kind: Kind,
    /// Whether it was opened for reading.
    pub(crate) reads: bool,
    /// Whether it was opened for writing.
    pub(crate) writes: bool,
}

/// `RWF_NOSIGNAL`, since Linux 6.18: a broken pipe raises no SIGPIPE.
const RWF_NOSIGNAL: i32 = 0x100;

/// `pipe2(2)`: the end to read and the end to write, close-on-exec and non-blocking.
pub(crate) fn pipe() -> io::Result<[RawFd; 2]> {
    count::one();
    let mut fds = [0; 2];
    // SAFETY: `fds` is room for two descriptors.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
    Ok(fds)
}

/// What it is, by `fstat(2)` and `F_GETFL`.
pub(crate) fn describe(fd: RawFd) -> io::Result<Description> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    count::one();
    // SAFETY: `stat` is room for one.
    check(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: fstat has filled it.
    let stat = unsafe { stat.assume_init() };
    count::one();
    // SAFETY: F_GETFL takes no argument.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    let access = flags & libc::O_ACCMODE;
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFIFO => Kind::Pipe,
        libc::S_IFSOCK => Kind::Socket,
        libc::S_IFCHR if stat.st_rdev == libc::makedev(5, 2) => Kind::Master,
        libc::S_IFCHR if is_terminal(fd) => Kind::Terminal,
        libc::S_IFCHR => Kind::Device,
        libc::S_IFREG => Kind::File,
        libc::S_IFDIR => Kind::Directory,
        _ => Kind::Other,
    };
    let reads = access == libc::O_RDONLY || access == libc::O_RDWR;
    let writes = access == libc::O_WRONLY || access == libc::O_RDWR;
    Ok(Description { kind, reads, writes })
}

fn is_terminal(fd: RawFd) -> bool {
    count::one();
    // SAFETY: one integer.
    unsafe { libc::isatty(fd) == 1 }
}

/// Opens what `fd` is of once more, non-blocking, by its link in `/proc`: the flags of the new one are its
/// own, and no other process has it.
pub(crate) fn reopen(fd: RawFd, flags: i32) -> io::Result<RawFd> {
    let path = format!("/proc/self/fd/{fd}\0");
    // SAFETY: the path ends with a zero byte.
    unsafe { file::open(path.as_ptr().cast(), flags | libc::O_NONBLOCK | libc::O_NOCTTY, 0) }
}

/// `read(2)`.
pub(crate) fn read(fd: RawFd, into: &mut [u8]) -> io::Result<usize> {
    // SAFETY: a slice is writable for its length.
    unsafe { file::read(fd, into.as_mut_ptr(), into.len(), None) }
}

/// [`file::read_now`] at the position.
pub(crate) fn read_now(fd: RawFd, into: &mut [u8]) -> io::Result<usize> {
    if is_before((6, 4)) {
        return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
    }
    // SAFETY: a slice is writable for its length.
    unsafe { file::read_now(fd, into.as_mut_ptr(), into.len(), None) }
}

/// `writev(2)`, and with one of the flags `pwritev2(2)` at the position. `now`: it never waits. `quiet`: it
/// raises no SIGPIPE. `EOPNOTSUPP` where one cannot be promised.
pub(crate) fn write(
    fd: RawFd,
    slices: &[IoSlice<'_>],
    now: bool,
    quiet: bool,
) -> io::Result<usize> {
    if (quiet && is_before((6, 18))) || (now && is_before((6, 4))) {
        return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
    }
    let flags = if now { libc::RWF_NOWAIT } else { 0 } | if quiet { RWF_NOSIGNAL } else { 0 };
    let (ptr, len) = (slices.as_ptr().cast::<libc::iovec>(), slices.len() as i32);
    count::one();
    check_len(if flags == 0 {
        // SAFETY: an IoSlice has the layout of an iovec, and its bytes are readable.
        unsafe { libc::writev(fd, ptr, len) }
    } else {
        // SAFETY: as above.
        unsafe { libc::pwritev2(fd, ptr, len, -1, flags) }
    })
}

/// Whether the kernel shall be taken for an older one than this, in test builds.
fn is_before(linux: (u8, u8)) -> bool {
    testing::linux().is_some_and(|taken_for| taken_for < linux)
}

/// `splice(2)` at the positions, never waiting for a pipe and never raising SIGPIPE.
pub(crate) fn splice(from: RawFd, to: RawFd, len: usize) -> io::Result<usize> {
    let (no_offset, flags) = (std::ptr::null_mut(), libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE);
    without_sigpipe(|| {
        count::one();
        // SAFETY: null pointers say that no offset is given.
        check_len(unsafe { libc::splice(from, no_offset, to, no_offset, len, flags) })
    })
}

/// Runs `write`, which may raise SIGPIPE on this thread, so that nobody hears of it.
///
/// Where the program ignores SIGPIPE, as Rust's do, there is nothing to do. Else it is blocked on this thread
/// meanwhile, and the one that came of `write` is taken back.
pub(crate) fn without_sigpipe<T>(write: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    count::one();
    // SAFETY: no new action, and room for the old one.
    check(unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: sigaction has filled it.
    if unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN {
        return write();
    }
    let pipe = only_sigpipe();
    let mut before = pipe;
    count::one();
    // SAFETY: two signal sets.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const pipe, &raw mut before) } {
        0 => {}
        errno => return Err(io::Error::from_raw_os_error(errno)),
    }
    let pending = has(&before) && is_pending();
    let result = write();
    // Also where some bytes went: the signal comes all the same.
    if !pending {
        take(&pipe);
    }
    count::one();
    // SAFETY: a signal set, and no room for the old one.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    result
}

fn only_sigpipe() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: room for a set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: a set, and a signal that exists.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: sigemptyset has filled it.
    unsafe { set.assume_init() }
}

fn has(set: &libc::sigset_t) -> bool {
    // SAFETY: a set, and a signal that exists.
    unsafe { libc::sigismember(&raw const *set, libc::SIGPIPE) == 1 }
}

/// Whether a SIGPIPE waits that somebody else has raised.
fn is_pending() -> bool {
    let mut set = only_sigpipe();
    count::one();
    // SAFETY: room for a set.
    let ret = unsafe { libc::sigpending(&raw mut set) };
    ret == 0 && has(&set)
}

/// Takes a SIGPIPE that waits, if one does.
fn take(set: &libc::sigset_t) {
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        count::one();
        // SAFETY: a set and a time; no room for what is known of the signal.
        let ret = unsafe { libc::sigtimedwait(set, std::ptr::null_mut(), &raw const at_once) };
        if ret != -1 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}
