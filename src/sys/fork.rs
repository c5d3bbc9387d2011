//! Tells processes apart across `fork(2)`.
//!
//! One word of memory that the kernel wipes in children (`MADV_WIPEONFORK`, Linux 4.14): reading it
//! costs a load, where `getpid(2)` would cost a syscall. Where the kernel cannot wipe, no process
//! takes itself for a child.
#![expect(unsafe_code, reason = "reads a word that fork(2) changes behind the compiler's back")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::memory::Map;

/// A process, among those that a fork may have made of one: what belongs to another is not ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Process(u64);

/// This process's number; 0 in a child that has not asked for one.
static WORD: OnceLock<Option<Map>> = OnceLock::new();

/// The number of the last process, in this line of forks, that asked. A child has its own copy, so
/// its number is above those of all that it descends from.
static LAST: AtomicU64 = AtomicU64::new(0);

impl Process {
    /// The process that asks.
    pub(crate) fn current() -> Self {
        let Some(word) = word() else { return Self(0) };
        let number = word.load(Ordering::Relaxed);
        if number != 0 {
            return Self(number);
        }
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        match word.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Self(number),
            // Another thread asked as well.
            Err(number) => Self(number),
        }
    }

    /// Whether it is not the process that asks: this one was forked from it.
    pub(crate) fn is_foreign(self) -> bool {
        word().is_some_and(|word| word.load(Ordering::Relaxed) != self.0)
    }
}

fn word() -> Option<&'static AtomicU64> {
    let map = WORD.get_or_init(|| {
        let map = Map::new(4096).ok()?;
        map.wipe_on_fork().ok()?;
        Some(map)
    });
    // SAFETY: a page-aligned mapping of 4096 zero bytes holds an AtomicU64; it is in a static, so it
    // is never unmapped, and all access is atomic.
    map.as_ref().map(|map| unsafe { &*map.as_ptr().cast::<AtomicU64>() })
}
