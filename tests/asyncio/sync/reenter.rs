//! Wakers that come back into the primitive that clones, wakes or drops them.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use ringloop::spawn;
use ringloop::sync::{Barrier, Condvar, Event, Mutex, Notify, Semaphore};
use ringloop::time::{Timeout, now};

use super::hooks::{Call, hook, unhook, waker, wakes};
use crate::support::{build, on_each_backend, run_on_each};

fn poll<F: Future + Unpin>(future: &mut F, number: usize) -> Poll<F::Output> {
    let waker = waker(number);
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

/// Does `act` at the first call of that kind.
fn at_first(call: Call, act: impl FnOnce() + 'static) {
    let act = Cell::new(Some(act));
    hook(move |now| {
        if now == call
            && let Some(act) = act.take()
        {
            act();
        }
    });
}

// Seen to fail when the state was not looked at again after the clone.
#[test]
fn what_is_released_while_the_waker_is_cloned_is_not_slept_over() {
    let mutex = Rc::new(Mutex::new(()));
    let held = mutex.clone().try_lock_owned();
    at_first(Call::Clone, move || drop(held));
    assert!(poll(&mut mutex.lock(), 1).is_ready());

    let event = Rc::new(Event::new());
    let set = event.clone();
    at_first(Call::Clone, move || set.set());
    assert!(poll(&mut event.wait(), 1).is_ready());

    let notify = Rc::new(Notify::new());
    let call = notify.clone();
    at_first(Call::Clone, move || call.notify_one());
    assert!(poll(&mut notify.notified(), 1).is_ready());

    let barrier = Rc::new(Barrier::new(2));
    let abort = barrier.clone();
    at_first(Call::Clone, move || abort.abort());
    assert!(poll(&mut barrier.wait(), 1).is_ready());
    unhook();
}

// Seen to fail when the list was not asked again after the waker was renewed.
#[test]
fn what_is_handed_over_while_the_waker_is_renewed_is_not_slept_over() {
    for call in [Call::Clone, Call::Drop] {
        let mutex = Rc::new(Mutex::new(()));
        let held = mutex.clone().try_lock_owned();
        let mut wait = mutex.clone().lock_owned();
        assert!(poll(&mut wait, 1).is_pending());
        let before = wakes();
        at_first(call, move || drop(held));
        let polled = poll(&mut wait, 2);
        unhook();
        assert_eq!(wakes() - before, 1, "{call:?}");
        // Its old waker was woken: then it must not wait. Its new one: then it is polled again.
        assert_eq!(polled.is_ready(), call == Call::Clone);
        assert!(polled.is_ready() || poll(&mut wait, 2).is_ready());
    }
}

#[test]
fn a_waker_that_drops_the_next_waiter_loses_nothing() {
    let semaphore = Rc::new(Semaphore::new(0));
    let mut first = semaphore.clone().acquire_owned();
    let mut second = semaphore.clone().acquire_many_owned(2);
    let mut third = semaphore.clone().acquire_owned();
    assert!(poll(&mut first, 1).is_pending());
    assert!(poll(&mut second, 2).is_pending());
    assert!(poll(&mut third, 3).is_pending());
    let before = wakes();
    at_first(Call::Wake, move || drop(second));
    semaphore.add_permits(2);
    unhook();
    assert_eq!(wakes() - before, 2);
    assert!(poll(&mut first, 1).is_ready() && poll(&mut third, 3).is_ready());
    drop((first, third));
    assert_eq!(semaphore.available_permits(), 2);
}

// Seen to fail when the line was entered after the mutex was unlocked.
#[test]
fn a_notification_that_comes_with_the_unlocking_finds_the_waiter() {
    let shared = Rc::new((Mutex::new(()), Condvar::new()));
    let mut wait = Box::pin(shared.1.wait(shared.0.try_lock().unwrap()));
    let mut next = shared.0.lock();
    assert!(poll(&mut next, 2).is_pending());
    let call = shared.clone();
    // The mutex is handed to `next`, whose waker notifies.
    at_first(Call::Wake, move || call.1.notify_one());
    assert!(poll(&mut wait, 1).is_pending());
    unhook();
    drop(next);
    assert!(poll(&mut wait, 1).is_ready(), "the notification was lost");
}

// A crowd is let through in one step: a waker of one finds the others as if they had been woken as well.
// Seen to fail when each was handed its own just before its wake.
#[test]
fn a_call_for_one_in_the_middle_of_a_call_for_all_is_kept() {
    let notify = Rc::new(Notify::new());
    let (mut first, mut second) = (notify.notified(), notify.notified());
    assert!(poll(&mut first, 1).is_pending() && poll(&mut second, 2).is_pending());
    let call = notify.clone();
    at_first(Call::Wake, move || call.notify_one());
    notify.notify_waiters();
    unhook();
    assert!(poll(&mut first, 1).is_ready() && poll(&mut second, 2).is_ready());
    assert!(poll(&mut notify.notified(), 3).is_ready(), "the call for one was lost");
}

#[test]
fn a_waker_of_a_barrier_that_drops_and_resets_finds_the_round_over() {
    let barrier = Rc::new(Barrier::new(3));
    let lost = Rc::new(RefCell::new(None));
    let mut first = barrier.wait();
    let mut second = barrier.wait();
    assert!(poll(&mut first, 1).is_pending() && poll(&mut second, 2).is_pending());
    let (reset, seen) = (barrier.clone(), lost.clone());
    at_first(Call::Wake, move || {
        *seen.borrow_mut() = Some(reset.n_waiting());
        reset.reset();
    });
    let mut last = pin!(barrier.wait());
    assert_eq!(poll(&mut last, 3).map(|result| result.is_ok()), Poll::Ready(true));
    unhook();
    assert_eq!(lost.take(), Some(0));
    assert_eq!(poll(&mut first, 1).map(|result| result.unwrap().index()), Poll::Ready(0));
    assert_eq!(poll(&mut second, 2).map(|result| result.unwrap().index()), Poll::Ready(1));
}

#[test]
fn wakers_that_panic_are_heard_by_nobody_else() {
    let event = Event::new();
    let (mut first, mut second) = (event.wait(), event.wait());
    assert!(poll(&mut first, 1).is_pending() && poll(&mut second, 2).is_pending());
    hook(|call| assert!(call == Call::Clone, "a waker that panics"));
    let set = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| event.set()));
    unhook();
    assert!(set.is_ok());
    assert!(poll(&mut first, 1).is_ready() && poll(&mut second, 2).is_ready());
}

// Seen to fail when the task was not looked at again after the clone.
#[test]
fn who_waits_for_a_task_is_woken_when_the_clone_of_its_waker_ends_the_runtime() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let mut task = None;
        runtime.block_on(async { task = Some(spawn(pending::<()>())) });
        let mut task = task.unwrap();
        let before = wakes();
        at_first(Call::Clone, move || drop(runtime));
        assert!(poll(&mut task, 1).is_pending());
        assert_eq!(wakes(), before + 1);
        let ended = poll(&mut task, 1);
        assert!(matches!(ended, Poll::Ready(Err(error)) if error.is_cancelled()));
        unhook();
    });
}

// Seen to fail when the limit was not looked at again after the clone.
#[test]
fn a_limit_that_the_clone_of_a_waker_moves_is_looked_at_again() {
    run_on_each(|| async {
        let before = wakes();
        let limit = Rc::new(Timeout::new(None));
        let moved = limit.clone();
        at_first(Call::Clone, move || moved.reschedule(now()).unwrap());
        let mut run = Box::pin(limit.run(pending::<()>()));
        assert!(poll(&mut run, 2).is_pending());
        assert_eq!(wakes(), before + 1);
        unhook();
        assert!(run.await.is_err());
    });
}
