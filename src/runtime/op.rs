//! The typed side of an operation: who owns the memory, and what comes back.
#![expect(unsafe_code, reason = "implementors promise that the kernel's pointers stay valid")]

use std::io;

use crate::note::Note;
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
