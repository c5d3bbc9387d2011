//! `OnceCell`, which asyncio lacks; and what holds for all of them.

use std::cell::Cell;
use std::rc::Rc;

use ringloop::spawn;
use ringloop::sync::{
    Barrier, BoundedSemaphore, Condvar, Event, Mutex, Notify, OnceCell, RwLock, Semaphore,
};
use ringloop::task::yield_now;

use super::settle;
use crate::support::{poll_once, run_on_each};

// Y-19.
#[test]
fn a_value_is_made_once_for_all_who_ask() {
    run_on_each(|| async {
        let (cell, made) = (Rc::new(OnceCell::new()), Rc::new(Cell::new(0)));
        let tasks = [(); 5].map(|()| {
            let (cell, made) = (cell.clone(), made.clone());
            spawn(async move {
                let make = async || {
                    yield_now().await;
                    made.set(made.get() + 1);
                    "made"
                };
                *cell.get_or_init(make).await
            })
        });
        settle().await;
        // All of them were let go at once.
        assert!(tasks.iter().all(|task| task.is_finished()));
        for task in tasks {
            assert_eq!(task.await.unwrap(), "made");
        }
        assert_eq!((made.get(), cell.get()), (1, Some(&"made")));
        assert_eq!(cell.set("again"), Err("again"));
    });
}

// Y-19.
#[test]
fn the_next_makes_the_value_where_the_first_fails_or_is_dropped() {
    run_on_each(|| async {
        for fails in [true, false] {
            let cell = Rc::new(OnceCell::new());
            let first = spawn({
                let cell = cell.clone();
                async move {
                    let make = async || {
                        settle().await;
                        if !fails {
                            std::future::pending::<()>().await;
                        }
                        Err("no")
                    };
                    cell.get_or_try_init(make).await.copied()
                }
            });
            yield_now().await;
            assert_eq!(cell.set(1), Err(1), "one is being made");
            let second = spawn({
                let cell = cell.clone();
                async move { *cell.get_or_init(async || 2).await }
            });
            settle().await;
            if !fails {
                first.cancel();
            }
            assert_eq!(first.await.ok(), fails.then_some(Err("no")));
            assert_eq!(second.await.unwrap(), 2);
        }
    });
}

// Y-19.
#[test]
fn a_value_can_be_put_in_and_taken_out() {
    let mut cell = OnceCell::default();
    assert!(!cell.is_initialized() && cell.get_mut().is_none());
    assert_eq!(cell.set(1), Ok(()));
    *cell.get_mut().unwrap() += 1;
    assert!(cell.is_initialized());
    assert_eq!(format!("{cell:?}"), "OnceCell { value: Some(2) }");
    assert_eq!((cell.into_inner(), OnceCell::from(3).get()), (Some(2), Some(&3)));
    assert_eq!(OnceCell::<u8>::new().into_inner(), None);
}

/// A poll by hand, without any runtime.
fn at_once<F: Future>(future: F) -> F::Output {
    match poll_once(&mut Box::pin(future)) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn nothing_of_it_needs_a_loop() {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    assert_eq!(*at_once(mutex.lock()), 1);
    let lock = RwLock::new(2);
    assert_eq!(*at_once(lock.read()) + *at_once(lock.read()), 4);
    *at_once(lock.write()) = 3;
    drop(at_once(Semaphore::new(1).acquire()));
    drop(at_once(BoundedSemaphore::new(1).acquire()));
    let event = Event::new();
    event.set();
    at_once(event.wait());
    let notify = Notify::new();
    notify.notify_one();
    at_once(notify.notified());
    assert!(at_once(Barrier::new(1).wait()).is_ok());
    assert_eq!(*at_once(OnceCell::new().get_or_init(async || 4)), 4);
    let mut wait = Box::pin(condvar.wait(at_once(mutex.lock())));
    assert!(poll_once(&mut wait).is_pending());
    condvar.notify_one();
    assert_eq!(*at_once(wait), 1);
}

#[test]
fn waiters_that_were_forgotten_break_nothing() {
    run_on_each(|| async {
        let mutex = Mutex::new(());
        let held = mutex.lock().await;
        let (mut first, mut second) = (mutex.lock(), mutex.lock());
        assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
        std::mem::forget(first);
        drop(second);
        // The lock goes to who was forgotten, and is lost with it, as a forgotten guard's is.
        drop(held);
        assert!(mutex.is_locked());

        let event = Event::new();
        let (mut first, mut second) = (event.wait(), event.wait());
        assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
        std::mem::forget(first);
        event.set();
        second.await;
    });
}
