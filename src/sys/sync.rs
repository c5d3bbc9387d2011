//! The types that cross threads, under one name.
//!
//! The loom models of `ci/loom` compile the same source files against loom's twins of this module.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
pub(crate) use std::sync::{Arc, Condvar, MutexGuard, OnceLock};
use std::sync::{PoisonError, TryLockError};

use super::fork::Process;

/// A mutex that no forked child waits for: whoever held it at the fork is not there to let go.
///
/// It locks also after a panic elsewhere: what such locks protect is consistent at every statement.
#[derive(Debug)]
pub(crate) struct Mutex<T> {
    value: std::sync::Mutex<T>,
    process: Process,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: std::sync::Mutex::new(value), process: Process::current() }
    }

    /// `None` only in a child of the process that made it, where somebody else has it, perhaps for
    /// ever.
    pub(crate) fn lock(&self) -> Option<MutexGuard<'_, T>> {
        if !self.is_foreign() {
            return Some(self.value.lock().unwrap_or_else(PoisonError::into_inner));
        }
        match self.value.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Nobody else can have it: no lock is taken.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process was forked from the one that made it.
    pub(crate) fn is_foreign(&self) -> bool {
        self.process.is_foreign()
    }
}

/// Words of 64 wake bits that are allocated at once.
pub(crate) const SEGMENT_WORDS: usize = 1024;
