//! Waiting, from another thread, for the result of a task.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::join::JoinError;
use crate::sys::sync::{Arc, Condvar, Mutex};

/// A task of another thread's runtime: await it under any executor, or block with
/// [`join`](Self::join).
///
/// Dropping it detaches. When the runtime ends before the task, the result is `Cancelled`; so it is in
/// a forked child, where nobody will send it.
#[must_use = "dropping it detaches the task"]
pub struct RemoteJoinHandle<T> {
    shared: Arc<Shared<T>>,
}

/// The side that knows the result. Dropping it unsent says `Cancelled`.
pub(crate) struct RemoteSender<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    sent: Condvar,
}

enum State<T> {
    Waiting(Option<Waker>),
    Sent(Result<T, JoinError>),
    Taken,
}

/// The two sides of one result.
pub(crate) fn remote<T>() -> (RemoteSender<T>, RemoteJoinHandle<T>) {
    let shared = Arc::new(Shared { state: Mutex::new(State::Waiting(None)), sent: Condvar::new() });
    (RemoteSender { shared: shared.clone() }, RemoteJoinHandle { shared })
}

impl<T> RemoteSender<T> {
    /// Leaves the result and wakes whoever waits.
    pub(crate) fn send(self, result: Result<T, JoinError>) {
        self.shared.send(result);
    }
}

impl<T> Drop for RemoteSender<T> {
    fn drop(&mut self) {
        self.shared.send(Err(JoinError::cancelled()));
    }
}

impl<T> Shared<T> {
    /// The first result counts.
    fn send(&self, result: Result<T, JoinError>) {
        let Some(mut state) = self.state.lock() else { return };
        let State::Waiting(waker) = &mut *state else { return };
        let waker = waker.take();
        *state = State::Sent(result);
        drop(state);
        self.sent.notify_all();
        if let Some(waker) = waker {
            super::wake(waker);
        }
    }

    /// The result, if it is there. In a forked child nobody will send one.
    fn take(&self, state: &mut State<T>) -> Option<Result<T, JoinError>> {
        match std::mem::replace(state, State::Taken) {
            State::Sent(result) => Some(result),
            other => {
                let never = matches!(other, State::Waiting(_)) && self.state.is_foreign();
                *state = other;
                never.then(|| Err(JoinError::cancelled()))
            }
        }
    }
}

/// A result that nobody took: a panic is told, by the process that it happened in.
impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        if self.state.is_foreign() {
            return;
        }
        let Some(mut state) = self.state.lock() else { return };
        let last = std::mem::replace(&mut *state, State::Taken);
        drop(state);
        if let State::Sent(Err(error)) = last {
            error.report();
        }
    }
}

impl<T> RemoteJoinHandle<T> {
    /// Blocks this thread until the task has ended.
    ///
    /// # Errors
    ///
    /// [`JoinError`], where the task was cancelled, panicked, or its runtime ended.
    ///
    /// On the runtime's own thread it would wait for itself: await the handle there.
    pub fn join(self) -> Result<T, JoinError> {
        let Some(mut state) = self.shared.state.lock() else { return Err(JoinError::cancelled()) };
        loop {
            if let Some(result) = self.shared.take(&mut state) {
                return result;
            }
            state = self.shared.sent.wait(state).unwrap_or_else(|e| e.into_inner());
        }
    }

    /// Whether the result is there, or will never come.
    pub fn is_finished(&self) -> bool {
        let state = self.shared.state.lock();
        self.shared.state.is_foreign() || !matches!(state.as_deref(), Some(State::Waiting(_)))
    }
}

impl<T> Future for RemoteJoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let new = cx.waker().clone();
        let Some(mut state) = self.shared.state.lock() else {
            super::discard(new);
            return Poll::Ready(Err(JoinError::cancelled()));
        };
        if let Some(result) = self.shared.take(&mut state) {
            drop(state);
            super::discard(new);
            return Poll::Ready(result);
        }
        let old = match &mut *state {
            State::Waiting(waker) => waker.replace(new),
            _ => panic!("a RemoteJoinHandle was polled after it gave its result"),
        };
        drop(state);
        // User code: dropped with no lock held.
        super::discard(old);
        Poll::Pending
    }
}

impl<T> fmt::Debug for RemoteJoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteJoinHandle").field("is_finished", &self.is_finished()).finish()
    }
}
