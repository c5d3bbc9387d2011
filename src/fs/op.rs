//! Operations on files that a future waits for.
#![expect(unsafe_code, reason = "promises where the kernel's pointers point")]

use std::io;
use std::rc::Rc;

use crate::buf::Block;
use crate::note::{Note, On};
use crate::op::{Completion, Request};
use crate::runtime::{Fd, Op};

/// Writes a block, at a position.
pub(super) struct WriteOp {
    pub(super) fd: Rc<Fd>,
    pub(super) block: Block,
    pub(super) offset: u64,
}

// SAFETY: the pointer goes to the block's filled heap memory, which nobody changes.
unsafe impl Op for WriteOp {
    type Output = (usize, Block);

    fn note(&self) -> Note {
        Note { what: "write of a file", on: On::Fd(self.fd.raw()) }
    }

    fn request(&mut self) -> Request {
        let (ptr, len) = (self.block.as_ptr(), self.block.len() as u32);
        Request::Write { fd: self.fd.raw(), ptr, len, offset: self.offset }
    }

    fn complete(self, completion: Completion) -> io::Result<(usize, Block)> {
        completion.outcome().map(|n| (self.block.len().min(n as usize), self.block))
    }
}

/// Waits for the disk.
pub(super) struct SyncOp {
    pub(super) fd: Rc<Fd>,
    pub(super) data_only: bool,
}

// SAFETY: the request has no pointer.
unsafe impl Op for SyncOp {
    type Output = ();

    fn note(&self) -> Note {
        Note { what: "sync of a file", on: On::Fd(self.fd.raw()) }
    }

    fn request(&mut self) -> Request {
        Request::Sync { fd: self.fd.raw(), data_only: self.data_only }
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        completion.outcome().map(drop)
    }
}
