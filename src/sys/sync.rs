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

#[cfg(test)]
mod tests {
    #![expect(unsafe_code, reason = "fork(2), waitpid(2), _exit(2)")]

    use std::sync::mpsc::channel;

    use super::*;

    /// Runs `body` in a forked child: what it returns, if it returns.
    fn in_a_child(body: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child takes no lock but those of this test, which it is about, and ends itself.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: alarm takes a number: a child that waits for ever is ended.
            unsafe { libc::alarm(20) };
            let right = body();
            // SAFETY: nothing of the parent's is run on the way out.
            unsafe { libc::_exit(i32::from(!right)) };
        }
        let mut status = 0;
        // SAFETY: `status` is a writable int, and the child is ours.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        status == 0
    }

    // Seen to fail when `lock` waited in a child as well.
    #[test]
    fn a_child_takes_what_is_free_and_waits_for_nothing() {
        let (taken, free) = (Arc::new(Mutex::new(1)), Mutex::new(2));
        let (has, had) = channel();
        let (go, gone) = channel::<()>();
        let there = taken.clone();
        let holder = std::thread::spawn(move || {
            let guard = there.lock().unwrap();
            has.send(()).unwrap();
            gone.recv().unwrap();
            drop(guard);
        });
        had.recv().unwrap();
        let child = || {
            let own = Mutex::new(3);
            taken.is_foreign()
                && taken.lock().is_none()
                && free.lock().is_some_and(|two| *two == 2)
                && !own.is_foreign()
                && own.lock().is_some()
        };
        assert!(in_a_child(child));
        assert!(in_a_child(|| child() && in_a_child(child)), "a child's child");
        go.send(()).unwrap();
        // Here it waits.
        assert_eq!(taken.lock().as_deref(), Some(&1));
        assert!(!taken.is_foreign());
        holder.join().unwrap();
    }
}
