//! The provided-buffer ring: how a pool's free buffers reach the kernel.
//!
//! `uring-sys-notes/buffer-ring.md`. Only this thread writes entries; the kernel reads up to the
//! tail that was published with a release store.
#![expect(unsafe_code, reason = "writes entries that the kernel reads concurrently")]

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use crate::buf::Pool;
use crate::sys::memory::Map;

/// The registered ring of entries. It stays mapped until the io_uring is closed.
pub(super) struct Provided {
    map: Map,
    group: u16,
    mask: u16,
    size: u32,
    tail: u16,
}

impl Provided {
    /// Registers a ring with room for every buffer of the pool, as this group.
    ///
    /// # Errors
    ///
    /// `EINVAL` before Linux 5.19; `ENOMEM` where RLIMIT_MEMLOCK is too low.
    pub(super) fn register(ring: &IoUring, pool: &Pool, group: u16) -> io::Result<Self> {
        let count = pool.count();
        let mut map = Map::new(usize::from(count) * size_of::<BufRingEntry>())?;
        // A child that wrote here would write into pages the kernel has pinned for us.
        map.dont_fork()?;
        // SAFETY: the mapping is page-aligned, large enough for `count` entries, and outlives the
        // ring: `Uring` closes its ring first.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(map.as_ptr() as u64, count, group, 0)?;
        }
        Ok(Self { map, group, mask: count - 1, size: pool.size(), tail: 0 })
    }

    /// Takes the ring back, with every buffer in it. No receive into the pool is in flight.
    pub(super) fn unregister(self, ring: &IoUring, pool: &Pool) {
        if ring.submitter().unregister_buf_ring(self.group).is_ok() {
            pool.untake_all();
        }
    }

    /// Hands every free buffer of the pool to the kernel.
    pub(super) fn publish(&mut self, pool: &Pool) {
        let before = self.tail;
        while let Some((id, buffer)) = pool.take() {
            let index = usize::from(self.tail & self.mask);
            // SAFETY: the index is below the count that the mapping was made for.
            let entry = unsafe { self.map.as_ptr().cast::<BufRingEntry>().add(index) };
            // SAFETY: the kernel reads entries before the tail only; there are as many entries as
            // buffers, and this buffer is in none of them, so this one is beyond the tail. The
            // fields are set one by one because the tail itself overlays the first entry's `resv`.
            let entry = unsafe { &mut *entry };
            entry.set_addr(buffer.as_ptr() as u64);
            entry.set_len(self.size);
            entry.set_bid(id);
            self.tail = self.tail.wrapping_add(1);
        }
        if self.tail != before {
            // SAFETY: the tail is the `resv` of entry 0, inside the mapping and aligned.
            let tail = unsafe { BufRingEntry::tail(self.map.as_ptr().cast::<BufRingEntry>()) };
            // SAFETY: we write it with atomics only, the kernel only reads it.
            let tail = unsafe { &*tail.cast::<AtomicU16>() };
            tail.store(self.tail, Ordering::Release);
        }
    }
}
