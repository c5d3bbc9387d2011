//! Where all memory comes from that the kernel may touch: one function.
//!
//! The kernel knows no allocator. What it writes into freed memory, no sanitizer sees; so this file has
//! a twin, `guard.rs`, that test builds take in its place. There each piece has pages of its own, which
//! nobody may touch once it is freed, and the kernel's attempt comes back as `EFAULT`.
#![expect(unsafe_code, reason = "allocates and frees raw, uninitialized memory")]

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::io;
use std::ptr::NonNull;

/// Whether blocks that were given back may be used again. They are not in the twin, where a block that
/// is not freed is not guarded.
pub(super) const RECYCLES: bool = true;

/// Uninitialized memory, at one address until it is [`free`]d.
///
/// # Errors
///
/// There is none to be had.
pub(super) fn allocate(layout: Layout) -> io::Result<NonNull<u8>> {
    // SAFETY: `layout` sees to it that the size is not zero.
    NonNull::new(unsafe { alloc(layout) }).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// The other half of [`allocate`].
///
/// # Safety
///
/// `start` came from `allocate(layout)`, is freed once, and nobody, the kernel included, holds a
/// pointer into it any more.
pub(super) unsafe fn free(start: NonNull<u8>, layout: Layout) {
    // SAFETY: by the contract above.
    unsafe { dealloc(start.as_ptr(), layout) };
}

/// The buffers of a pool, side by side in one piece of memory.
#[derive(Debug)]
pub(super) struct Rack {
    start: NonNull<u8>,
    count: u16,
    size: u32,
}

// SAFETY: a rack is plain memory that any thread may free; who may read and write when is argued where
// its pointers are used.
unsafe impl Send for Rack {}
// SAFETY: as above; a shared rack only hands out addresses.
unsafe impl Sync for Rack {}

impl Rack {
    /// `count` buffers (at least one) of `size` bytes.
    pub(super) fn new(count: u16, size: u32) -> io::Result<Self> {
        // Zeroes, for the kernel leaves gaps; pages that nobody has touched are full of them anyway.
        // SAFETY: `layout` sees to it that the size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(Self::layout(count, size)) });
        Ok(Self { start: start.ok_or(io::ErrorKind::OutOfMemory)?, count, size })
    }

    fn layout(count: u16, size: u32) -> Layout {
        super::layout(usize::from(count) * size as usize, 4096)
    }

    /// Where a buffer begins.
    pub(super) fn buffer(&self, id: u16) -> NonNull<u8> {
        debug_assert!(id < self.count);
        // SAFETY: ids are below the count that the memory was allocated for.
        unsafe { self.start.add(usize::from(id) * self.size as usize) }
    }

    /// A driver has taken the buffer: the kernel may write.
    pub(super) fn open(&self, _id: u16) {}

    /// The buffer is lent: it may be read, and nobody writes.
    pub(super) fn lend(&self, _id: u16) {}

    /// The buffer is free: nobody touches it.
    pub(super) fn shut(&self, _id: u16) {}
}

impl Drop for Rack {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with the same layout; whoever lent a buffer to the kernel or to a
        // lease keeps the rack.
        unsafe { free(self.start, Self::layout(self.count, self.size)) };
    }
}
