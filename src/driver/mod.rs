//! Drivers: interpreters of requests.
//!
//! A driver turns [`Request`]s into kernel operations and hands back [`Completion`]s. It has never
//! heard of tasks. There are two, and a value chooses between them: [`uring`] submits to an
//! io_uring, [`epoll`] performs the plain syscalls of [`perform`] when a descriptor is ready.

mod backend;
mod epoll;
mod perform;
#[cfg_attr(not(any(test, ringloop_test)), path = "script/absent.rs")]
mod script;
mod uring;

#[cfg(test)]
mod contract;

use std::io;
use std::time::Instant;

use crate::buf::Pool;
use crate::op::{Call, Completion, Request, Token};
use crate::sys::Bell;

pub(crate) use backend::Backend;
pub use backend::{BackendChoice, BackendInfo, UnknownBackend};

/// The whole contract of a backend.
///
/// 1. Every `submit` gets exactly one terminal completion (one without `F_MORE`), also when it was
///    cancelled. Completions come only out of [`wait`](Self::wait), never from within `submit`.
/// 2. `submit` never blocks and never fails: what cannot be done completes with `-errno`. It may be
///    handed over at the next `wait` only.
/// 3. The memory that a request points to is not touched after its terminal completion.
/// 4. `cancel` is a wish. The request then ends with `-ECANCELED`, with what it had done by then, or
///    as if nobody had asked (a send of io_uring before Linux 6.0 with `-ECANCELED` although some had
///    gone); it ends, and the wish is never lost to a full queue. Cancelling a
///    token that is unknown or done is nothing.
/// 5. At most one send (or write, or connect) and one receive (or read, or accept) is in flight on a
///    descriptor: io_uring does not order them. The caller keeps it so, but for positioned file I/O,
///    which may overlap. The order of completions across descriptors is not defined.
/// 6. A request into the pool takes a buffer when bytes are there, not before. Without a free buffer
///    it ends with `-ENOBUFS`, and the bytes stay in the socket. A buffer that a completion names
///    belongs to the receiver of the completion, also when the request was cancelled.
/// 7. `wait` first hands over everything queued, then sleeps until a completion, the bell, or
///    `until`, and appends what has come. It may return early with nothing. With
///    [`Until::Now`] it does not sleep. The completion of a quiet send does not end a sleep.
/// 8. The bell ends a `wait` that sleeps, and the next one if none does.
/// 9. An idle driver sleeps: `wait(Until::Event)` costs no CPU time.
/// 10. Dropping a driver closes its ring or its epoll; the caller has seen every terminal completion
///     before, or leaks the memory of what is still in flight.
pub(crate) trait Driver {
    /// Queues `request`.
    fn submit(&mut self, token: Token, request: Request);

    /// Asks `token` to end early.
    fn cancel(&mut self, token: Token);

    /// Hands over everything queued, sleeps until a completion, the bell, or `until`; appends to
    /// `done`. Buffers that were given back to `pool` become available before anything else.
    fn wait(&mut self, until: Until, pool: &Pool, done: &mut Vec<Completion>) -> io::Result<()>;

    /// Whether a [`wait`](Self::wait) until [`Now`](Until::Now) would hand over nothing (but free
    /// buffers, which can wait) and bring nothing, so that it can be left out. Cheaper than that wait; it says so a limited number of times
    /// in a row, for some news shows in a wait only.
    fn is_quiet(&mut self) -> bool;

    /// Does a control call at once. Never blocks.
    fn call(&mut self, call: Call<'_>) -> io::Result<i32>;

    /// The only clock of the crate.
    fn now(&self) -> Instant;

    /// Rings, from any thread, to end a `wait`.
    fn bell(&self) -> Bell;
}

/// How long a [`Driver::wait`] may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Not at all.
    Now,
    /// Until this moment, at the longest.
    Instant(Instant),
    /// Until something happens.
    Event,
}
