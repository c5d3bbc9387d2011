//! Join sets.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;

use ringloop::task::{JoinSet, yield_now};
use ringloop::{metrics, spawn};

use crate::gate::{counts, gates};
use crate::support::{OnDrop, poll_once, run_on_each};

#[test]
fn a_join_set_gives_results_as_tasks_end_and_says_which() {
    run_on_each(|| async {
        let gates = gates::<4>();
        let mut set = JoinSet::new();
        let mut ids = Vec::new();
        for (number, gate) in gates.iter().cloned().enumerate() {
            ids.push(set.spawn(async move {
                gate.opened().await;
                assert!(number != 2, "the third fails");
                number
            }));
        }
        assert!(set.try_join_next().is_none());
        for number in [3, 0, 2, 1] {
            gates[number].open();
            // Cut off before the result is there: nothing is lost.
            assert!(poll_once(&mut Box::pin(set.join_next())).is_pending());
            yield_now().await;
            let (id, result) = set.join_next_with_id().await.unwrap();
            assert_eq!(id, ids[number]);
            match number {
                2 => assert!(result.unwrap_err().is_panic()),
                _ => assert_eq!(result.unwrap(), number),
            }
        }
        assert!(set.is_empty() && set.join_next().await.is_none());
        assert!(set.try_join_next().is_none());
    });
}

// Seen to fail when the set had no `Drop`.
#[test]
fn a_dropped_join_set_cancels_and_a_detached_one_does_not() {
    run_on_each(|| async {
        let ended = Rc::new(Cell::new(0));
        let tasks = || -> JoinSet<()> {
            let guards: Vec<_> = (0..10).map(|_| counts(&ended)).collect();
            let tasks = guards.into_iter().map(|guard| async move {
                let _guard = guard;
                pending().await
            });
            tasks.collect()
        };
        drop(tasks());
        yield_now().await;
        assert_eq!((ended.get(), metrics().tasks_alive), (10, 0));

        let mut detached = tasks();
        detached.detach_all();
        assert!(detached.is_empty());
        drop(detached);
        yield_now().await;
        assert_eq!((ended.get(), metrics().tasks_alive), (10, 10));

        let mut shut = tasks();
        yield_now().await;
        shut.shutdown().await;
        assert_eq!((ended.get(), shut.len()), (20, 0));

        let cancelled = tasks();
        cancelled.cancel_all();
        let results = cancelled.join_all().await;
        assert_eq!((ended.get(), results.len()), (30, 10));
        assert!(results.into_iter().all(|result| result.unwrap_err().is_cancelled()));
    });
}

#[test]
fn a_join_set_takes_tasks_that_run_already_and_keeps_no_place_of_the_ended() {
    run_on_each(|| async {
        let mut set = JoinSet::new();
        for round in 0..100 {
            let task = spawn(async move { round });
            let id = task.id();
            yield_now().await;
            assert_eq!(set.insert(task), id);
            set.spawn(async move { round });
            assert_eq!(set.try_join_next().unwrap().unwrap(), round);
            assert_eq!(set.join_next().await.unwrap().unwrap(), round);
            assert!(set.is_empty());
        }
    });
}

// Seen to abort when the results were dropped as one.
#[test]
fn results_whose_drops_panic_do_not_keep_each_other_from_being_dropped() {
    run_on_each(|| async {
        for detach in [false, true] {
            let dropped = Rc::new(Cell::new(0));
            let mut set = JoinSet::new();
            for _ in 0..3 {
                let dropped = dropped.clone();
                set.spawn(async move {
                    OnDrop(move || {
                        dropped.set(dropped.get() + 1);
                        std::panic::resume_unwind(Box::new("a drop"));
                    })
                });
            }
            yield_now().await;
            if detach {
                set.detach_all();
            } else {
                drop(set);
            }
            assert_eq!(dropped.get(), 3);
        }
    });
}
