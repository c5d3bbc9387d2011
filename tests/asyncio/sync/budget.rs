//! The cooperative budget: what a task finds is counted, and one that has used it up is not passed by.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use ringloop::queue::{Queue, QueueShutdown, Shutdown};
use ringloop::spawn;
use ringloop::sync::{
    Barrier, Condvar, Event, Mutex, Notify, OnceCell, Semaphore, broadcast, mpsc, oneshot, watch,
};
use ringloop::task::yield_now;

use super::hooks::{waker, wakes};
use super::{settle, spend_all};
use crate::support::{poll_once, run_on_each};

// Y-05. Seen to fail when the budget was asked before the line was entered.
#[test]
fn a_set_that_is_cleared_again_reaches_who_came_without_budget() {
    run_on_each(|| async {
        let event = Rc::new(Event::new());
        let wait = spawn({
            let event = event.clone();
            async move {
                spend_all().await;
                event.wait().await;
            }
        });
        yield_now().await;
        event.set();
        event.clear();
        settle().await;
        assert!(wait.is_finished(), "it sleeps over the set");
    });
}

// Seen to fail when the budget was asked before the line was entered: the second call was lost.
#[test]
fn two_calls_reach_two_who_came_without_budget() {
    run_on_each(|| async {
        let notify = Rc::new(Notify::new());
        let tasks = [(); 2].map(|()| {
            let notify = notify.clone();
            spawn(async move {
                spend_all().await;
                notify.notified().await;
            })
        });
        yield_now().await;
        notify.notify_one();
        notify.notify_one();
        settle().await;
        assert!(tasks.iter().all(|task| task.is_finished()), "a call was lost");
    });
}

/// Goes on in a new poll, without budget.
async fn spend_afresh() {
    yield_now().await;
    spend_all().await;
}

/// A wait that begins without budget, and for which nobody else does anything.
async fn alone(wait: impl AsyncFnOnce()) {
    spend_afresh().await;
    let mut wait = pin!(wait());
    let before = wakes();
    // Under a waker of its own: whoever polls again by chance would find what is there.
    let polled = wait.as_mut().poll(&mut Context::from_waker(&waker(1)));
    assert!(polled.is_pending(), "it had budget");
    assert_eq!(wakes(), before + 1, "it sleeps over what is there");
    yield_now().await;
    assert!(poll_once(&mut wait).is_ready(), "it was woken in vain");
}

// Each seen to fail when nothing was handed over, or nobody woken, after the line was entered.
#[test]
fn what_is_there_already_lets_go_who_came_without_budget() {
    run_on_each(|| async {
        let event = Event::new();
        event.set();
        let (barrier, aborted) = (Barrier::new(1), Barrier::new(2));
        aborted.abort();
        let (full, shut) = (Queue::unbounded(), Queue::<u8>::unbounded());
        full.try_put(1).unwrap();
        shut.shutdown(Shutdown::Drain);
        alone(async || event.wait().await).await;
        let notify = Notify::new();
        notify.notify_one();
        alone(async || notify.notified().await).await;
        let notified = notify.notified();
        notify.notify_waiters();
        alone(async move || notified.await).await;
        alone(async || assert!(barrier.wait().await.unwrap().is_leader())).await;
        alone(async || assert!(aborted.wait().await.is_err())).await;
        let semaphore = Semaphore::new(2);
        alone(async || drop(semaphore.acquire_many(2).await)).await;
        alone(async || assert_eq!(full.get().await, Ok(1))).await;
        alone(async || assert_eq!(shut.get().await, Err(QueueShutdown(())))).await;
        alone(async || shut.join().await).await;
        let (sender, mut receiver) = watch::channel(1);
        sender.send(2).unwrap();
        alone(async || receiver.changed().await.unwrap()).await;
    });
}

#[test]
fn who_came_without_budget_and_is_dropped_takes_nothing_along() {
    run_on_each(|| async {
        let (semaphore, queue) = (Semaphore::new(1), Queue::unbounded());
        queue.try_put(1).unwrap();
        let notify = Notify::new();
        notify.notify_one();
        spend_afresh().await;
        let (mut acquire, mut get) = (semaphore.acquire(), Box::pin(queue.get()));
        let (mut first, mut second) = (notify.notified(), notify.notified());
        assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
        assert!(poll_once(&mut acquire).is_pending() && poll_once(&mut get).is_pending());
        // It is theirs now.
        assert!(semaphore.try_acquire().is_none() && queue.try_get().is_err());
        drop((acquire, get, first));
        assert!(semaphore.try_acquire().is_some());
        assert_eq!(queue.try_get(), Ok(1));
        yield_now().await;
        assert!(poll_once(&mut second).is_ready(), "the call went with who was dropped");
    });
}

// Y-15.
#[test]
fn a_task_arrives_at_a_barrier_at_its_first_poll_also_without_budget() {
    run_on_each(|| async {
        let barrier = Rc::new(Barrier::new(2));
        let arrive = || {
            let barrier = barrier.clone();
            spawn(async move {
                spend_all().await;
                barrier.wait().await.unwrap().index()
            })
        };
        let first = arrive();
        yield_now().await;
        assert_eq!(barrier.n_waiting(), 1);
        let second = arrive();
        yield_now().await;
        assert_eq!(barrier.n_waiting(), 0, "the round is over");
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (0, 1));
    });
}

// Y-01, Q-04.
#[test]
fn who_came_without_budget_is_not_overtaken() {
    run_on_each(|| async {
        let (mutex, queue) = (Rc::new(Mutex::new(Vec::new())), Rc::new(Queue::unbounded()));
        let held = mutex.clone().lock_owned().await;
        let tasks = ['a', 'b'].map(|name| {
            let (mutex, queue) = (mutex.clone(), queue.clone());
            spawn(async move {
                if name == 'a' {
                    spend_all().await;
                }
                mutex.lock().await.push(name);
            });
            spawn(async move {
                if name == 'a' {
                    spend_all().await;
                }
                queue.get().await.unwrap()
            })
        });
        yield_now().await;
        drop(held);
        queue.try_put(1).unwrap();
        queue.try_put(2).unwrap();
        let [first, second] = tasks;
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 2));
        assert_eq!(*mutex.lock().await, ['a', 'b']);
    });
}

/// How many results one poll of a task gets.
async fn results(mut leaf: impl AsyncFnMut()) -> usize {
    let count = Cell::new(0);
    let mut many = pin!(async {
        while count.get() < 1000 {
            leaf().await;
            count.set(count.get() + 1);
        }
    });
    yield_now().await;
    let _ = poll_fn(|cx| Poll::Ready(many.as_mut().poll(cx))).await;
    count.get()
}

// Each seen to fail when its leaf did not count what it found.
#[test]
fn what_is_always_ready_lets_other_tasks_run() {
    run_on_each(|| async {
        let event = Event::new();
        event.set();
        assert_eq!(results(async || event.wait().await).await, 128, "Event");

        let notify = Notify::new();
        let notified = async || {
            notify.notify_one();
            notify.notified().await;
        };
        assert_eq!(results(notified).await, 128, "Notify");

        let barrier = Barrier::new(1);
        assert_eq!(results(async || _ = barrier.wait().await).await, 128, "Barrier");

        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        assert_eq!(results(async || drop(mutex.lock().await)).await, 128, "Mutex");
        let notified = async || {
            let Some(guard) = mutex.try_lock() else { return };
            let mut wait = pin!(condvar.wait(guard));
            assert!(poll_once(&mut wait).is_pending());
            condvar.notify_one();
            drop(wait.await);
        };
        // The notification, and the lock.
        assert_eq!(results(notified).await, 64, "Condvar");

        let cell = OnceCell::from(1);
        let get = async || assert_eq!(*cell.get_or_init(async || 2).await, 1);
        assert_eq!(results(get).await, 128, "OnceCell");
    });
}

// Each seen to fail when its leaf did not count what it found.
#[test]
fn a_channel_that_is_never_empty_lets_other_tasks_run() {
    run_on_each(|| async {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let recv = async || {
            sender.send(1).unwrap();
            assert_eq!(receiver.recv().await, Some(1));
        };
        assert_eq!(results(recv).await, 128, "mpsc");

        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut buffer = Vec::new();
        let recv = async || {
            for number in 0..4 {
                sender.send(number).unwrap();
            }
            receiver.recv_many(&mut buffer, 4).await;
        };
        assert_eq!(results(recv).await, 32, "mpsc, many");

        let once = async || {
            let (sender, receiver) = oneshot::channel();
            sender.send(1).unwrap();
            assert_eq!(receiver.await, Ok(1));
        };
        assert_eq!(results(once).await, 128, "oneshot");

        let (sender, mut receiver) = broadcast::channel(4);
        let recv = async || {
            sender.send(1).unwrap();
            assert_eq!(receiver.recv().await, Ok(1));
        };
        assert_eq!(results(recv).await, 128, "broadcast");

        let (sender, mut receiver) = watch::channel(1);
        let changed = async || {
            sender.send(1).unwrap();
            receiver.changed().await.unwrap();
        };
        assert_eq!(results(changed).await, 128, "watch");
        let holds = async || assert!(receiver.wait_for(|value| *value == 1).await.is_ok());
        assert_eq!(results(holds).await, 128, "watch, a condition");
    });
}
