//! What a [`Request`] means: tried without waiting, or done by a worker's thread that waits.
#![expect(unsafe_code, reason = "performs requests, which name memory by pointers")]

use std::io;
use std::os::fd::RawFd;

use super::rest::Rest;
use super::{Attempt, attempt, count, errno, ready, retry};
use crate::op::{Into, Request};
use crate::sys::{file, socket};

/// A request on its way, with what it has done so far.
#[derive(Debug)]
pub(in crate::driver) struct Operation {
    request: Request,
    /// Bytes that a send has sent or a multishot receive has received.
    gone: u32,
    /// Set by a connect that the kernel carries on.
    connecting: bool,
    /// What is left of a message that went out in part.
    rest: Option<Box<Rest>>,
}

impl Operation {
    pub(in crate::driver) fn new(request: Request) -> Self {
        Self { request, gone: 0, connecting: false, rest: None }
    }

    pub(in crate::driver) fn request(&self) -> Request {
        self.request
    }

    /// Whether it waits inside the syscall where the descriptor has no readiness.
    pub(in crate::driver) fn may_block(&self) -> bool {
        matches!(self.request, Request::Read { .. } | Request::Write { .. })
    }

    /// The result of a request that ends here because somebody asked for it.
    pub(in crate::driver) fn cancelled(&self) -> i32 {
        match self.request {
            Request::Send { .. } | Request::SendMsg { .. } if self.gone > 0 => self.gone as i32,
            _ => -libc::ECANCELED,
        }
    }

    /// Counts what a multishot has received: all of it so far.
    pub(in crate::driver) fn count(&mut self, len: u32) -> u32 {
        self.gone = self.gone.saturating_add(len);
        self.gone
    }

    /// Tries to get it done without waiting, as far as it goes.
    ///
    /// # Panics
    ///
    /// For requests that are never tried: those into a pool (see [`receive`](super::receive())) and those that only
    /// a worker can do (see [`Job`]).
    pub(in crate::driver) fn attempt(&mut self) -> Attempt {
        match self.request {
            Request::Recv { fd, into: Into::At { ptr, len }, .. } => {
                // SAFETY: the request's memory, writable for `len` bytes until it is done.
                attempt(retry(|| unsafe { socket::recv(fd, ptr, len as usize) }))
            }
            Request::Send { fd, ptr, len, .. } => {
                let left = (len - self.gone) as usize;
                let ptr = ptr.wrapping_add(self.gone as usize);
                // SAFETY: `gone` never exceeds `len`, so this is the rest of the request's memory,
                // readable until it is done.
                let result = retry(|| unsafe { socket::send(fd, ptr, left) });
                self.sent(result, left)
            }
            Request::SendMsg { fd, message } => self.send_message(fd, message),
            // This and connect(2) cannot be told not to wait: both take the descriptor's own
            // O_NONBLOCK, which whoever adopts one sees to.
            Request::Accept { fd, .. } => attempt(retry(|| socket::accept(fd))),
            Request::Connect { fd, address, len } => {
                // SAFETY: the request's memory, readable for `len` bytes until it is done.
                let result = retry(|| unsafe { socket::connect(fd, address, len) });
                self.connected(result)
            }
            // As io_uring is asked.
            Request::Poll { fd, events } => match file::poll(fd, events | libc::POLLRDHUP as u32) {
                Ok(0) => Attempt::NotReady,
                Ok(shown) if shown & libc::POLLNVAL as u32 != 0 => Attempt::Done(-libc::EBADF),
                Ok(shown) => Attempt::Done(shown as i32),
                Err(e) => Attempt::Done(errno(e)),
            },
            Request::Read { fd, ptr, len, offset } => {
                // SAFETY: the request's memory, writable for `len` bytes until it is done.
                let now = |at| unsafe { file::read_now(fd, ptr, len as usize, at) };
                // SAFETY: as above.
                let read = |at| unsafe { file::read(fd, ptr, len as usize, at) };
                attempt(stream(offset, |at| match retry(|| now(at)) {
                    // Of no bytes preadv2(2) asks nobody, and others find a fault (eventfd).
                    Ok(_) if len == 0 => retry(|| read(at)),
                    // Then readiness must do, though another reader of the same file may be faster:
                    // O_NONBLOCK would be theirs too, so it is not ours to set.
                    Err(e) if unsupported(&e) => {
                        ready(fd, libc::POLLIN)?;
                        retry(|| read(at))
                    }
                    result => result,
                }))
            }
            Request::Write { fd, ptr, len, offset } => {
                // SAFETY: the request's memory, readable for `len` bytes until it is done.
                let now = |at| unsafe { file::write_now(fd, ptr, len as usize, at) };
                // A pipe that is ready takes this much without waiting, and no more.
                let some = (len as usize).min(libc::PIPE_BUF);
                // SAFETY: as above; `some` is not more than `len`.
                let write = |at| unsafe { file::write(fd, ptr, some, at) };
                attempt(stream(offset, |at| match retry(|| now(at)) {
                    Ok(_) if len == 0 => retry(|| write(at)),
                    Err(e) if unsupported(&e) => {
                        ready(fd, libc::POLLOUT)?;
                        retry(|| write(at))
                    }
                    result => result,
                }))
            }
            Request::Recv { into: Into::Group, .. }
            | Request::RecvMsg { .. }
            | Request::Nop
            | Request::Close { .. }
            | Request::Open { .. }
            | Request::Sync { .. } => unreachable!("{:?} is not performed by trying", self.request),
        }
    }

    fn send_message(&mut self, fd: RawFd, message: *const libc::msghdr) -> Attempt {
        // SAFETY: the request's msghdr, readable until it is done.
        let mut message = unsafe { *message };
        let left = match &mut self.rest {
            Some(rest) => {
                message = rest.header(message);
                rest.left()
            }
            None => slices(&message).iter().map(|slice| slice.iov_len).sum(),
        };
        // SAFETY: the request's message, or what is left of it, which stays as it is meanwhile; either
        // names only the request's memory, readable until it is done.
        let result = retry(|| unsafe { socket::send_message(fd, &raw const message) });
        if let Ok(n) = result
            && n < left
        {
            let rest = self.rest.get_or_insert_with(|| Box::new(Rest::of(slices(&message))));
            rest.advance(n);
        }
        self.sent(result, left)
    }

    /// Books what a send has sent of the `left` bytes that it was given. A short send says that the
    /// socket is full, so it is not tried again before the socket shows room.
    fn sent(&mut self, result: io::Result<usize>, left: usize) -> Attempt {
        match result {
            Ok(n) if n < left => {
                self.gone += n as u32;
                Attempt::NotReady
            }
            Ok(n) => Attempt::Done((self.gone + n as u32) as i32),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Attempt::NotReady,
            // The bytes that went are the result; the error comes to whoever sends next.
            Err(_) if self.gone > 0 => Attempt::Done(self.gone as i32),
            Err(e) => Attempt::Done(errno(e)),
        }
    }

    /// Asked again, connect(2) says how far it got: 0 or `EISCONN` when the connection stands,
    /// `EALREADY` while it does not, else why it failed. A Unix socket whose peer's backlog is full
    /// says `EAGAIN` at once and can be waited for on no driver.
    fn connected(&mut self, result: io::Result<i32>) -> Attempt {
        let asked_again = std::mem::replace(&mut self.connecting, true);
        match result {
            Ok(_) => Attempt::Done(0),
            Err(e) => match e.raw_os_error() {
                Some(libc::EINPROGRESS | libc::EALREADY) => Attempt::NotReady,
                Some(libc::EISCONN) if asked_again => Attempt::Done(0),
                _ => Attempt::Done(errno(e)),
            },
        }
    }
}

fn slices(header: &libc::msghdr) -> &[libc::iovec] {
    if header.msg_iovlen == 0 {
        return &[];
    }
    // SAFETY: a msghdr of a request names this many iovecs, readable until the request is done.
    unsafe { std::slice::from_raw_parts(header.msg_iov, header.msg_iovlen) }
}

/// A request for a worker's thread, where it may block.
#[derive(Debug)]
pub(in crate::driver) struct Job(Request);

// SAFETY: a request is plain data; the memory that it names stays where it is, untouched by its
// owner, until the terminal completion, and the driver hands that out after the job has run.
unsafe impl Send for Job {}

impl Job {
    pub(in crate::driver) fn new(request: Request) -> Self {
        Self(request)
    }

    /// Whether its result is a descriptor.
    pub(in crate::driver) fn opens(&self) -> bool {
        matches!(self.0, Request::Open { .. })
    }

    /// Does it, however long it takes.
    pub(in crate::driver) fn run(self) -> i32 {
        match self.0 {
            Request::Open { path, flags, mode } => {
                // SAFETY: the request's C string, readable until it is done.
                retry(|| unsafe { file::open(path, flags, mode) }).unwrap_or_else(errno)
            }
            Request::Sync { fd, data_only } => {
                retry(|| file::sync(fd, data_only)).unwrap_or_else(errno)
            }
            Request::Read { fd, ptr, len, offset } => count(stream(offset, |at| {
                // SAFETY: the request's memory, writable for `len` bytes until it is done.
                retry(|| unsafe { file::read(fd, ptr, len as usize, at) })
            })),
            Request::Write { fd, ptr, len, offset } => count(stream(offset, |at| {
                // SAFETY: the request's memory, readable for `len` bytes until it is done.
                retry(|| unsafe { file::write(fd, ptr, len as usize, at) })
            })),
            request => unreachable!("{request:?} does not block"),
        }
    }
}

/// `close(2)`. `EINTR` is not retried: the descriptor is gone.
pub(in crate::driver) fn close(fd: RawFd) -> i32 {
    file::close(fd).unwrap_or_else(errno)
}

/// Calls with the offset, and once more without where the file has no positions: io_uring ignores
/// the offset for pipes and their kin.
fn stream(
    offset: u64,
    mut syscall: impl FnMut(Option<u64>) -> io::Result<usize>,
) -> io::Result<usize> {
    match syscall((offset != Request::POSITION).then_some(offset)) {
        Err(e) if e.raw_os_error() == Some(libc::ESPIPE) => syscall(None),
        result => result,
    }
}

fn unsupported(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS))
}
