//! Tells processes apart across `fork(2)`.
//!
//! One word of memory that the kernel wipes in children (`MADV_WIPEONFORK`, Linux 4.14): reading it
//! costs a load, where `getpid(2)` would cost a syscall. Where the kernel cannot wipe, no process
//! takes itself for a child.
#![expect(unsafe_code, reason = "reads a word that fork(2) changes behind the compiler's back")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::memory::Map;

/// A process, among those that a fork may have made of one: what belongs to another is not ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Process(u64);

/// Where this process's number is: 0 in a child that has not asked for one. Null until one asks.
static WORD: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

/// The word where the kernel wipes none.
static UNWIPED: AtomicU64 = AtomicU64::new(0);

/// The number of the last process, in this line of forks, that asked. A child has its own copy, so
/// its number is above those of all that it descends from.
static LAST: AtomicU64 = AtomicU64::new(0);

impl Process {
    /// The process that asks.
    pub(crate) fn current() -> Self {
        let word = word();
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

    /// As a number, for an atomic.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// The process of these [`bits`](Self::bits); of 0, none that asked.
    pub(crate) fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether it is not the process that asks: this one was forked from it.
    pub(crate) fn is_foreign(self) -> bool {
        word().load(Ordering::Relaxed) != self.0
    }
}

fn word() -> &'static AtomicU64 {
    let known = WORD.load(Ordering::Acquire);
    // SAFETY: it is null or the start of a word that lives for ever, see `first_word`.
    unsafe { known.as_ref() }.unwrap_or_else(first_word)
}

/// Two threads may come here at once: no lock stands between them, for a fork would leave it locked.
#[cold]
fn first_word() -> &'static AtomicU64 {
    let map = Map::new(4096).and_then(|map| map.wipe_on_fork().map(|()| map));
    let word = match &map {
        Ok(map) => map.as_ptr().cast::<AtomicU64>(),
        Err(_) => (&raw const UNWIPED).cast_mut(),
    };
    let stored = WORD.compare_exchange(ptr::null_mut(), word, Ordering::AcqRel, Ordering::Acquire);
    let word = match stored {
        Ok(_) => {
            // Never unmapped.
            std::mem::forget(map);
            word
        }
        Err(first) => first,
    };
    // SAFETY: a static, or a page-aligned mapping of 4096 zero bytes that whoever stored it has
    // forgotten: it lives for ever, and all access is atomic.
    unsafe { &*word }
}
