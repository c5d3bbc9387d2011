//! The typed side of an operation: who owns the memory, and what comes back. And those two that more than
//! one module above needs: files and pipes are opened, and files are read, by `fs` and by `net`.
#![expect(unsafe_code, reason = "implementors promise that the kernel's pointers stay valid")]

use std::io;
use std::rc::Rc;

use super::core::Core;
use super::fd::Fd;
use crate::buf::Block;
use crate::note::{Note, On};
use crate::op::{Completion, Request};

/// An operation that a [`Submit`](super::Submit) future carries out.
///
/// # Safety
///
/// Every pointer in the request points into memory that the operation owns on the heap. It stays
/// valid and is not touched while the operation is moved, until `complete` is called.
pub(crate) unsafe trait Op: 'static {
    type Output;

    /// Whether the request may be made again where the kernel gave it up before it did anything.
    const REPEATS: bool = true;

    /// What who awaits it waits for.
    fn note(&self) -> Note;

    /// The request. Called again where it is repeated.
    fn request(&mut self) -> Request;

    /// What the terminal completion means. Dropping the output releases whatever came of it.
    fn complete(self, completion: Completion) -> io::Result<Self::Output>;
}

/// Opens a path.
pub(crate) struct OpenOp {
    pub(crate) core: Rc<Core>,
    /// A C string.
    pub(crate) path: Block,
    pub(crate) flags: i32,
    pub(crate) mode: u32,
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
pub(crate) struct ReadOp {
    pub(crate) fd: Rc<Fd>,
    pub(crate) block: Block,
    pub(crate) len: u32,
    pub(crate) offset: u64,
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
