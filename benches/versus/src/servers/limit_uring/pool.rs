//! The ring of provided buffers: the kernel takes one for each piece that it receives.
//!
//! 128 × 16 KiB: buffers come back last in line, so a larger ring walks through the cache.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

pub(super) struct Pool {
    ring: *mut BufRingEntry,
    memory: *mut u8,
    tail: u16,
    /// Buffers that the kernel has filled and that have not come back.
    lent: usize,
}

pub(super) const BUFFERS: usize = 128;
const SIZE: usize = 16 << 10;
const RING: usize = 4096;

/// Of the one ring.
pub(super) const GROUP: u16 = 0;

impl Pool {
    pub(super) fn new(submitter: &Submitter<'_>) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        let len = RING + BUFFERS * SIZE;
        // SAFETY: a fresh mapping. It is never unmapped: the kernel may write to it to the end.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let ring = base.cast::<BufRingEntry>();
        // SAFETY: RING bytes at a page's beginning, which stay.
        unsafe {
            submitter.register_buf_ring_with_flags(ring as u64, BUFFERS as u16, GROUP, 0)?;
        }
        // SAFETY: within the mapping.
        let memory = unsafe { base.cast::<u8>().add(RING) };
        let mut pool = Self { ring, memory, tail: 0, lent: BUFFERS };
        (0..BUFFERS as u16).for_each(|id| pool.give_back(id));
        pool.publish();
        Ok(pool)
    }

    /// The kernel has filled a buffer.
    pub(super) fn take(&mut self) {
        self.lent += 1;
    }

    /// The kernel sees it with the next [`publish`](Self::publish).
    pub(super) fn give_back(&mut self, id: u16) {
        self.lent -= 1;
        // SAFETY: an index below BUFFERS, of a place that the kernel does not read before the tail
        // passes it: no more buffers are in the ring than it has places.
        let entry = unsafe { &mut *self.ring.add(usize::from(self.tail) % BUFFERS) };
        entry.set_addr(self.bytes(id) as u64);
        entry.set_len(SIZE as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    pub(super) fn publish(&mut self) {
        // SAFETY: the tail lies in the ring, at a fixed place of its first entry.
        let tail = unsafe { &*BufRingEntry::tail(self.ring).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    pub(super) fn bytes(&self, id: u16) -> *const u8 {
        // SAFETY: the kernel gives only ids that it got, and they are below BUFFERS.
        unsafe { self.memory.add(usize::from(id) * SIZE) }
    }

    pub(super) fn free(&self) -> usize {
        BUFFERS - self.lent
    }
}
