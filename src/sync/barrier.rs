//! Tasks that wait for each other.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::waiters::Waiters;
use crate::task::{has_budget, poll_proceed, spend};
use crate::wait_list::Ticket;

/// A place where tasks wait until all of them are there; asyncio's [`Barrier`].
///
/// ```text
///             the last of the parties came: all go on, and the next round begins
///           ┌───────┐
///           ▼       │            abort
///   new ► Filling ──┴─────────────────────────────► Broken
///          │    ▲  reset: who waits gets an error        │ reset
///          └────┘◄───────────────────────────────────────┘
/// ```
///
/// A round ends in one step: who was let through stays let through, whatever comes before it runs, and who
/// comes meanwhile belongs to the next round.
///
/// [`Barrier`]: https://docs.python.org/3/library/asyncio-sync.html#asyncio.Barrier
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use ringloop::sync::Barrier;
///
/// ringloop::run(async {
///     let barrier = Rc::new(Barrier::new(3));
///     let tasks = [(); 2].map(|()| {
///         let barrier = barrier.clone();
///         ringloop::spawn(async move { barrier.wait().await.unwrap().is_leader() })
///     });
///     let mut leaders = usize::from(barrier.wait().await.unwrap().is_leader());
///     for task in tasks {
///         leaders += usize::from(task.await.unwrap());
///     }
///     assert_eq!(leaders, 1);
/// });
/// ```
pub struct Barrier {
    parties: usize,
    broken: Cell<bool>,
    /// Those of this round, in the order of arrival. When it ends they are handed their index, or an error.
    line: Waiters<(), Result<usize, BrokenBarrier>>,
}

/// What [`Barrier::wait`] gives: which of the tasks this is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BarrierWaitResult {
    index: usize,
    is_leader: bool,
}

/// The barrier was reset while this waited, or aborted; asyncio's `BrokenBarrierError`.
#[doc(alias = "BrokenBarrierError")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenBarrier(());

impl Barrier {
    /// A barrier for `parties` tasks.
    ///
    /// # Panics
    ///
    /// With no party.
    pub const fn new(parties: usize) -> Self {
        assert!(parties > 0, "a barrier has at least one party");
        Self { parties, broken: Cell::new(false), line: Waiters::new() }
    }

    /// Waits until as many tasks wait as there are parties; the last to come does not wait, and is the
    /// leader.
    ///
    /// # Errors
    ///
    /// [`BrokenBarrier`] when the barrier is [reset](Self::reset) meanwhile, or is
    /// [aborted](Self::abort).
    ///
    /// # Cancel safety
    ///
    /// Dropping it while the round is filling takes its arrival back. It arrives at the first poll.
    pub fn wait(&self) -> impl Future<Output = Result<BarrierWaitResult, BrokenBarrier>> + Unpin {
        Wait { barrier: self, ticket: None }
    }

    /// Gives an error to who waits, and begins again; also after [`abort`](Self::abort).
    pub fn reset(&self) {
        self.break_round(false);
    }

    /// Gives an error to who waits, and to who comes until there is a [`reset`](Self::reset).
    pub fn abort(&self) {
        self.break_round(true);
    }

    /// How many tasks have to wait.
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many wait for others to come.
    pub fn n_waiting(&self) -> usize {
        self.line.len()
    }

    /// Whether it was [aborted](Self::abort).
    #[doc(alias = "broken")]
    pub fn is_broken(&self) -> bool {
        self.broken.get()
    }

    fn break_round(&self, broken: bool) {
        self.broken.set(broken);
        self.line.hand_over_many(usize::MAX, || Err(BrokenBarrier(())));
    }

    /// What the barrier says to a newcomer, if that need not wait.
    fn arrive(&self) -> Option<Result<usize, BrokenBarrier>> {
        if self.broken.get() {
            return Some(Err(BrokenBarrier(())));
        }
        if self.line.len() < self.parties - 1 {
            return None;
        }
        self.end_round();
        Some(Ok(self.parties - 1))
    }

    /// After an arrival that was not asked whether it need wait.
    fn settle(&self) {
        if self.broken.get() {
            self.break_round(true);
        } else if self.line.len() == self.parties {
            self.end_round();
        }
    }

    fn end_round(&self) {
        let mut indices = 0..;
        self.line
            .hand_over_many(usize::MAX, || Ok(indices.next().expect("there is always one more")));
    }
}

struct Wait<'a> {
    barrier: &'a Barrier,
    ticket: Option<Ticket>,
}

impl Future for Wait<'_> {
    type Output = Result<BarrierWaitResult, BrokenBarrier>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { barrier, ticket } = &mut *self;
        if ticket.is_none() && !has_budget() {
            // It arrives all the same.
            barrier.line.enter(ticket, (), cx, "Barrier::wait");
            barrier.settle();
            return Poll::Pending;
        }
        ready!(poll_proceed(cx));
        let told = if ticket.is_some() {
            ready!(barrier.line.poll(ticket, cx, "Barrier::wait"))
        } else {
            ready!(barrier.line.enter_unless(ticket, (), cx, "Barrier::wait", || barrier.arrive()))
        };
        spend();
        let is_leader = |index| index == barrier.parties - 1;
        Poll::Ready(told.map(|index| BarrierWaitResult { index, is_leader: is_leader(index) }))
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.barrier.line.leave(ticket);
        }
    }
}

impl BarrierWaitResult {
    /// Which in the order of arrival this was in its round, from 0.
    ///
    /// Each of a round has another; if somebody ahead was dropped meanwhile, those behind have moved up.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether this was the last to come. One of each round is.
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult")
            .field("index", &self.index)
            .field("is_leader", &self.is_leader)
            .finish()
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties)
            .field("n_waiting", &self.n_waiting())
            .field("is_broken", &self.is_broken())
            .finish()
    }
}

impl fmt::Display for BrokenBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the barrier was reset or aborted while tasks waited at it")
    }
}

impl std::error::Error for BrokenBarrier {}
