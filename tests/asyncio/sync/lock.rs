//! `asyncio.Lock` is `Mutex`; and `RwLock`, which asyncio lacks.

use std::cell::Cell;
use std::rc::Rc;

use ringloop::spawn;
use ringloop::sync::{Mutex, RwLock, RwLockWriteGuard};
use ringloop::task::yield_now;

use super::{Log, settle};
use crate::support::run_on_each;

// Y-01, check 81.
#[test]
fn who_comes_first_locks_first() {
    run_on_each(|| async {
        let (mutex, log) = (Rc::new(Mutex::new(())), Log::default());
        let held = mutex.lock().await;
        for name in ["a", "b", "c"] {
            let (mutex, log) = (mutex.clone(), log.clone());
            spawn(async move {
                let _guard = mutex.lock().await;
                log.push(name);
                yield_now().await;
                log.push(format!("{name} ends"));
            });
        }
        settle().await;
        assert!(log.take().is_empty());
        drop(held);
        settle().await;
        assert_eq!(log.take(), ["a", "a ends", "b", "b ends", "c", "c ends"]);
        assert!(!mutex.is_locked());
    });
}

// Y-02, G-13, check 81. Seen to fail when a release only woke the first in line.
#[test]
fn a_newcomer_does_not_overtake_who_was_handed_the_lock() {
    run_on_each(|| async {
        let mutex = Rc::new(Mutex::new(Vec::new()));
        let held = mutex.lock().await;
        let first = spawn({
            let mutex = mutex.clone();
            async move { mutex.lock().await.push("first") }
        });
        settle().await;
        drop(held);
        // The first has been woken and has not run: it has the lock all the same.
        assert!(mutex.is_locked());
        assert!(mutex.try_lock().is_none());
        mutex.lock().await.push("newcomer");
        first.await.unwrap();
        assert_eq!(*mutex.lock().await, ["first", "newcomer"]);
    });
}

// Y-03, check 82. Seen to fail when a dropped waiter kept what it had been handed.
#[test]
fn a_waiter_cancelled_after_its_wake_passes_the_lock_on() {
    run_on_each(|| async {
        let mutex = Rc::new(Mutex::new(0));
        let held = mutex.lock().await;
        let tasks = [(); 3].map(|()| {
            let mutex = mutex.clone();
            spawn(async move { *mutex.lock().await += 1 })
        });
        settle().await;
        drop(held);
        tasks[0].cancel();
        let [first, second, third] = tasks;
        assert!(first.await.unwrap_err().is_cancelled());
        second.await.unwrap();
        third.await.unwrap();
        assert_eq!(*mutex.lock().await, 2);
    });
}

// Y-03, check 82.
#[test]
fn a_waiter_cancelled_before_its_turn_is_skipped() {
    run_on_each(|| async {
        let (mutex, log) = (Rc::new(Mutex::new(())), Log::default());
        let held = mutex.lock().await;
        let tasks = ["a", "b", "c"].map(|name| {
            let (mutex, log) = (mutex.clone(), log.clone());
            spawn(async move {
                let _guard = mutex.lock().await;
                log.push(name);
            })
        });
        settle().await;
        tasks[1].cancel();
        settle().await;
        drop(held);
        settle().await;
        assert_eq!(log.take(), ["a", "c"]);
    });
}

// Check 82.
#[test]
fn a_release_and_a_cancel_in_one_turn_never_admit_two() {
    run_on_each(|| async {
        for cancelled in 0..4 {
            for release_first in [true, false] {
                let mutex = Rc::new(Mutex::new(()));
                let inside = Rc::new(Cell::new(0));
                let held = mutex.lock().await;
                let tasks: Vec<_> = (0..4)
                    .map(|_| {
                        let (mutex, inside) = (mutex.clone(), inside.clone());
                        spawn(async move {
                            let _guard = mutex.lock().await;
                            inside.set(inside.get() + 1);
                            assert_eq!(inside.get(), 1);
                            yield_now().await;
                            inside.set(inside.get() - 1);
                        })
                    })
                    .collect();
                settle().await;
                if release_first {
                    drop(held);
                    tasks[cancelled].cancel();
                } else {
                    tasks[cancelled].cancel();
                    drop(held);
                }
                for (number, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.await.is_ok(), number != cancelled);
                }
                assert!(!mutex.is_locked());
            }
        }
    });
}

// Y-04, check 81: a release without waiters is fine; one without a hold cannot be written.
#[test]
fn trying_says_at_once_whether_it_is_free() {
    run_on_each(|| async {
        let mut mutex = Mutex::new(1);
        let mut guard = mutex.try_lock().unwrap();
        *guard += 1;
        assert!(mutex.is_locked() && mutex.try_lock().is_none());
        assert_eq!(format!("{mutex:?}"), "Mutex { value: <locked> }");
        drop(guard);
        assert!(!mutex.is_locked());
        assert_eq!(format!("{mutex:?}"), "Mutex { value: 2 }");
        *mutex.get_mut() += 1;
        assert_eq!(mutex.into_inner(), 3);
    });
}

// Y-04.
#[test]
fn an_owned_guard_outlives_whoever_locked() {
    run_on_each(|| async {
        let mutex: Rc<Mutex<[u8]>> = Rc::new(Mutex::new([1, 2, 3]));
        let mut guard = mutex.clone().lock_owned().await;
        assert!(mutex.clone().try_lock_owned().is_none());
        let task = spawn(async move {
            yield_now().await;
            guard[0] = 9;
        });
        assert_eq!(mutex.lock().await[..], [9, 2, 3]);
        task.await.unwrap();
    });
}

// A task that locks again and again would otherwise never return Pending, and no timer would fire.
#[test]
fn a_lock_that_is_always_free_lets_the_others_run() {
    run_on_each(|| async {
        let stop = Rc::new(Cell::new(false));
        let other = spawn({
            let stop = stop.clone();
            async move { stop.set(true) }
        });
        let mutex = Mutex::new(());
        while !stop.get() {
            drop(mutex.lock().await);
        }
        other.await.unwrap();
    });
}

// Y-19.
#[test]
fn readers_read_together_and_a_writer_is_not_starved_by_them() {
    run_on_each(|| async {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::default());
        let reading = lock.read().await;
        let start = |name: &'static str, writes: bool| {
            let (lock, log) = (lock.clone(), log.clone());
            spawn(async move {
                if writes {
                    let mut guard = lock.write().await;
                    *guard += 1;
                    log.push(name);
                    yield_now().await;
                } else {
                    let guard = lock.read().await;
                    log.push(format!("{name} reads {}", *guard));
                    yield_now().await;
                }
                log.push(format!("{name} ends"));
            })
        };
        start("a", false);
        settle().await;
        assert_eq!(log.take(), ["a reads 0", "a ends"]);
        start("b", true);
        start("c", false);
        start("d", false);
        settle().await;
        // They come after a writer that waits.
        assert!(log.take().is_empty() && lock.try_read().is_none());
        drop(reading);
        settle().await;
        assert_eq!(log.take(), ["b", "b ends", "c reads 1", "d reads 1", "c ends", "d ends"]);
    });
}

// Y-19. Seen to fail when a waiter that left let nobody behind it go.
#[test]
fn readers_behind_a_writer_that_is_cancelled_go_on() {
    run_on_each(|| async {
        let lock = Rc::new(RwLock::new(7));
        let reading = lock.read().await;
        let writer = spawn({
            let lock = lock.clone();
            async move { *lock.write().await = 8 }
        });
        settle().await;
        let readers = [(); 2].map(|()| {
            let lock = lock.clone();
            spawn(async move { *lock.read().await })
        });
        settle().await;
        writer.cancel();
        for reader in readers {
            assert_eq!(reader.await.unwrap(), 7);
        }
        drop(reading);
    });
}

// Y-19.
#[test]
fn a_writer_that_reads_on_lets_no_writer_in_between() {
    run_on_each(|| async {
        let lock = Rc::new(RwLock::new(0));
        let mut guard = lock.write().await;
        let tasks = [false, true].map(|writes| {
            let lock = lock.clone();
            spawn(async move {
                match writes {
                    true => *lock.write().await = 2,
                    false => assert_eq!(*lock.read().await, 1),
                }
            })
        });
        settle().await;
        *guard = 1;
        let guard = RwLockWriteGuard::downgrade(guard);
        settle().await;
        assert!(tasks[0].is_finished() && !tasks[1].is_finished());
        assert_eq!(*guard, 1);
        drop(guard);
        settle().await;
        assert_eq!(*lock.try_read().unwrap(), 2);
    });
}
