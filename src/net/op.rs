//! Operations of sockets that a future waits for.
#![expect(unsafe_code, reason = "promises where the kernel's pointers point")]

use std::io;
use std::rc::Rc;

use super::socket::Socket;
use crate::buf::{Block, Stable};
use crate::note::{Note, On};
use crate::op::{Completion, Request};
use crate::runtime::{Core, Fd, Op};
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

/// Opens a pipe that has a name.
pub(super) struct OpenOp {
    pub(super) core: Rc<Core>,
    /// A C string.
    pub(super) path: Block,
    pub(super) flags: i32,
}

// SAFETY: a block's bytes stand on the heap and nothing changes them.
unsafe impl Op for OpenOp {
    type Output = Fd;

    fn note(&self) -> Note {
        Note { what: "open", on: On::Nothing }
    }

    fn request(&mut self) -> Request {
        Request::Open { path: self.path.as_ptr().cast(), flags: self.flags, mode: 0 }
    }

    fn complete(self, completion: Completion) -> io::Result<Fd> {
        completion.outcome().map(|fd| Fd::new(fd as i32, self.core))
    }
}

/// Reads a part of a file into a block.
pub(super) struct ReadFileOp {
    pub(super) fd: Rc<Fd>,
    pub(super) block: Block,
    pub(super) len: u32,
    pub(super) offset: u64,
}

// SAFETY: the pointer goes into the block's heap memory, which nobody else touches; `len` is at most
// its capacity.
unsafe impl Op for ReadFileOp {
    type Output = Block;

    fn note(&self) -> Note {
        Note { what: "read of a file", on: On::Fd(self.fd.raw()) }
    }

    fn request(&mut self) -> Request {
        let len = self.len.min(self.block.capacity());
        let ptr = self.block.as_mut_ptr();
        Request::Read { fd: self.fd.raw(), ptr, len, offset: self.offset }
    }

    fn complete(mut self, completion: Completion) -> io::Result<Block> {
        // No kernel reads more than it was asked for, and none shall stop us by saying so.
        let n = completion.outcome()?.min(self.len).min(self.block.capacity());
        // SAFETY: the kernel wrote `n` bytes.
        unsafe { self.block.set_filled(n) };
        Ok(self.block)
    }
}
