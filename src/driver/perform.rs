//! The plain-syscall meaning of every [`Request`] and [`Call`].
//!
//! The results are the integers that io_uring gives for the same request; both drivers are held
//! against this file. Nothing here waits, with one exception: a [`Job`] does, on a worker's thread.
//!
//! A request's pointers are vouched for by whoever made it: they stay good until its terminal
//! completion (see [`Request`]). That, and that a driver performs a request only before it hands out
//! this completion, is what every SAFETY comment here leans on.
#![expect(unsafe_code, reason = "performs requests, which name memory by pointers")]

use std::io::{self, IoSlice};
use std::os::fd::RawFd;

use crate::buf::Pool;
use crate::op::{Call, Flags, Into, Request, Way};
use crate::sys::message::HEAD;
use crate::sys::{datagram, file, pipe, rights, socket};

/// Does a control call.
pub(super) fn call(call: Call<'_>) -> io::Result<i32> {
    match call {
        Call::Socket { domain, kind, protocol } => socket::socket(domain, kind, protocol),
        Call::Pair { kind, fds } => socket::pair(kind, fds),
        Call::Bind { fd, address } => socket::bind(fd, address),
        Call::Listen { fd, backlog } => socket::listen(fd, backlog),
        Call::SetOption { fd, level, name, value } => socket::set_option(fd, level, name, value),
        Call::GetOption { fd, level, name, value } => socket::option(fd, level, name, value),
        Call::LocalAddr { fd, address } => socket::local_addr(fd, address),
        Call::PeerAddr { fd, address } => socket::peer_addr(fd, address),
        Call::Shutdown { fd, how } => socket::shutdown(fd, how),
        Call::AcceptNow { fd } => retry(|| socket::accept(fd)),
        Call::RecvNow { fd, into } => {
            let len = into.len().min(i32::MAX as usize);
            retry(|| socket::recv_slice(fd, &mut into[..len])).map(|len| len as i32)
        }
        Call::SendNow { fd, bytes } => {
            let len = bytes.len().min(i32::MAX as usize);
            retry(|| socket::send_slice(fd, &bytes[..len])).map(|len| len as i32)
        }
        Call::RecvFds { fd, into, rights } => {
            let len = into.len().min(i32::MAX as usize);
            retry(|| rights::recv(fd, &mut into[..len], rights)).map(|len| len as i32)
        }
        Call::SendFds { fd, bytes, fds } => {
            let len = bytes.len().min(i32::MAX as usize);
            retry(|| rights::send(fd, &bytes[..len], fds)).map(|len| len as i32)
        }
        Call::RecvFromNow { fd, into, from, peek } => {
            retry(|| datagram::recv_from(fd, into, from, peek)).map(|len| len as i32)
        }
        Call::SendDatagram { fd, datagram } => {
            retry(|| datagram::send(fd, datagram)).map(|len| len as i32)
        }
        Call::SendDatagrams { fd, datagrams } => {
            retry(|| datagram::send_many(fd, datagrams)).map(|sent| sent as i32)
        }
        Call::ReadNow { fd, into, offset } => {
            let len = into.len().min(i32::MAX as usize);
            retry(|| file::read_slice_now(fd, &mut into[..len], offset)).map(|len| len as i32)
        }
        Call::ReadStream { fd, into, way } => {
            let len = into.len().min(i32::MAX as usize);
            retry(|| read_stream(fd, &mut into[..len], way)).map(|len| len as i32)
        }
        Call::WriteStream { fd, slices, way, quiet } => {
            retry(|| write_stream(fd, slices, way, quiet)).map(|len| len as i32)
        }
        Call::Splice { from, to, len } => {
            let len = len.min(i32::MAX as usize);
            retry(|| pipe::splice(from, to, len)).map(|len| len as i32)
        }
        Call::Pipe { fds } => {
            *fds = pipe::pipe()?;
            Ok(0)
        }
        Call::Describe { fd, description } => {
            *description = pipe::describe(fd)?;
            Ok(0)
        }
        Call::Reopen { fd, flags } => pipe::reopen(fd, flags),
        Call::SetMode { fd, mode } => file::set_mode(fd, mode),
        Call::SetNonblocking { fd, on } => file::set_nonblocking(fd, on),
        Call::Duplicate { fd } => file::duplicate(fd),
    }
}

/// Reads from a stream that is no socket, if something is there.
fn read_stream(fd: RawFd, into: &mut [u8], way: Way) -> io::Result<usize> {
    match way {
        Way::Flag => pipe::read_now(fd, into),
        Way::Plain => pipe::read(fd, into),
        Way::Asked => {
            ready(fd, libc::POLLIN)?;
            pipe::read(fd, into)
        }
    }
}

/// Writes to a stream that is no socket, if it has room.
fn write_stream(fd: RawFd, slices: &[IoSlice<'_>], way: Way, quiet: bool) -> io::Result<usize> {
    let mut some = [IoSlice::new(&[])];
    let slices = if way == Way::Asked {
        ready(fd, libc::POLLOUT)?;
        let first: &[u8] = slices.first().map_or(&[], |slice| slice);
        some[0] = IoSlice::new(&first[..first.len().min(libc::PIPE_BUF)]);
        &some
    } else {
        slices
    };
    let now = way == Way::Flag;
    if quiet {
        return pipe::write(fd, slices, now, true);
    }
    pipe::without_sigpipe(|| pipe::write(fd, slices, now, false))
}

/// `close(2)`. `EINTR` is not retried: the descriptor is gone.
pub(super) fn close(fd: RawFd) -> i32 {
    file::close(fd).unwrap_or_else(errno)
}

/// Whether a recv would answer at once: bytes, EOF or an error.
pub(super) fn readable(fd: RawFd) -> bool {
    !matches!(file::poll(fd, (libc::POLLIN | libc::POLLRDHUP) as u32), Ok(0))
}

/// Whether `fd` is a TCP socket, where a short read says that nothing is left. It does not for
/// datagrams, nor for Unix streams, which stop at passed descriptors and credentials.
pub(super) fn is_tcp(fd: RawFd) -> bool {
    let mut protocol = [0; size_of::<i32>()];
    socket::option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL, &mut protocol).is_ok()
        && i32::from_ne_bytes(protocol) == libc::IPPROTO_TCP
}

/// What an attempt to receive into the pool came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// `len` bytes (at least one) of the `room` that they had are in these buffers, which the pool counts
    /// as taken: in the second what the first did not hold.
    Bytes { buffer: u16, second: Option<u16>, len: u32, room: u32 },
    /// No bytes and no buffer: 0 for EOF, else `-errno`.
    Ended(i32),
    /// Nothing has come.
    NotReady,
    /// Bytes are there, but no buffer.
    NoBuffer,
}

/// `recv(2)` into a buffer of the pool, which keeps it unless bytes came.
pub(super) fn receive(fd: RawFd, pool: &Pool) -> Received {
    let Some((buffer, ptr)) = pool.take() else {
        return if readable(fd) { Received::NoBuffer } else { Received::NotReady };
    };
    // SAFETY: the pool lends a taken buffer of its size to the driver alone, and keeps it mapped.
    let result = retry(|| unsafe { socket::recv(fd, ptr.as_ptr(), pool.size() as usize) });
    match result {
        Ok(len @ 1..) => {
            Received::Bytes { buffer, second: None, len: len as u32, room: pool.size() }
        }
        result => {
            pool.untake(buffer);
            nothing(result)
        }
    }
}

/// `recvmsg(2)` into a buffer of the messages' pool, as [`receive`] does it. The bytes count the head.
pub(super) fn receive_message(fd: RawFd, pool: &Pool) -> Received {
    let Some(pool) = pool.messages() else { return Received::Ended(-libc::ENOMEM) };
    let Some((buffer, ptr)) = pool.take() else {
        return if readable(fd) { Received::NoBuffer } else { Received::NotReady };
    };
    let size = pool.size();
    // SAFETY: the pool lends a taken buffer of its size to the driver alone, and keeps it mapped.
    let result = retry(|| unsafe { datagram::recv_message(fd, ptr.as_ptr(), size as usize) });
    match result {
        Ok(len) => Received::Bytes { buffer, second: None, len: len as u32, room: size },
        result => {
            pool.untake(buffer);
            nothing(result)
        }
    }
}

/// The completion of what [`receive_message`] came to, which is not "not ready".
pub(super) fn message(received: Received) -> (i32, Flags) {
    match received {
        Received::Bytes { buffer, len, .. } => {
            let flags = Flags::with_buffer(buffer);
            // An empty one ends it, as on io_uring.
            let more = len as usize > HEAD;
            (len as i32, if more { flags.and(Flags::MORE) } else { flags })
        }
        Received::Ended(result) => (result, Flags::NONE),
        Received::NoBuffer | Received::NotReady => (-libc::ENOBUFS, Flags::NONE),
    }
}

/// As [`receive`], into two buffers of the pool if there are as many.
pub(super) fn receive_two(fd: RawFd, pool: &Pool) -> Received {
    let Some((buffer, ptr)) = pool.take() else { return receive(fd, pool) };
    let Some((second, next)) = pool.take() else {
        pool.untake(buffer);
        return receive(fd, pool);
    };
    let size = pool.size();
    let ptrs = [ptr.as_ptr(), next.as_ptr()];
    // SAFETY: the pool lends taken buffers of its size to the driver alone, and keeps them mapped.
    let result = retry(|| unsafe { socket::recv_two(fd, ptrs, size as usize) });
    let len = result.as_ref().map_or(0, |len| *len as u32);
    if len <= size {
        pool.untake(second);
    }
    if len > 0 {
        let second = (len > size).then_some(second);
        return Received::Bytes { buffer, second, len, room: 2 * size };
    }
    pool.untake(buffer);
    nothing(result)
}

/// What a receive without bytes came to.
fn nothing(result: io::Result<usize>) -> Received {
    match attempt(result) {
        Attempt::Done(result) => Received::Ended(result),
        Attempt::NotReady => Received::NotReady,
    }
}

/// What an attempt that did not wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The request is done: a count, a descriptor or `-errno`.
    Done(i32),
    /// It has to wait until the descriptor is readable or writable.
    NotReady,
}

/// A request on its way, with what it has done so far.
#[derive(Debug)]
pub(super) struct Operation {
    request: Request,
    /// Bytes that a send has sent or a multishot receive has received.
    gone: u32,
    /// Set by a connect that the kernel carries on.
    connecting: bool,
    /// What is left of a message that went out in part.
    rest: Option<Box<Message>>,
}

impl Operation {
    pub(super) fn new(request: Request) -> Self {
        Self { request, gone: 0, connecting: false, rest: None }
    }

    pub(super) fn request(&self) -> Request {
        self.request
    }

    /// Whether it waits inside the syscall where the descriptor has no readiness.
    pub(super) fn may_block(&self) -> bool {
        matches!(self.request, Request::Read { .. } | Request::Write { .. })
    }

    /// The result of a request that ends here because somebody asked for it.
    pub(super) fn cancelled(&self) -> i32 {
        match self.request {
            Request::Send { .. } | Request::SendMsg { .. } if self.gone > 0 => self.gone as i32,
            _ => -libc::ECANCELED,
        }
    }

    /// Counts what a multishot has received: all of it so far.
    pub(super) fn count(&mut self, len: u32) -> u32 {
        self.gone = self.gone.saturating_add(len);
        self.gone
    }

    /// Tries to get it done without waiting, as far as it goes.
    ///
    /// # Panics
    ///
    /// For requests that are never tried: those into a pool (see [`receive`]) and those that only
    /// a worker can do (see [`Job`]).
    pub(super) fn attempt(&mut self) -> Attempt {
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
        let (message, left) = match &mut self.rest {
            Some(rest) => {
                let left = rest.left();
                (rest.header(), left)
            }
            None => (message, total(message)),
        };
        // SAFETY: the request's message, or our copy of what is left of it; either names only the
        // request's memory, readable until it is done.
        let result = retry(|| unsafe { socket::send_message(fd, message) });
        if let Ok(n) = result
            && n < left
        {
            // SAFETY: the request's msghdr, or the one of our own copy.
            let header = unsafe { *message };
            let rest = self.rest.get_or_insert_with(|| Box::new(Message::copy_of(header)));
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

/// What is left of a message, in slices of our own. Control messages went with its first byte.
struct Message {
    slices: Vec<libc::iovec>,
    /// Its `msg_iov` is set anew before each use.
    header: libc::msghdr,
}

impl Message {
    /// A copy of `header`, whose slices are readable.
    fn copy_of(mut header: libc::msghdr) -> Self {
        let slices = slices(&header).to_vec();
        header.msg_control = std::ptr::null_mut();
        header.msg_controllen = 0;
        Self { slices, header }
    }

    fn advance(&mut self, mut n: usize) {
        let whole = self.slices.iter().take_while(|slice| {
            let fits = slice.iov_len <= n;
            n -= if fits { slice.iov_len } else { 0 };
            fits
        });
        let whole = whole.count();
        self.slices.drain(..whole);
        if let Some(first) = self.slices.first_mut() {
            first.iov_base = first.iov_base.wrapping_byte_add(n);
            first.iov_len -= n;
        }
    }

    fn left(&self) -> usize {
        self.slices.iter().map(|slice| slice.iov_len).sum()
    }

    fn header(&mut self) -> *const libc::msghdr {
        self.header.msg_iov = self.slices.as_mut_ptr();
        self.header.msg_iovlen = self.slices.len();
        &raw const self.header
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({} bytes)", self.left())
    }
}

/// How many bytes a request's message has.
fn total(message: *const libc::msghdr) -> usize {
    // SAFETY: the request's msghdr, readable until it is done.
    slices(unsafe { &*message }).iter().map(|slice| slice.iov_len).sum()
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
pub(super) struct Job(Request);

// SAFETY: a request is plain data; the memory that it names stays where it is, untouched by its
// owner, until the terminal completion, and the driver hands that out after the job has run.
unsafe impl Send for Job {}

impl Job {
    pub(super) fn new(request: Request) -> Self {
        Self(request)
    }

    /// Whether its result is a descriptor.
    pub(super) fn opens(&self) -> bool {
        matches!(self.0, Request::Open { .. })
    }

    /// Does it, however long it takes.
    pub(super) fn run(self) -> i32 {
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

/// `EAGAIN` unless the descriptor shows `event`, an error or a hang-up.
fn ready(fd: RawFd, event: libc::c_short) -> io::Result<()> {
    match file::poll(fd, event as u32)? {
        0 => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
        _ => Ok(()),
    }
}

fn unsupported(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS))
}

/// Again, as long as a signal comes between.
fn retry<T>(mut syscall: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match syscall() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn attempt(result: io::Result<impl TryInto<i32>>) -> Attempt {
    match result {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Attempt::NotReady,
        result => Attempt::Done(count(result)),
    }
}

fn count(result: io::Result<impl TryInto<i32>>) -> i32 {
    // The kernel moves less than 2 GiB at once.
    result.map_or_else(errno, |n| n.try_into().unwrap_or(i32::MAX))
}

/// The error as a completion says it.
pub(super) fn errno(e: io::Error) -> i32 {
    -e.raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_message_starts_at_the_first_byte_that_did_not_go() {
        let mut bytes = *b"abcdefghij";
        let piece = |at: usize, len| libc::iovec { iov_base: at as *mut _, iov_len: len };
        let start = bytes.as_mut_ptr() as usize;
        for gone in 0..=10 {
            let slices =
                vec![piece(start, 3), piece(0, 0), piece(start + 3, 4), piece(start + 7, 3)];
            // SAFETY: a msghdr is plain integers and pointers that may be null.
            let header = unsafe { std::mem::zeroed() };
            let mut message = Message { slices, header };
            message.advance(gone);
            assert_eq!(message.left(), 10 - gone);
            if let Some(first) = message.slices.iter().find(|slice| slice.iov_len > 0) {
                assert_eq!(first.iov_base as usize, start + gone);
            }
        }
    }
}
