//! How many syscalls this thread has made through ringloop.

use std::cell::Cell;

thread_local! {
    static SYSCALLS: Cell<u64> = const { Cell::new(0) };
}

/// Counts one. Every function in `sys` that enters the kernel calls it.
pub(super) fn one() {
    // A thread that is ending has nobody left to tell.
    let _ = SYSCALLS.try_with(|n| n.set(n.get() + 1));
}

/// The count so far.
pub(crate) fn syscalls() -> u64 {
    SYSCALLS.try_with(Cell::get).unwrap_or(0)
}
