//! The twin of `memory.rs` for test builds: whoever touches a piece that was freed is caught.
//!
//! ```text
//!   allocate:   │ pages of its own … the piece ends here ▌ a page that nobody may touch │
//!   free:       │ nobody may touch any of it; the addresses stay taken for a while      │
//! ```
//!
//! A thread that reads or writes there faults. The kernel does not: its operation ends with `EFAULT`,
//! and that ends the test (`Core::settle`). Buffers of a pool are guarded while they live, too: only
//! what a driver has taken may be written, only what is lent may be read.
#![expect(unsafe_code, reason = "maps, protects and unmaps pages")]

use std::alloc::Layout;
use std::collections::VecDeque;
use std::io;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard};

pub(super) const RECYCLES: bool = false;

const PAGE: usize = 4096;

/// Freed pieces whose addresses stay taken. Bounded: a process may have 65530 mappings.
const QUARANTINE: usize = 8192;

/// The oldest first: addresses and lengths.
static FREED: Mutex<VecDeque<(usize, usize)>> = Mutex::new(VecDeque::new());

pub(super) fn allocate(layout: Layout) -> io::Result<NonNull<u8>> {
    let (pages, gap) = place(layout);
    let start = map(pages + PAGE).or_else(|_| {
        // Too many mappings, perhaps.
        release(0);
        map(pages + PAGE)
    })?;
    protect(start.wrapping_add(pages), PAGE, libc::PROT_NONE);
    NonNull::new(start.wrapping_add(gap)).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// # Safety
///
/// As in `memory.rs`.
pub(super) unsafe fn free(start: NonNull<u8>, layout: Layout) {
    let (pages, gap) = place(layout);
    let (start, len) = (start.as_ptr().wrapping_sub(gap), pages + PAGE);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    // SAFETY: the range is the whole of a mapping of `allocate`, which by contract nobody needs.
    let sealed = unsafe { libc::mmap(start.cast(), len, libc::PROT_NONE, flags, -1, 0) };
    assert_ne!(sealed, libc::MAP_FAILED, "{}", io::Error::last_os_error());
    if let Some(mut freed) = freed() {
        freed.push_back((start as usize, len));
    }
    release(QUARANTINE);
}

/// How many bytes of pages a piece has, and where in them it begins: as late as its alignment allows.
fn place(layout: Layout) -> (usize, usize) {
    let pages = layout.size().next_multiple_of(PAGE);
    (pages, (pages - layout.size()) / layout.align() * layout.align())
}

/// A forked child may find the lock taken for ever; its addresses then stay taken, too.
fn freed() -> Option<MutexGuard<'static, VecDeque<(usize, usize)>>> {
    (0..1000).find_map(|_| match FREED.try_lock() {
        Ok(freed) => Some(freed),
        Err(_) => {
            std::thread::yield_now();
            None
        }
    })
}

/// Gives addresses back until so many pieces are left.
fn release(keep: usize) {
    let Some(mut freed) = freed() else { return };
    while freed.len() > keep {
        let Some((start, len)) = freed.pop_front() else { return };
        // SAFETY: a sealed mapping, which nobody has used since it was freed.
        unsafe { libc::munmap(start as *mut _, len) };
    }
}

fn map(len: usize) -> io::Result<*mut u8> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nobody's memory.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, -1, 0) };
    if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(start.cast()) }
}

fn protect(start: *mut u8, len: usize, access: i32) {
    // SAFETY: callers name whole pages of mappings of this file; a piece that may not be touched is one
    // that nobody touches.
    let result = unsafe { libc::mprotect(start.cast(), len, access) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

#[derive(Debug)]
pub(super) struct Rack {
    start: NonNull<u8>,
    count: u16,
    size: u32,
}

/// More buffers than this have no pages of their own: each may cost two mappings.
const GUARDED: u16 = 1024;

// SAFETY: as in `memory.rs`.
unsafe impl Send for Rack {}
// SAFETY: as in `memory.rs`.
unsafe impl Sync for Rack {}

impl Rack {
    pub(super) fn new(count: u16, size: u32) -> io::Result<Self> {
        let start = allocate(Self::layout(count, size))?;
        let this = Self { start, count, size };
        (0..count).for_each(|id| this.shut(id));
        Ok(this)
    }

    fn layout(count: u16, size: u32) -> Layout {
        super::layout(usize::from(count) * Self::stride(count, size), PAGE)
    }

    /// From one buffer to the next.
    fn stride(count: u16, size: u32) -> usize {
        if count > GUARDED { size as usize } else { (size as usize).next_multiple_of(PAGE) + PAGE }
    }

    /// The first page of a buffer.
    fn pages(&self, id: u16) -> *mut u8 {
        assert!(id < self.count, "buffer {id} of {}", self.count);
        self.start.as_ptr().wrapping_add(usize::from(id) * Self::stride(self.count, self.size))
    }

    /// Where a buffer begins: it ends with its last page, and the next one begins behind a page that
    /// nobody may touch.
    pub(super) fn buffer(&self, id: u16) -> NonNull<u8> {
        let gap = match self.count {
            ..=GUARDED => (self.size as usize).next_multiple_of(PAGE) - self.size as usize,
            _ => 0,
        };
        NonNull::new(self.pages(id).wrapping_add(gap)).expect("it lies inside of a mapping")
    }

    pub(super) fn open(&self, id: u16) {
        self.permit(id, libc::PROT_READ | libc::PROT_WRITE);
    }

    pub(super) fn lend(&self, id: u16) {
        self.permit(id, libc::PROT_READ);
    }

    pub(super) fn shut(&self, id: u16) {
        self.permit(id, libc::PROT_NONE);
    }

    fn permit(&self, id: u16, access: i32) {
        if self.count <= GUARDED {
            let stride = Self::stride(self.count, self.size);
            let pages = self.pages(id);
            protect(pages, stride - PAGE, access);
            protect(pages.wrapping_add(stride - PAGE), PAGE, libc::PROT_NONE);
        }
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        // SAFETY: as in `memory.rs`.
        unsafe { free(self.start, Self::layout(self.count, self.size)) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::super::Block;
    use super::*;

    /// What the kernel answers when it is asked to write four bytes to `at`.
    fn kernel_writes(at: *mut u8) -> Result<isize, Option<i32>> {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"four").unwrap();
        // SAFETY: none: that is the question.
        match unsafe { libc::read(reader.as_raw_fd(), at.cast(), 4) } {
            -1 => Err(io::Error::last_os_error().raw_os_error()),
            n => Ok(n),
        }
    }

    #[test]
    fn the_kernel_is_caught_where_it_writes_into_freed_memory() {
        let mut block = Block::with_capacity(100);
        let start = block.as_mut_ptr();
        assert_eq!(kernel_writes(start), Ok(4));
        assert_eq!(kernel_writes(start.wrapping_add(112)), Err(Some(libc::EFAULT)), "beyond it");
        drop(block);
        assert_eq!(kernel_writes(start), Err(Some(libc::EFAULT)));
        // Others come and go, and none gets the same place.
        for _ in 0..1000 {
            assert_ne!(Block::with_capacity(100).as_mut_ptr(), start);
        }
        assert_eq!(kernel_writes(start), Err(Some(libc::EFAULT)));
    }

    #[test]
    fn the_kernel_writes_only_into_buffers_that_a_driver_has_taken() {
        for size in [256, 4096, 5000] {
            let rack = Rack::new(4, size).unwrap();
            let second = rack.buffer(1).as_ptr();
            let last = second.wrapping_add(size as usize - 4);
            let refused = Err(Some(libc::EFAULT));
            assert_eq!(kernel_writes(second), refused, "free");
            rack.open(1);
            assert_eq!((kernel_writes(second), kernel_writes(last)), (Ok(4), Ok(4)));
            assert_eq!(kernel_writes(last.wrapping_add(4)), refused, "behind it");
            rack.lend(1);
            // SAFETY: lent buffers may be read.
            assert_eq!(unsafe { last.cast::<[u8; 4]>().read_unaligned() }, *b"four");
            assert_eq!(kernel_writes(second), refused, "lent");
            rack.shut(1);
            assert_eq!(kernel_writes(second), refused, "free again");
        }
    }
}
