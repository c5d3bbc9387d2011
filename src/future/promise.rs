//! A value that comes later, once, for all who wait for it.

use std::cell::{Cell, OnceCell, RefCell};
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::note::{self, On};
use crate::task::{self, CallHandle, Deferred, poll_proceed, spend};
use crate::wait_list::{Ticket, WaitList};

/// A value that is set once and awaited by as many as like, each of whom gets a clone; asyncio's [`Future`].
///
/// Clones are the same promise. One awaits `&promise`, or a clone; whoever waits is woken when the value is
/// set, and polled in the loop's next turn, never from within [`set`](Self::set). For a failure, let `T` be a
/// `Result`, its error in an `Rc` where it has no `Clone`. For one value to one waiter,
/// [`sync`](crate::sync) has cheaper things.
///
/// A promise that nobody sets is awaited for ever. It works under any executor; its callbacks need a runtime.
///
/// [`Future`]: https://docs.python.org/3/library/asyncio-future.html#asyncio.Future
///
/// # Examples
///
/// ```
/// use ringloop::future::Promise;
///
/// ringloop::run(async {
///     let promise = Promise::new();
///     let waiting = promise.clone();
///     let task = ringloop::spawn(async move { waiting.await });
///     promise.set("now").unwrap();
///     assert_eq!(task.await.unwrap(), Ok("now"));
///     assert_eq!((&promise).await, Ok("now"));
///     assert_eq!(promise.set("again"), Err("again"));
/// });
/// ```
#[doc(alias = "Future")]
#[doc(alias = "create_future")]
pub struct Promise<T> {
    shared: Rc<Shared<T>>,
}

struct Shared<T> {
    /// `None`: it was cancelled. Never changes, so user code may look at it without a borrow.
    outcome: OnceCell<Option<T>>,
    waiting: RefCell<WaitList<(), ()>>,
    /// In the order of registration; empty once there is an outcome.
    callbacks: RefCell<Vec<Callback<T>>>,
}

struct Callback<T> {
    deferred: Deferred,
    /// What it is called with. Filled when it is scheduled: a promise does not keep itself alive.
    argument: Rc<Cell<Option<Promise<T>>>>,
}

impl<T> Promise<T> {
    /// A promise that is not kept yet.
    pub fn new() -> Self {
        let shared = Shared {
            outcome: OnceCell::new(),
            waiting: RefCell::new(WaitList::new()),
            callbacks: RefCell::default(),
        };
        Self { shared: Rc::new(shared) }
    }

    /// Sets the value, and wakes all who wait for it.
    ///
    /// # Errors
    ///
    /// The value itself, where there was one already or the promise was cancelled.
    #[doc(alias = "set_result")]
    #[doc(alias = "set_exception")]
    pub fn set(&self, value: T) -> Result<(), T> {
        self.settle(Some(value)).map_err(|value| value.expect("it was set to a value"))
    }

    /// Says that no value will come: all who wait are told so. False if there is an outcome already.
    pub fn cancel(&self) -> bool {
        self.settle(None).is_ok()
    }

    /// A clone of the value; never waits.
    ///
    /// # Errors
    ///
    /// [`PromiseError`] where there is none: not yet, or because it was cancelled.
    pub fn result(&self) -> Result<T, PromiseError>
    where
        T: Clone,
    {
        let outcome = self.shared.outcome.get().ok_or(PromiseError::Pending)?;
        outcome.clone().ok_or(PromiseError::Cancelled)
    }

    /// Whether it has an outcome: a value, or a cancel.
    #[doc(alias = "done")]
    pub fn is_done(&self) -> bool {
        self.shared.outcome.get().is_some()
    }

    /// Whether it was cancelled.
    #[doc(alias = "cancelled")]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.shared.outcome.get(), Some(None))
    }

    /// Calls `callback` once there is an outcome: in the next turn of the loop, as by
    /// [`call_soon`](crate::call_soon), never inline; callbacks run in the order of their registration.
    ///
    /// With an outcome already, it is scheduled now. It runs in the runtime that runs now, whoever sets the
    /// value; if that one has ended by then, the callback is dropped. [`CallHandle::cancel`] takes it back,
    /// also when it is scheduled, and from within another callback.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::future::Promise;
    ///
    /// ringloop::run(async {
    ///     let promise = Promise::new();
    ///     promise.add_done_callback(|promise| println!("it is {}", promise.result().unwrap()));
    ///     promise.set(7).unwrap();
    ///     ringloop::task::yield_now().await;
    /// });
    /// ```
    #[doc(alias = "remove_done_callback")]
    #[track_caller]
    pub fn add_done_callback(&self, callback: impl FnOnce(&Self) + 'static) -> CallHandle
    where
        T: 'static,
    {
        let argument = Rc::new(Cell::new(None));
        let given = argument.clone();
        let call = move || callback(&given.take().expect("it was filled to be scheduled"));
        let deferred = task::defer(call, Location::caller());
        let handle = deferred.handle();
        let callback = Callback { deferred, argument };
        if self.is_done() {
            callback.schedule(self);
        } else {
            self.keep(callback);
        }
        handle
    }

    fn keep(&self, callback: Callback<T>) {
        let mut callbacks = self.shared.callbacks.borrow_mut();
        let mut cancelled = Vec::new();
        if callbacks.len() == callbacks.capacity() {
            let all = std::mem::take(&mut *callbacks).into_iter();
            (cancelled, *callbacks) = all.partition(|callback| callback.deferred.is_cancelled());
        }
        callbacks.push(callback);
        drop(callbacks);
        // The last of a runtime may go with it.
        drop(cancelled);
    }

    fn settle(&self, outcome: Option<T>) -> Result<(), Option<T>> {
        self.shared.outcome.set(outcome)?;
        let callbacks = self.shared.callbacks.take();
        callbacks.into_iter().for_each(|callback| callback.schedule(self));
        // Nobody joins them any more.
        let next = || self.shared.waiting.borrow_mut().hand_over(());
        while let Ok(waker) = next() {
            task::wake(waker);
        }
        Ok(())
    }
}

impl<T> Callback<T> {
    fn schedule(self, promise: &Promise<T>) {
        self.argument.set(Some(promise.clone()));
        self.deferred.schedule();
    }
}

impl<T> Default for Promise<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("is_done", &self.is_done())
            .field("is_cancelled", &self.is_cancelled())
            .field("waiting", &self.shared.waiting.borrow().len())
            .field("callbacks", &self.shared.callbacks.borrow().len())
            .finish()
    }
}

impl<T: Clone> IntoFuture for Promise<T> {
    type Output = Result<T, PromiseError>;
    type IntoFuture = PromiseFuture<T>;

    fn into_future(self) -> PromiseFuture<T> {
        PromiseFuture { promise: self, ticket: None }
    }
}

impl<T: Clone> IntoFuture for &Promise<T> {
    type Output = Result<T, PromiseError>;
    type IntoFuture = PromiseFuture<T>;

    fn into_future(self) -> PromiseFuture<T> {
        self.clone().into_future()
    }
}

/// Waits for the outcome of a [`Promise`].
///
/// # Cancel safety
///
/// Dropping it loses nothing: the value stays with the promise.
#[must_use = "futures do nothing unless awaited"]
pub struct PromiseFuture<T> {
    promise: Promise<T>,
    /// Its place, while it waits.
    ticket: Option<Ticket>,
}

impl<T> PromiseFuture<T> {
    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // It holds a waker: dropped when nothing is borrowed.
            let left = self.promise.shared.waiting.borrow_mut().leave(ticket);
            task::quietly(|| drop(left));
        }
    }

    /// Waits in line. The caller looks at the outcome afterwards: to clone a waker is user code.
    fn wait(&mut self, cx: &Context<'_>) {
        let shared = self.promise.shared.clone();
        if let Some(ticket) = &self.ticket {
            if shared.waiting.borrow().is_stale(ticket, cx.waker()) {
                let new = cx.waker().clone();
                let old = shared.waiting.borrow_mut().renew(ticket, new);
                task::discard(old);
            }
            return;
        }
        let waker = cx.waker().clone();
        if shared.outcome.get().is_some() {
            return task::discard(waker);
        }
        self.ticket = Some(shared.waiting.borrow_mut().enter((), waker));
    }
}

impl<T: Clone> Future for PromiseFuture<T> {
    type Output = Result<T, PromiseError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(poll_proceed(cx));
        if !self.promise.is_done() {
            self.wait(cx);
            if !self.promise.is_done() {
                note::waits("Promise", On::Nothing);
                return Poll::Pending;
            }
        }
        self.leave();
        spend();
        Poll::Ready(self.promise.result())
    }
}

impl<T> Drop for PromiseFuture<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<T> fmt::Debug for PromiseFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromiseFuture").field("promise", &self.promise).finish()
    }
}

/// Why a [`Promise`] gives no value; asyncio's `InvalidStateError` and `CancelledError`.
#[doc(alias = "InvalidStateError")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromiseError {
    /// There is none yet. Whoever awaits it waits instead.
    Pending,
    /// It was cancelled: there will be none.
    Cancelled,
}

impl fmt::Display for PromiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "the promise has no value yet: await it",
            Self::Cancelled => "the promise was cancelled",
        })
    }
}

impl Error for PromiseError {}
