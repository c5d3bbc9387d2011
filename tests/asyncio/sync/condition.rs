//! `asyncio.Condition` is `Condvar`.

use std::rc::Rc;

use ringloop::spawn;
use ringloop::sync::{Condvar, Mutex};
use ringloop::task::{JoinHandle, yield_now};

use super::{Log, settle};
use crate::support::run_on_each;

type Shared = Rc<(Mutex<Vec<&'static str>>, Condvar)>;

/// A task that waits once, then leaves its name.
fn waiter(shared: &Shared, name: &'static str) -> JoinHandle<()> {
    let shared = shared.clone();
    spawn(async move {
        let (mutex, condvar) = &*shared;
        let guard = mutex.lock().await;
        condvar.wait(guard).await.push(name);
    })
}

async fn seen(shared: &Shared) -> Vec<&'static str> {
    settle().await;
    std::mem::take(&mut *shared.0.lock().await)
}

// Y-08, check 84. To wait without the lock cannot be written: it takes the guard.
#[test]
fn waiting_gives_up_the_lock_and_has_it_again_afterwards() {
    run_on_each(|| async {
        let shared = Shared::default();
        let task = waiter(&shared, "a");
        settle().await;
        let mut guard = shared.0.try_lock().expect("who waits has unlocked");
        guard.push("before");
        shared.1.notify_one();
        settle().await;
        assert!(!task.is_finished(), "it needs the lock");
        drop(guard);
        task.await.unwrap();
        assert_eq!(seen(&shared).await, ["before", "a"]);
    });
}

// Y-11, check 84.
#[test]
fn so_many_are_woken_in_order_and_no_more() {
    run_on_each(|| async {
        let shared = Shared::default();
        for name in ["a", "b", "c", "d", "e", "f"] {
            waiter(&shared, name);
            settle().await;
        }
        shared.1.notify_one();
        assert_eq!(seen(&shared).await, ["a"]);
        shared.1.notify(2);
        assert_eq!(seen(&shared).await, ["b", "c"]);
        shared.1.notify(0);
        assert_eq!(seen(&shared).await, [""; 0]);
        shared.1.notify_all();
        assert_eq!(seen(&shared).await, ["d", "e", "f"]);
        // Nobody waits: nothing is kept.
        shared.1.notify_one();
        let task = waiter(&shared, "g");
        settle().await;
        assert!(!task.is_finished());
    });
}

// Y-08, check 84: asyncio takes the lock again before it lets a cancel through; a dropped future leaves it.
#[test]
fn a_cancelled_wait_leaves_the_lock_to_others() {
    run_on_each(|| async {
        let shared = Shared::default();
        let task = waiter(&shared, "a");
        settle().await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(!shared.0.is_locked());
        // While it waits for the lock again.
        let task = waiter(&shared, "b");
        settle().await;
        let guard = shared.0.lock().await;
        shared.1.notify_all();
        settle().await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        drop(guard);
        assert!(!shared.0.is_locked());
    });
}

// Y-09, check 84. Seen to fail when a dropped wait passed nothing on, before it locked again and meanwhile.
#[test]
fn a_notification_of_a_cancelled_waiter_goes_to_the_next() {
    run_on_each(|| async {
        for relocking in [false, true] {
            let shared = Shared::default();
            let first = waiter(&shared, "a");
            settle().await;
            waiter(&shared, "b");
            settle().await;
            let guard = shared.0.lock().await;
            shared.1.notify_one();
            if relocking {
                settle().await;
            }
            first.cancel();
            drop(guard);
            assert_eq!(seen(&shared).await, ["b"], "relocking: {relocking}");
        }
    });
}

// Y-10, check 84.
#[test]
fn waiting_for_a_condition_looks_again_after_each_call() {
    run_on_each(|| async {
        let (shared, log) = (Rc::new((Mutex::new(0), Condvar::new())), Log::default());
        let task = spawn({
            let (shared, log) = (shared.clone(), log.clone());
            async move {
                let guard = shared.0.lock().await;
                let guard = shared.1.wait_while(guard, |value| {
                    log.push(value.to_string());
                    *value < 2
                });
                *guard.await
            }
        });
        for _ in 0..2 {
            settle().await;
            assert!(!task.is_finished());
            *shared.0.lock().await += 1;
            shared.1.notify_all();
        }
        assert_eq!(task.await.unwrap(), 2);
        assert_eq!(log.take(), ["0", "1", "2"]);
        // True from the start: no wait, and the lock is kept.
        let guard = shared.1.wait_while(shared.0.lock().await, |_| false).await;
        assert!(shared.0.is_locked());
        drop(guard);
    });
}

// Y-07, check 84.
#[test]
fn conditions_share_a_lock() {
    run_on_each(|| async {
        let shared = Rc::new((Mutex::new(Vec::new()), Condvar::new(), Condvar::new()));
        let producer = spawn({
            let shared = shared.clone();
            async move {
                for item in 0..10 {
                    let guard = shared.0.lock().await;
                    shared.1.wait_while(guard, |items| items.len() == 2).await.push(item);
                    shared.2.notify_one();
                }
            }
        });
        let mut got = Vec::new();
        while got.len() < 10 {
            let guard = shared.0.lock().await;
            let mut items =
                shared.2.wait_while(guard, |items: &mut Vec<i32>| items.is_empty()).await;
            got.push(items.remove(0));
            shared.1.notify_one();
            drop(items);
            yield_now().await;
        }
        producer.await.unwrap();
        assert_eq!(got, Vec::from_iter(0..10));
    });
}
