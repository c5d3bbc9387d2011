//! What the benchmarks ask of a runtime's own mutexes, semaphores and channels.
//!
//! Wherever a runtime brings none, `tokio::sync` stands in: it needs no runtime.

use std::ops::DerefMut;

pub(super) trait Lock: 'static {
    type Guard<'a>: DerefMut<Target = usize>;

    fn new() -> Self;

    fn lock(&self) -> impl Future<Output = Self::Guard<'_>>;
}

pub(super) trait Permits: 'static {
    /// Gives its permit back when it is dropped.
    type Permit<'a>;

    fn new(permits: usize) -> Self;

    fn acquire(&self) -> impl Future<Output = Self::Permit<'_>>;
}

pub(super) trait Once: 'static {
    type Sender: 'static;
    type Receiver: 'static;

    fn pair() -> (Self::Sender, Self::Receiver);

    fn send(sender: Self::Sender, value: usize);

    fn receive(receiver: Self::Receiver) -> impl Future<Output = usize>;
}

pub(super) trait Channel: 'static {
    type Sender: 'static;
    type Receiver: 'static;

    /// With room for `capacity` values before a sender waits.
    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver);

    fn send(sender: &Self::Sender, value: usize) -> impl Future<Output = ()>;

    fn receive(receiver: &mut Self::Receiver) -> impl Future<Output = usize>;
}

/// What an expectation says of an end that lives as long as the bench.
pub(super) const LIVES: &str = "the other end lives";
