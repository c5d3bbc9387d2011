//! Operations of sockets that a future waits for.
#![expect(unsafe_code, reason = "promises where the kernel's pointers point")]

use std::io;
use std::rc::Rc;

use super::socket::Socket;
use crate::buf::Stable;
use crate::note::{Note, On};
use crate::op::{Completion, Request};
use crate::runtime::{Fd, Op};
use crate::sys::SockAddr;

/// Connects a fresh socket: gives it back, connected.
pub(super) struct ConnectOp {
    fd: Fd,
    address: Stable<SockAddr>,
}

impl ConnectOp {
    pub(super) fn new(fd: Fd, address: SockAddr) -> Self {
        Self { fd, address: Stable::new(address) }
    }
}

// SAFETY: the only pointer is to the stable address, which nothing touches.
unsafe impl Op for ConnectOp {
    type Output = Fd;

    /// Half a connection cannot be asked for again.
    const REPEATS: bool = false;

    fn note(&self) -> Note {
        Note { what: "connect", on: On::Fd(self.fd.raw()) }
    }

    fn request(&mut self) -> Request {
        Request::Connect {
            fd: self.fd.raw(),
            address: self.address.as_ptr(),
            len: self.address.len(),
        }
    }

    fn complete(self, completion: Completion) -> io::Result<Fd> {
        completion.outcome().map(|_| self.fd)
    }
}

/// Sets the peer of a datagram socket.
pub(super) struct AttachOp {
    pub(super) fd: Rc<Fd>,
    pub(super) address: Stable<SockAddr>,
}

// SAFETY: the only pointer is to the stable address, which nothing touches.
unsafe impl Op for AttachOp {
    type Output = ();

    fn note(&self) -> Note {
        Note { what: "connect", on: On::Fd(self.fd.raw()) }
    }

    fn request(&mut self) -> Request {
        let (address, len) = (self.address.as_ptr(), self.address.len());
        Request::Connect { fd: self.fd.raw(), address, len }
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        completion.outcome().map(drop)
    }
}

/// Waits until a descriptor shows something: what it shows.
pub(super) struct PollOp {
    pub(super) fd: Rc<Fd>,
    pub(super) events: u32,
}

// SAFETY: the request has no pointer.
unsafe impl Op for PollOp {
    type Output = u32;

    fn note(&self) -> Note {
        Note { what: "readiness", on: On::Fd(self.fd.raw()) }
    }

    fn request(&mut self) -> Request {
        Request::Poll { fd: self.fd.raw(), events: self.events }
    }

    fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.outcome()
    }
}

/// Waits until a writer's peer has gone: an error or a hang-up, which every poll shows.
pub(super) struct ClosedOp {
    pub(super) socket: Rc<Socket>,
}

// SAFETY: the request has no pointer.
unsafe impl Op for ClosedOp {
    type Output = ();

    fn note(&self) -> Note {
        Note { what: "closed", on: On::Fd(self.socket.fd().raw()) }
    }

    fn request(&mut self) -> Request {
        Request::Poll { fd: self.socket.fd().raw(), events: 0 }
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        completion.outcome().map(drop)
    }
}
