//! A child of a group: what the group sees of it, and what its handle sees.
//!
//! ```text
//!   group ──► dyn Member<E>  ◄── one allocation ──►  dyn Child<T> ◄── handle
//!             poll_end: how it ended                 outcome: its value
//! ```

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use super::harvest::Panic;
use crate::task::join::{JoinError, JoinHandle};
use crate::task::{discard, poll_proceed, spend, wake};

/// What the group sees of a child.
pub(super) trait Member<E> {
    /// How it ended. Contains its panics.
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End<E>>;
    /// Asks it to end, whereupon `poll_end` will say so.
    fn cancel(&self);
    /// Ends it without a further poll.
    fn abandon(&self);
}

/// How a child ended.
pub(super) enum End<E> {
    /// With a value, or cancelled.
    Fine,
    Failed(E),
    Panicked(Panic),
}

/// What a handle sees of a child.
pub(super) trait Child<T> {
    fn outcome(&self) -> &Outcome<T>;
    fn cancel(&self);
}

/// A value on its way from a child to its handle.
pub(super) struct Outcome<T> {
    value: Cell<Option<Result<T, JoinError>>>,
    is_there: Cell<bool>,
    waiter: Cell<Option<Waker>>,
}

impl<T> Outcome<T> {
    const fn new() -> Self {
        Self { value: Cell::new(None), is_there: Cell::new(false), waiter: Cell::new(None) }
    }

    fn set(&self, value: Result<T, JoinError>) {
        if self.is_there.replace(true) {
            return;
        }
        self.value.set(Some(value));
        if let Some(waiter) = self.waiter.take() {
            wake(waiter);
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, JoinError>> {
        if self.is_there.get() {
            let value = self.value.take();
            return Poll::Ready(value.expect("a ChildHandle was polled after it gave its result"));
        }
        let old = self.waiter.take();
        let known = old.as_ref().is_some_and(|waiter| waiter.will_wake(cx.waker()));
        self.waiter.set(old);
        if known {
            return Poll::Pending;
        }
        let new = cx.waker().clone();
        discard(self.waiter.replace(Some(new)));
        // The clone is user code, which may have ended the group.
        if self.is_there.get() {
            discard(self.waiter.take());
            return self.poll(cx);
        }
        Poll::Pending
    }
}

/// A child that borrows: polled within the group's own future.
pub(super) struct Scoped<F, T> {
    /// `None` while it is polled, and at the end.
    future: RefCell<Option<Pin<Box<F>>>>,
    cancelled: Cell<bool>,
    /// Its own: known since its first poll.
    waker: Cell<Option<Waker>>,
    outcome: Outcome<T>,
    added_at: &'static Location<'static>,
}

impl<F, T> Scoped<F, T> {
    pub(super) fn new(future: F, added_at: &'static Location<'static>) -> Self {
        Self {
            future: RefCell::new(Some(Box::pin(future))),
            cancelled: Cell::new(false),
            waker: Cell::new(None),
            outcome: Outcome::new(),
            added_at,
        }
    }

    fn panic(&self, payload: Box<dyn std::any::Any + Send>) -> Panic {
        Panic::here("a child of a task group panicked", payload, self.added_at)
    }

    fn ask_to_end(&self) {
        if !self.cancelled.replace(true)
            && let Some(waker) = self.waker.take()
        {
            wake(waker);
        }
    }
}

impl<E, T, F: Future<Output = Result<T, E>>> Member<E> for Scoped<F, T> {
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End<E>> {
        let future = self.future.take();
        let mut future = future.expect("a child that has not ended has a future");
        let polled = catch_unwind(AssertUnwindSafe(|| match self.cancelled.get() {
            true => Poll::Pending,
            false => future.as_mut().poll(cx),
        }));
        if let Ok(Poll::Pending) = polled
            && !self.cancelled.get()
        {
            self.future.replace(Some(future));
            let known = self.waker.take();
            self.waker.set(Some(known.unwrap_or_else(|| cx.waker().clone())));
            return Poll::Pending;
        }
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
        Poll::Ready(match (polled, dropped) {
            (Err(payload), dropped) => {
                // Only one is the block's, and the other must not be lost.
                if let Err(second) = dropped {
                    self.panic(second).report();
                }
                self.outcome.set(Err(JoinError::cancelled()));
                End::Panicked(self.panic(payload))
            }
            (Ok(_), Err(payload)) => {
                self.outcome.set(Err(JoinError::cancelled()));
                End::Panicked(self.panic(payload))
            }
            (Ok(Poll::Ready(Ok(value))), Ok(())) => {
                self.outcome.set(Ok(value));
                End::Fine
            }
            (Ok(Poll::Ready(Err(error))), Ok(())) => {
                self.outcome.set(Err(JoinError::cancelled()));
                End::Failed(error)
            }
            (Ok(Poll::Pending), Ok(())) => {
                self.outcome.set(Err(JoinError::cancelled()));
                End::Fine
            }
        })
    }

    fn cancel(&self) {
        self.ask_to_end();
    }

    fn abandon(&self) {
        let future = self.future.take();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
            self.panic(payload).report();
        }
        self.outcome.set(Err(JoinError::cancelled()));
    }
}

impl<T, F> Child<T> for Scoped<F, T> {
    fn outcome(&self) -> &Outcome<T> {
        &self.outcome
    }

    fn cancel(&self) {
        self.ask_to_end();
    }
}

/// A child that is a task.
pub(super) struct Spawned<T, E> {
    task: JoinHandle<Result<T, E>>,
    outcome: Outcome<T>,
}

impl<T, E> Spawned<T, E> {
    pub(super) fn new(task: JoinHandle<Result<T, E>>) -> Self {
        Self { task, outcome: Outcome::new() }
    }
}

impl<T, E> Member<E> for Spawned<T, E> {
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End<E>> {
        let (value, end) = match ready!(self.task.poll_join(cx)) {
            Ok(Ok(value)) => (Ok(value), End::Fine),
            Ok(Err(error)) => (Err(JoinError::cancelled()), End::Failed(error)),
            Err(error) => match error.into_parts() {
                Some((payload, hook)) => {
                    let panic = Panic::of_task(payload, hook, self.task.info());
                    (Err(JoinError::cancelled()), End::Panicked(panic))
                }
                None => (Err(JoinError::cancelled()), End::Fine),
            },
        };
        self.outcome.set(value);
        Poll::Ready(end)
    }

    fn cancel(&self) {
        self.task.cancel();
    }

    fn abandon(&self) {
        self.task.cancel();
        self.outcome.set(Err(JoinError::cancelled()));
    }
}

impl<T, E> Child<T> for Spawned<T, E> {
    fn outcome(&self) -> &Outcome<T> {
        &self.outcome
    }

    fn cancel(&self) {
        self.task.cancel();
    }
}

/// A child that a group did not take.
struct Refused<T>(Outcome<T>);

impl<T> Child<T> for Refused<T> {
    fn outcome(&self) -> &Outcome<T> {
        &self.0
    }

    fn cancel(&self) {}
}

/// A child of a [`TaskGroup`](super::TaskGroup): await it for its value, or drop it; the group waits for
/// it all the same.
///
/// It says *cancelled* where there is no value: the child was cancelled or refused, or it failed or
/// panicked, which goes to the group.
///
/// # Cancel safety
///
/// Polling by reference (`(&mut handle).await`) loses nothing when dropped.
///
/// # Examples
///
/// ```
/// use ringloop::task::TaskGroup;
///
/// ringloop::run(async {
///     let answer = TaskGroup::scope(async |group| {
///         let child = group.spawn(async { Ok::<_, std::fmt::Error>(6 * 7) });
///         Ok(child.await.unwrap())
///     });
///     assert_eq!(answer.await, Ok(Some(42)));
/// });
/// ```
pub struct ChildHandle<'env, T> {
    child: Rc<dyn Child<T> + 'env>,
}

impl<'env, T> ChildHandle<'env, T> {
    pub(super) fn new(child: Rc<dyn Child<T> + 'env>) -> Self {
        Self { child }
    }

    pub(super) fn refused() -> Self
    where
        T: 'env,
    {
        let outcome = Outcome::new();
        outcome.set(Err(JoinError::cancelled()));
        Self { child: Rc::new(Refused(outcome)) }
    }

    /// Asks the child to end: its future is dropped at its await in the loop's next turn. The group does
    /// not fail for that.
    ///
    /// A child that was never polled never runs. Doing it twice, or late, does nothing.
    #[doc(alias = "abort")]
    pub fn cancel(&self) {
        self.child.cancel();
    }

    /// Whether the child has ended.
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.child.outcome().is_there.get()
    }
}

impl<T> Future for ChildHandle<'_, T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(poll_proceed(cx));
        let result = ready!(self.child.outcome().poll(cx));
        spend();
        Poll::Ready(result)
    }
}

impl<T> fmt::Debug for ChildHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildHandle").field("is_finished", &self.is_finished()).finish()
    }
}
