//! Operations on files that a future waits for.
#![expect(unsafe_code, reason = "promises where the kernel's pointers point")]

use std::io;
use std::rc::Rc;

use crate::buf::Block;
use crate::note::{Note, On};
use crate::op::{Completion, Request};
use crate::runtime::{Core, Fd, Op};

/// Opens a path.
pub(super) struct OpenOp {
    pub(super) core: Rc<Core>,
    /// A C string.
    pub(super) path: Block,
    pub(super) flags: i32,
    pub(super) mode: u32,
}

// SAFETY: a block's bytes stand on the heap and nothing changes them.
unsafe impl Op for OpenOp {
    type Output = Fd;

    fn note(&self) -> Note {
        Note { what: "open", on: On::Nothing }
    }

    fn request(&mut self) -> Request {
        Request::Open { path: self.path.as_ptr().cast(), flags: self.flags, mode: self.mode }
    }

    fn complete(self, completion: Completion) -> io::Result<Fd> {
        completion.outcome().map(|fd| Fd::new(fd as i32, self.core))
    }
}

/// Reads into a block, at a position.
pub(super) struct ReadOp {
    pub(super) fd: Rc<Fd>,
    pub(super) block: Block,
    pub(super) len: u32,
    pub(super) offset: u64,
}

// SAFETY: the pointer goes into the block's heap memory, which nobody else touches; `len` is at most
// its capacity.
unsafe impl Op for ReadOp {
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
