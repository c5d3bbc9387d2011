//! Staggered races.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ringloop::future::race_staggered;
use ringloop::metrics;
use ringloop::task::yield_now;
use ringloop::time::{now, sleep};

use super::Log;
use crate::gate::{Gate, counts};
use crate::support::run_on_each;

type Try<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + 'a>>;

const LONG: Duration = Duration::from_secs(3600);

// Check 80.
#[test]
fn a_staggered_race_of_nobody_has_no_errors_and_no_winner() {
    run_on_each(|| async {
        let nobody: [std::future::Ready<Result<(), ()>>; 0] = [];
        assert_eq!(race_staggered(LONG, nobody).await, Err(vec![]));
    });
}

// Check 80. Seen to fail when a failure did not start the next.
#[test]
fn the_first_success_of_a_staggered_race_wins_and_a_failure_starts_the_next_at_once() {
    run_on_each(|| async {
        let started = Cell::new(0);
        let run = |results: &'static [Result<i32, &'static str>]| {
            started.set(0);
            let started = &started;
            results.iter().map(move |result| {
                started.set(started.get() + 1);
                async move {
                    yield_now().await;
                    *result
                }
            })
        };
        let start = now();
        assert_eq!(race_staggered(LONG, run(&[Ok(1), Ok(2)])).await, Ok(1));
        assert_eq!(started.get(), 1, "the second was started for nothing");
        assert_eq!(race_staggered(LONG, run(&[Err("a"), Ok(2), Ok(3)])).await, Ok(2));
        assert_eq!(started.get(), 2);
        assert_eq!(race_staggered(None, run(&[Err("a"), Err("b")])).await, Err(vec!["a", "b"]));
        assert!(now() - start < LONG, "it waited for the delay");
        assert_eq!(metrics().timers, 0);
    });
}

// Check 80.
#[test]
fn when_the_delay_has_passed_the_next_of_a_staggered_race_starts_beside_the_first() {
    run_on_each(|| async {
        const SHORT: Duration = Duration::from_millis(1);
        let log = Log::default();
        let start = now();
        let tries: [Try<'_, i32, &str>; 3] = [
            Box::pin(async {
                let _guard = log.on_drop("first is dropped");
                pending().await
            }),
            Box::pin(async {
                assert!(now() >= start + SHORT, "it was started early");
                log.add("second runs");
                Err("second")
            }),
            Box::pin(async {
                log.add("third runs");
                Ok(3)
            }),
        ];
        assert_eq!(race_staggered(SHORT, tries).await, Ok(3));
        assert_eq!(log.take(), ["second runs", "third runs", "first is dropped"]);

        // Errors stand in the order of the start, not of the end.
        let gate = Gate::default();
        let tries: [Try<'_, (), i32>; 2] = [
            Box::pin(async {
                gate.clone().opened().await;
                Err(1)
            }),
            Box::pin(async {
                gate.open();
                Err(2)
            }),
        ];
        assert_eq!(race_staggered(SHORT, tries).await, Err(vec![1, 2]));
    });
}

// Check 80.
#[test]
fn two_winners_at_once_give_one_and_a_cut_off_race_cleans_all() {
    run_on_each(|| async {
        let gate = Gate::default();
        let twins = [1, 2].map(|n| {
            let gate = gate.clone();
            async move {
                if n == 2 {
                    gate.open();
                } else {
                    gate.opened().await;
                }
                Ok::<_, ()>(n)
            }
        });
        let winner = race_staggered(Duration::ZERO, twins).await.unwrap();
        assert!(winner == 1 || winner == 2);

        let dropped = Rc::new(Cell::new(0));
        let runners = (0..3).map(|_| {
            let guard = counts(&dropped);
            async move {
                let _guard = guard;
                pending::<Result<(), ()>>().await
            }
        });
        let mut race = Box::pin(race_staggered(Duration::ZERO, runners));
        poll_fn(|cx| {
            assert!(race.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        sleep(Duration::from_millis(1)).await;
        let mut cx = Context::from_waker(Waker::noop());
        assert!(race.as_mut().poll(&mut cx).is_pending());
        assert_eq!(dropped.get(), 0);
        drop(race);
        assert_eq!((dropped.get(), metrics().timers), (3, 0));
    });
}
