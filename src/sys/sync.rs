//! The types that cross threads, under one name.
//!
//! The loom models of `ci/loom` compile the same source files against loom's twins of this module.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};

/// Locks, also after a panic elsewhere: what these locks protect is consistent at every statement.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Words of 64 wake bits that are allocated at once.
pub(crate) const SEGMENT_WORDS: usize = 1024;
