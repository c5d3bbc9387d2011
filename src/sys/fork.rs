//! Tells a forked child that it is one.
//!
//! One word of memory that the kernel wipes in children (`MADV_WIPEONFORK`, Linux 4.14): reading it
//! costs a load, where `getpid(2)` would cost a syscall. Where the kernel cannot wipe, no process
//! takes itself for a child.
#![expect(unsafe_code, reason = "reads a word that fork(2) changes behind the compiler's back")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::memory::Map;

const PARENT: u64 = 0x7269_6e67_6c6f_6f70;

static WORD: OnceLock<Option<Map>> = OnceLock::new();

fn word() -> Option<&'static AtomicU64> {
    let map = WORD.get_or_init(|| {
        let map = Map::new(4096).ok()?;
        map.wipe_on_fork().ok()?;
        // SAFETY: a page-aligned mapping of 4096 zero bytes holds an AtomicU64.
        unsafe { &*map.as_ptr().cast::<AtomicU64>() }.store(PARENT, Ordering::Relaxed);
        Some(map)
    });
    // SAFETY: the mapping is in a static, so it is never unmapped, and all access is atomic.
    map.as_ref().map(|map| unsafe { &*map.as_ptr().cast::<AtomicU64>() })
}

/// Marks this process as the parent. A runtime calls it when it is built.
pub(crate) fn mark() {
    word();
}

/// Whether this process was forked from one that had been [`mark`]ed.
pub(crate) fn in_child() -> bool {
    match WORD.get() {
        Some(Some(_)) => word().is_some_and(|word| word.load(Ordering::Relaxed) != PARENT),
        _ => false,
    }
}
