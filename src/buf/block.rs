//! A block: bytes on the heap that the kernel may touch.
#![expect(unsafe_code, reason = "hands out memory that is not initialized yet")]

use std::alloc::{Layout, handle_alloc_error};
use std::ptr::NonNull;

use super::memory;

fn layout(capacity: u32) -> Layout {
    super::layout(capacity as usize, 16)
}

/// An owned, fixed piece of memory whose first `filled` bytes are initialized.
///
/// It has a stable address, so a request may point into it while its owner moves about.
pub(crate) struct Block {
    start: NonNull<u8>,
    capacity: u32,
    filled: u32,
}

// SAFETY: a block owns its memory alone, like a Vec<u8>.
unsafe impl Send for Block {}
// SAFETY: a shared block only hands out shared slices of initialized bytes.
unsafe impl Sync for Block {}

impl Block {
    /// An empty block of `capacity` bytes.
    pub(crate) fn with_capacity(capacity: u32) -> Self {
        let layout = layout(capacity);
        let start = memory::allocate(layout).unwrap_or_else(|_| handle_alloc_error(layout));
        Self { start, capacity, filled: 0 }
    }

    /// A block full of zeroes.
    pub(crate) fn zeroed(capacity: u32) -> Self {
        let mut block = Self::with_capacity(capacity);
        // SAFETY: the block is ours alone, and so long.
        unsafe { block.start.as_ptr().write_bytes(0, capacity as usize) };
        block.filled = capacity;
        block
    }

    /// A block that holds a copy of `bytes`.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        let mut block = Self::with_capacity(u32::try_from(bytes.len()).expect("below 4 GiB"));
        block.push(bytes);
        block
    }

    /// Appends as much of `bytes` as fits; returns how much.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.spare());
        // SAFETY: the filled bytes end within the block.
        let end = unsafe { self.start.as_ptr().add(self.filled as usize) };
        // SAFETY: `n` bytes fit behind the filled ones, and `bytes` cannot overlap memory that we
        // own alone.
        unsafe { end.copy_from_nonoverlapping(bytes.as_ptr(), n) };
        self.filled += n as u32;
        n
    }

    /// Where a request may write, and how much. Nothing of it counts as filled yet.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.capacity
    }

    pub(crate) fn spare(&self) -> usize {
        (self.capacity - self.filled) as usize
    }

    pub(crate) fn len(&self) -> usize {
        self.filled as usize
    }

    /// Forgets the bytes, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }

    /// Says that the first `n` bytes are initialized.
    ///
    /// # Safety
    ///
    /// They are: the kernel, or the caller, has written them.
    pub(crate) unsafe fn set_filled(&mut self, n: u32) {
        assert!(n <= self.capacity, "{n} bytes cannot be in a block of {}", self.capacity);
        self.filled = n;
    }
}

impl std::ops::Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the first `filled` bytes are initialized and ours, and `&self` keeps them so.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.filled as usize) }
    }
}

impl std::ops::DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` is the only way to them.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.filled as usize) }
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the memory came from `with_capacity` with the same layout; whoever lent its address to
        // the kernel keeps the block until the terminal completion.
        unsafe { memory::free(self.start, layout(self.capacity)) };
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Block({} of {} bytes)", self.filled, self.capacity)
    }
}
