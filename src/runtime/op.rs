//! The typed side of an operation: who owns the memory, and what comes back.
#![expect(unsafe_code, reason = "implementors promise that the kernel's pointers stay valid")]

use std::io;

use super::fd::Fd;
use crate::op::{Completion, Request};
use crate::sys::SockAddr;

/// An operation that a [`Submit`](super::Submit) future carries out.
///
/// # Safety
///
/// Every pointer in the request points into memory that the operation owns on the heap. It stays
/// valid and is not touched while the operation is moved, until `complete` is called.
pub(crate) unsafe trait Op: 'static {
    type Output;

    /// The request. Called once.
    fn request(&mut self) -> Request;

    /// What the terminal completion means. Dropping the output releases whatever came of it.
    fn complete(self, completion: Completion) -> io::Result<Self::Output>;
}

/// Connects a fresh socket: gives it back, connected.
pub(crate) struct ConnectOp {
    fd: Fd,
    address: Box<SockAddr>,
}

impl ConnectOp {
    pub(crate) fn new(fd: Fd, address: SockAddr) -> Self {
        Self { fd, address: Box::new(address) }
    }
}

// SAFETY: the only pointer is to the boxed address, which nothing touches.
unsafe impl Op for ConnectOp {
    type Output = Fd;

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
