//! `Semaphore` and `BoundedSemaphore`.

use std::cell::Cell;
use std::rc::Rc;

use ringloop::spawn;
use ringloop::sync::{BoundedSemaphore, OverRelease, Semaphore};
use ringloop::task::yield_now;

use super::{Log, settle};
use crate::support::{poll_once, run_on_each, sentence};

// Y-12, check 85.
#[test]
fn no_more_than_the_permits_are_inside() {
    run_on_each(|| async {
        let semaphore = Rc::new(Semaphore::new(3));
        let (inside, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let tasks = [(); 20].map(|()| {
            let (semaphore, inside, most) = (semaphore.clone(), inside.clone(), most.clone());
            spawn(async move {
                let _permit = semaphore.acquire().await;
                inside.set(inside.get() + 1);
                most.set(most.get().max(inside.get()));
                yield_now().await;
                inside.set(inside.get() - 1);
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((most.get(), semaphore.available_permits()), (3, 3));
    });
}

// Y-12, check 85.
#[test]
fn permits_are_given_first_come_first_served_with_and_without_cancelled_waiters() {
    run_on_each(|| async {
        for cancelled in [None, Some(0), Some(1), Some(2)] {
            let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::default());
            let tasks = ["a", "b", "c"].map(|name| {
                let (semaphore, log) = (semaphore.clone(), log.clone());
                spawn(async move {
                    semaphore.acquire().await.forget();
                    log.push(name);
                })
            });
            settle().await;
            assert!(semaphore.is_locked() && log.take().is_empty());
            let mut expected = vec!["a", "b", "c"];
            if let Some(cancelled) = cancelled {
                tasks[cancelled].cancel();
                expected.remove(cancelled);
            }
            for name in expected {
                semaphore.add_permits(1);
                settle().await;
                assert_eq!(log.take(), [name]);
            }
        }
    });
}

// Y-12, check 85. Seen to fail when a newcomer took what was free although somebody waited.
#[test]
fn a_release_before_the_waiters_run_lets_no_newcomer_overtake() {
    run_on_each(|| async {
        let semaphore = Rc::new(Semaphore::new(1));
        let held = semaphore.acquire().await;
        let waiter = spawn({
            let semaphore = semaphore.clone();
            async move { semaphore.acquire_many(2).await.forget() }
        });
        settle().await;
        drop(held);
        // One is free, and is kept for who waits for two.
        assert_eq!(semaphore.available_permits(), 1);
        assert!(semaphore.is_locked() && semaphore.try_acquire().is_none());
        let mut newcomer = semaphore.acquire();
        assert!(poll_once(&mut newcomer).is_pending());
        semaphore.add_permits(1);
        assert!(poll_once(&mut newcomer).is_pending());
        waiter.await.unwrap();
        semaphore.add_permits(1);
        drop(newcomer.await);
    });
}

// Y-13, check 85.
#[test]
fn a_unit_of_a_cancelled_waiter_is_not_lost() {
    run_on_each(|| async {
        for (need, behind) in [(1, 1), (2, 1), (3, 2)] {
            let semaphore = Rc::new(Semaphore::new(0));
            let start = |count: usize| {
                let semaphore = semaphore.clone();
                spawn(async move { semaphore.acquire_many(count).await.num_permits() })
            };
            let (first, second) = (start(need), start(behind));
            settle().await;
            semaphore.add_permits(2);
            first.cancel();
            assert!(first.await.unwrap_err().is_cancelled());
            assert_eq!(second.await.unwrap(), behind);
            assert_eq!(semaphore.available_permits(), 2);
        }
    });
}

// Y-12.
#[test]
fn permits_are_added_forgotten_split_and_merged_without_loss() {
    run_on_each(|| async {
        let semaphore = Rc::new(Semaphore::new(2));
        semaphore.add_permits(3);
        let mut permit = semaphore.clone().acquire_many_owned(4).await;
        let two = permit.split(2).unwrap();
        assert!(permit.split(3).is_none());
        assert_eq!((permit.num_permits(), two.num_permits()), (2, 2));
        permit.merge(two);
        assert_eq!(permit.num_permits(), 4);
        assert_eq!(Rc::as_ptr(permit.semaphore()), Rc::as_ptr(&semaphore));
        permit.split(1).unwrap().forget();
        drop(permit);
        assert_eq!(semaphore.available_permits(), 4);
        assert_eq!((semaphore.forget_permits(3), semaphore.forget_permits(3)), (3, 1));
        assert!(
            semaphore.try_acquire().is_none() && semaphore.clone().try_acquire_owned().is_none()
        );

        let other = Semaphore::new(1);
        let merged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let (one, two) = (Semaphore::new(1), &other);
            one.try_acquire().unwrap().merge(two.try_acquire().unwrap());
        }));
        let text = merged.unwrap_err();
        assert_eq!(sentence(&*text), "merge permits of one semaphore only: these are of two");
        assert_eq!(other.available_permits(), 1);
    });
}

// Y-12: in Python a negative value is an error; here it has no such type.
#[test]
fn more_permits_than_can_be_counted_are_refused() {
    let added = std::panic::catch_unwind(|| {
        Semaphore::new(1).add_permits(Semaphore::MAX_PERMITS);
    });
    let text = added.unwrap_err();
    assert!(sentence(&*text).contains("at most Semaphore::MAX_PERMITS"));
}

// Y-14, check 85.
#[test]
fn a_bounded_semaphore_refuses_one_release_too_many_and_keeps_its_value() {
    run_on_each(|| async {
        let semaphore = BoundedSemaphore::new(2);
        let error: OverRelease = semaphore.release().unwrap_err();
        assert!(error.to_string().contains("more often"));
        let guard = semaphore.acquire().await;
        semaphore.try_acquire().unwrap().forget();
        assert!(semaphore.is_locked() && semaphore.try_acquire().is_none());
        assert_eq!(semaphore.release(), Ok(()));
        // The other has a guard, which gives it back.
        assert_eq!(semaphore.release(), Err(error));
        assert_eq!(semaphore.available_permits(), 1);
        drop(guard);
        assert_eq!((semaphore.available_permits(), semaphore.bound()), (2, 2));
    });
}

// Y-14.
#[test]
fn a_release_by_hand_goes_to_who_waits() {
    run_on_each(|| async {
        let semaphore = Rc::new(BoundedSemaphore::new(1));
        semaphore.acquire().await.forget();
        let waiter = spawn({
            let semaphore = semaphore.clone();
            async move { drop(semaphore.acquire().await) }
        });
        settle().await;
        semaphore.release().unwrap();
        assert!(semaphore.is_locked());
        waiter.await.unwrap();
        assert!(!semaphore.is_locked());
    });
}

// Seen to fail when permits were added up unchecked: with an overflow in a drop.
#[test]
fn guards_that_come_back_to_a_full_semaphore_fill_it_and_no_more() {
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
    let permit = semaphore.try_acquire().unwrap();
    semaphore.add_permits(1);
    drop(permit);
    semaphore.add_permits(0);
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);

    let mut all = semaphore.try_acquire_many(Semaphore::MAX_PERMITS).unwrap();
    for _ in 0..9 {
        semaphore.add_permits(Semaphore::MAX_PERMITS);
        all.merge(semaphore.try_acquire_many(Semaphore::MAX_PERMITS).unwrap());
    }
    drop(all);
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);
}
