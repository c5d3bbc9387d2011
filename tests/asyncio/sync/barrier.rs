//! `Barrier`.

use std::collections::BTreeSet;
use std::rc::Rc;

use ringloop::spawn;
use ringloop::sync::{Barrier, BrokenBarrier};
use ringloop::task::JoinHandle;

use super::settle;
use crate::support::{poll_once, run_on_each, sentence};

/// A task that waits: its index.
fn arrive(barrier: &Rc<Barrier>) -> JoinHandle<Result<usize, BrokenBarrier>> {
    let barrier = barrier.clone();
    spawn(async move { barrier.wait().await.map(|result| result.index()) })
}

// Y-15, check 86.
#[test]
fn indices_are_unique_in_every_round_and_one_is_the_leader() {
    run_on_each(|| async {
        let barrier = Rc::new(Barrier::new(3));
        for _ in 0..4 {
            let tasks = [(); 3].map(|()| {
                let barrier = barrier.clone();
                spawn(async move { barrier.wait().await.unwrap() })
            });
            let cancelled = arrive(&barrier);
            cancelled.cancel();
            let (mut indices, mut leaders) = (BTreeSet::new(), 0);
            for task in tasks {
                let result = task.await.unwrap();
                indices.insert(result.index());
                leaders += usize::from(result.is_leader());
            }
            assert_eq!((indices, leaders), (BTreeSet::from([0, 1, 2]), 1));
            assert_eq!(barrier.n_waiting(), 0);
        }
    });
}

// Y-15, check 86.
#[test]
fn a_barrier_for_one_never_waits_and_one_for_none_is_refused() {
    run_on_each(|| async {
        let barrier = Barrier::new(1);
        for _ in 0..3 {
            let result = barrier.wait().await.unwrap();
            assert!(result.is_leader() && result.index() == 0);
        }
    });
    let made = std::panic::catch_unwind(|| Barrier::new(0));
    assert_eq!(sentence(&*made.unwrap_err()), "a barrier has at least one party");
}

// Y-15, check 86. In asyncio it stands outside until all of the round have gone; here it counts at once, for
// the round that follows.
#[test]
fn who_arrives_while_a_round_leaves_waits_for_the_next() {
    run_on_each(|| async {
        let barrier = Rc::new(Barrier::new(2));
        let first = arrive(&barrier);
        settle().await;
        assert!(barrier.wait().await.unwrap().is_leader());
        // The first was let through and has not run.
        let mut late = barrier.wait();
        assert!(poll_once(&mut late).is_pending());
        assert_eq!(barrier.n_waiting(), 1);
        assert_eq!(first.await.unwrap(), Ok(0));
        let other = arrive(&barrier);
        assert_eq!(late.await.unwrap().index(), 0);
        assert_eq!(other.await.unwrap(), Ok(1));
    });
}

// Y-17, check 86. Seen to fail when a cancelled arrival still counted.
#[test]
fn a_waiter_cancelled_while_it_fills_does_not_count() {
    run_on_each(|| async {
        let barrier = Rc::new(Barrier::new(3));
        let tasks = [(); 2].map(|()| arrive(&barrier));
        settle().await;
        assert_eq!(barrier.n_waiting(), 2);
        tasks[0].cancel();
        settle().await;
        assert_eq!((barrier.n_waiting(), barrier.is_broken()), (1, false));
        let [_, second] = tasks;
        let (third, fourth) = (arrive(&barrier), arrive(&barrier));
        let indices = [second.await, third.await, fourth.await].map(|index| index.unwrap());
        assert_eq!(indices, [Ok(0), Ok(1), Ok(2)]);
    });
}

// Y-16, check 86.
#[test]
fn a_reset_breaks_who_waits_and_nobody_else() {
    run_on_each(|| async {
        let barrier = Rc::new(Barrier::new(3));
        assert_eq!(barrier.parties(), 3);
        barrier.reset();
        let broken = [(); 2].map(|()| arrive(&barrier));
        settle().await;
        barrier.reset();
        assert_eq!((barrier.n_waiting(), barrier.is_broken()), (0, false));
        // Half of the next round arrives before the others have heard.
        let next = [(); 3].map(|()| arrive(&barrier));
        for task in broken {
            let error = task.await.unwrap().unwrap_err();
            assert!(error.to_string().contains("reset or aborted"));
        }
        for (index, task) in next.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), Ok(index));
        }
    });
}

// Y-16, check 86. Other than in asyncio, where a reset also breaks those who were let through and have not
// run: here a round that is over stays over.
#[test]
fn a_reset_while_a_round_leaves_breaks_nobody_of_it() {
    run_on_each(|| async {
        let barrier = Rc::new(Barrier::new(3));
        let (one, two) = (arrive(&barrier), arrive(&barrier));
        settle().await;
        assert!(poll_once(&mut barrier.wait()).is_ready());
        // The two were let through and have not run.
        barrier.reset();
        assert_eq!((one.await.unwrap(), two.await.unwrap()), (Ok(0), Ok(1)));
    });
}

// Y-16, check 86.
#[test]
fn an_abort_breaks_who_waits_and_who_comes_until_a_reset() {
    run_on_each(|| async {
        let barrier = Rc::new(Barrier::new(2));
        let waiting = arrive(&barrier);
        settle().await;
        barrier.abort();
        assert!(barrier.is_broken());
        assert!(waiting.await.unwrap().is_err());
        assert!(barrier.wait().await.is_err());
        assert_eq!(barrier.n_waiting(), 0);
        barrier.reset();
        assert!(!barrier.is_broken());
        let (one, two) = (arrive(&barrier), arrive(&barrier));
        assert_eq!((one.await.unwrap(), two.await.unwrap()), (Ok(0), Ok(1)));
    });
}
