//! Operations of Unix streams that a future waits for.
#![expect(unsafe_code, reason = "promises where the kernel's pointers point")]

use std::io;
use std::rc::Rc;

use crate::net::socket::Socket;
use crate::note::{Note, On};
use crate::op::{Completion, Request};
use crate::runtime::Op;

/// Waits until a stream has room: what it shows.
pub(super) struct RoomOp {
    pub(super) socket: Rc<Socket>,
}

// SAFETY: the request has no pointer.
unsafe impl Op for RoomOp {
    type Output = u32;

    fn note(&self) -> Note {
        Note { what: "send of descriptors", on: On::Fd(self.socket.fd().raw()) }
    }

    fn request(&mut self) -> Request {
        Request::Poll { fd: self.socket.fd().raw(), events: libc::POLLOUT as u32 }
    }

    fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.outcome()
    }
}
