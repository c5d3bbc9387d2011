//! Numbers about a runtime.

use std::cell::Cell;

use super::context::current;
use super::core::Core;
use crate::sys;

/// What a runtime has done since it was built. The counters down to `tasks_spawned` only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Turns of the loop.
    pub turns: u64,
    /// Of these, turns that slept until something came, or might have.
    pub sleeps: u64,
    /// Polls of tasks, the main future and callbacks included.
    pub polls: u64,
    /// Completions that the driver delivered.
    pub completions: u64,
    /// Completions that belonged to nobody. More than 0 is a bug, of ours or of the kernel.
    pub strays: u64,
    /// System calls that the runtime's thread made through ringloop.
    pub syscalls: u64,
    /// Of these, calls that moved bytes past the backend's queue, or tried to ([`Builder::direct`]).
    ///
    /// [`Builder::direct`]: crate::Builder::direct
    pub direct_calls: u64,
    /// Tasks ever spawned.
    pub tasks_spawned: u64,
    /// Tasks that have not ended.
    pub tasks_alive: usize,
    /// Operations in flight.
    pub in_flight: usize,
    /// Timers that are set.
    pub timers: usize,
    /// Bytes of memory behind received data that somebody holds.
    pub buffered: u64,
    /// Sockets that hold written bytes which the kernel has not taken yet.
    pub unsent: usize,
}

/// The numbers of the current runtime.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     assert_eq!(ringloop::metrics().strays, 0);
/// });
/// ```
pub fn metrics() -> Metrics {
    match current() {
        Ok(core) => of(&core),
        Err(error) => panic!("{error}"),
    }
}

pub(super) fn of(core: &Core) -> Metrics {
    let counters = core.counters();
    Metrics {
        turns: counters.turns.get(),
        sleeps: counters.sleeps.get(),
        polls: core.tasks().polls(),
        completions: counters.completions.get(),
        strays: counters.strays.get(),
        syscalls: sys::count::syscalls() - counters.syscalls_before,
        direct_calls: counters.direct_calls.get(),
        tasks_spawned: core.tasks().spawned(),
        tasks_alive: core.tasks().alive(),
        in_flight: core.in_flight(),
        timers: core.live_timers(),
        buffered: core.pool().used(),
        unsent: core.unsent(),
    }
}

/// The counters behind [`Metrics`], written by the loop.
#[derive(Debug)]
pub(super) struct Counters {
    turns: Cell<u64>,
    sleeps: Cell<u64>,
    completions: Cell<u64>,
    strays: Cell<u64>,
    direct_calls: Cell<u64>,
    syscalls_before: u64,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            turns: Cell::new(0),
            sleeps: Cell::new(0),
            completions: Cell::new(0),
            strays: Cell::new(0),
            direct_calls: Cell::new(0),
            syscalls_before: sys::count::syscalls(),
        }
    }

    pub(super) fn turn(&self) {
        self.turns.set(self.turns.get() + 1);
    }

    pub(super) fn sleep(&self) {
        self.sleeps.set(self.sleeps.get() + 1);
    }

    pub(super) fn completed(&self, n: usize) {
        self.completions.set(self.completions.get() + n as u64);
    }

    pub(super) fn direct(&self) {
        self.direct_calls.set(self.direct_calls.get() + 1);
    }

    pub(super) fn stray(&self) {
        self.strays.set(self.strays.get() + 1);
    }
}
