//! Anonymous memory, straight from the kernel.
#![expect(unsafe_code, reason = "mmap(2), madvise(2)")]

use std::io;
use std::ptr::NonNull;

use super::fork::Process;
use super::{check, count};

/// A private, zeroed, page-aligned mapping, unmapped on drop.
#[derive(Debug)]
pub(crate) struct Map {
    start: NonNull<u8>,
    len: usize,
    /// Set by `dont_fork`: the only process that has the mapping.
    owner: Option<Process>,
}

// SAFETY: a mapping is plain memory that any thread may read, write and unmap; who may do so when
// is argued where its pointer is used.
unsafe impl Send for Map {}
// SAFETY: as above; `Map` itself only hands out its address.
unsafe impl Sync for Map {}

impl Map {
    /// Maps `len` bytes (more than 0), readable and writable. Untouched pages cost nothing.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        count::one();
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches nobody's memory.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len, owner: None })
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Keeps the mapping out of forked children: they fault rather than share what the kernel has
    /// pinned.
    pub(crate) fn dont_fork(&mut self) -> io::Result<()> {
        self.advise(libc::MADV_DONTFORK)?;
        self.owner = Some(Process::current());
        Ok(())
    }

    /// Gives forked children zeroes instead of a copy.
    pub(crate) fn wipe_on_fork(&self) -> io::Result<()> {
        self.advise(libc::MADV_WIPEONFORK)
    }

    fn advise(&self, advice: i32) -> io::Result<()> {
        count::one();
        // SAFETY: the range is our own mapping; neither advice changes it in this process.
        check(unsafe { libc::madvise(self.start.as_ptr().cast(), self.len, advice) }).map(drop)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if self.owner.is_some_and(Process::is_foreign) {
            // This child never had it; something else may be mapped there by now.
            return;
        }
        // SAFETY: the mapping is ours and whole; owners drop it when no pointer into it is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
