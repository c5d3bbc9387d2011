//! The hand-written loop on epoll: no tasks, no wakers, one buffer for all connections.
//!
//! One variant serves every workload. Each connection is registered once, edge-triggered, for both
//! directions and the peer's end; a short read has emptied the socket, so no second one asks; what a
//! short send leaves over waits with its connection. The buffer is 256 KiB because that is best for
//! streams, and a small message touches only its front. The accepted sockets inherit TCP_NODELAY
//! from the listener.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::plan::Workload;

pub(super) fn serve(listener: TcpListener, _: Workload) -> io::Result<()> {
    Loop::new(listener)?.run()
}

struct Loop {
    listener: TcpListener,
    epoll: OwnedFd,
    /// By file descriptor.
    connections: Vec<Connection>,
    buf: Vec<u8>,
}

/// What a short send left over: `rest[sent..]`. Mostly nothing.
#[derive(Default)]
struct Connection {
    rest: Vec<u8>,
    sent: usize,
}

enum Next {
    Wait,
    Close,
}

const BUFFER: usize = 256 << 10;
const EVENTS: usize = 1024;

impl Loop {
    fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // SAFETY: takes no pointer.
        let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } as isize)?;
        // SAFETY: fresh from the kernel, and nobody else's.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll as RawFd) };
        let this = Self { listener, epoll, connections: Vec::new(), buf: vec![0; BUFFER] };
        this.register(this.listener.as_raw_fd(), libc::EPOLLIN)?;
        Ok(this)
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        let listener = self.listener.as_raw_fd();
        loop {
            // SAFETY: `events` has room for EVENTS.
            let n = unsafe {
                libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), EVENTS as i32, -1)
            };
            let n = match check(n as isize) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for event in &events[..n] {
                let fd = event.u64 as RawFd;
                if fd == listener {
                    self.accept()?;
                    continue;
                }
                let ended = event.events & libc::EPOLLRDHUP as u32 != 0;
                if let Next::Close = self.connections[fd as usize].echo(fd, ended, &mut self.buf) {
                    self.connections[fd as usize] = Connection::default();
                    // SAFETY: ours, and out of the epoll set with this. A descriptor has one event in
                    // a batch, so none is left that could reach its successor.
                    unsafe { libc::close(fd) };
                }
            }
        }
    }

    /// Takes what waits. The listener is level-triggered: what a batch leaves, the next wait reports.
    fn accept(&mut self) -> io::Result<()> {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        loop {
            // SAFETY: null pointers: the address is not asked for.
            let fd = unsafe {
                let null = std::ptr::null_mut();
                libc::accept4(self.listener.as_raw_fd(), null, null.cast(), flags)
            };
            match check(fd as isize) {
                Ok(index) => {
                    if self.connections.len() <= index {
                        self.connections.resize_with(index + 1, Connection::default);
                    }
                    self.register(fd, libc::EPOLLIN | libc::EPOLLOUT | EDGE)?;
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(()),
                    Some(libc::ECONNABORTED | libc::EINTR) => {}
                    _ => return Err(error),
                },
            }
        }
    }

    fn register(&self, fd: RawFd, events: i32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: fd as u64 };
        // SAFETY: `event` lives over the call.
        let done = unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event)
        };
        check(done as isize).map(drop)
    }
}

const EDGE: i32 = libc::EPOLLRDHUP | libc::EPOLLET;

impl Connection {
    /// Echoes until the socket is empty or the peer does not take more.
    ///
    /// `ended`: the peer's end was there when the event was made, so a short read is the last.
    fn echo(&mut self, fd: RawFd, ended: bool, buf: &mut [u8]) -> Next {
        if !self.rest.is_empty() {
            match send(fd, &self.rest[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(_) => return Next::Close,
            }
            if self.sent < self.rest.len() {
                return Next::Wait;
            }
            *self = Self::default();
        }
        loop {
            // SAFETY: writes at most `buf.len()` bytes to `buf`.
            let n = unsafe { libc::recv(fd, buf.as_mut_ptr().cast(), buf.len(), 0) };
            let n = match check(n) {
                Ok(0) => return Next::Close,
                Ok(n) => n,
                Err(error) if would_block(&error) => return Next::Wait,
                Err(_) => return Next::Close,
            };
            match send(fd, &buf[..n]) {
                Ok(sent) if sent < n => {
                    // The kernel owes an EPOLLOUT; the socket is read on after it.
                    self.rest = buf[sent..n].to_vec();
                    return Next::Wait;
                }
                Ok(_) => {}
                Err(_) => return Next::Close,
            }
            if n < buf.len() {
                return if ended { Next::Close } else { Next::Wait };
            }
        }
    }
}

/// How much the socket took: 0 when it is full.
fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: reads `bytes.len()` bytes of `bytes`.
    let n = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    match check(n) {
        Err(error) if would_block(&error) => Ok(0),
        result => result,
    }
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
