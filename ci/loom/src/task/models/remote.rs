//! One thread has a result, another waits for it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;

use super::super::join::JoinError;
use super::super::remote::{RemoteJoinHandle, remote};
use super::{Count, OnDrop};
use crate::sys::Bell;
use crate::{Bound, check};

/// A task that waits for its own waker.
struct Task(Bell);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.ring();
    }
}

/// Polls with a waker that rings `bell`.
fn poll<T>(handle: &mut RemoteJoinHandle<T>, bell: &Bell) -> Poll<Result<T, JoinError>> {
    let waker = Waker::from(Arc::new(Task(bell.clone())));
    pin!(handle).poll(&mut Context::from_waker(&waker))
}

fn wait<T>(mut handle: RemoteJoinHandle<T>) -> Result<T, JoinError> {
    let bell = Bell::new();
    loop {
        if let Poll::Ready(result) = poll(&mut handle, &bell) {
            return result;
        }
        bell.wait();
    }
}

/// The result is sent while it is polled for. Exhaustive.
///
/// Breakages: `poll` looks for the result under one lock and leaves its waker under another; the
/// waker is woken before the result is there (it hangs).
pub fn a_result_that_is_sent_during_a_poll_wakes() {
    check(Bound::None, || {
        let (sender, handle) = remote();
        let thread = thread::spawn(move || sender.send(Ok(7)));
        assert_eq!(wait(handle), Ok(7));
        thread.join().unwrap();
    });
}

/// The handle goes from one task to another: the later one is woken. Exhaustive.
///
/// Breakages: the first waker is kept (it hangs).
pub fn the_waker_of_the_last_poll_is_woken() {
    check(Bound::None, || {
        let (sender, mut handle) = remote();
        let thread = thread::spawn(move || sender.send(Ok(7)));
        let (first, second) = (Bell::new(), Bell::new());
        let mut result = poll(&mut handle, &first);
        if result.is_pending() {
            result = poll(&mut handle, &second);
        }
        if result.is_pending() {
            second.wait();
            result = poll(&mut handle, &second);
        }
        assert_eq!(result, Poll::Ready(Ok(7)));
        thread.join().unwrap();
    });
}

/// The sender goes without a word, polled for and joined. Exhaustive.
///
/// Breakages: dropping it says nothing (it hangs).
pub fn a_sender_that_is_dropped_unsent_says_cancelled() {
    check(Bound::None, || {
        let (sender, handle) = remote::<()>();
        let thread = thread::spawn(move || drop(sender));
        assert_eq!(wait(handle), Err(JoinError::cancelled()));
        thread.join().unwrap();
    });
    check(Bound::None, || {
        let (sender, handle) = remote::<()>();
        let thread = thread::spawn(move || drop(sender));
        assert_eq!(handle.join(), Err(JoinError::cancelled()));
        thread.join().unwrap();
    });
}

/// A thread blocks on the result. Exhaustive.
///
/// Breakages: `send` does not notify; `join` unlocks between its look and its wait (it hangs);
/// dropping the sender overwrites what it sent (Cancelled).
pub fn a_blocking_join_does_not_hang() {
    check(Bound::None, || {
        let (sender, handle) = remote();
        let thread = thread::spawn(move || sender.send(Ok(7)));
        assert_eq!(handle.join(), Ok(7));
        thread.join().unwrap();
    });
}

/// The handle is dropped, polled before or not: the result is dropped once, and a wake that comes too
/// late breaks nothing. Exhaustive.
///
/// Breakages: dropping the sender overwrites what it sent (dropped once too early); `poll` under
/// two locks (no wake).
pub fn a_handle_that_is_dropped_detaches() {
    check(Bound::None, || {
        let (sender, mut handle) = remote();
        let dropped = Count::default();
        let guard = OnDrop(Some(dropped.clone()));
        let thread = thread::spawn(move || sender.send(Ok(guard)));
        let bell = Bell::new();
        let result = poll(&mut handle, &bell);
        drop(handle);
        thread.join().unwrap();
        assert_eq!(dropped.get(), usize::from(result.is_pending()));
        if result.is_pending() {
            // Sent after the poll: it woke.
            bell.wait();
        }
        drop(result);
        assert_eq!(dropped.get(), 1);
    });
}
