//! Sleeps and time limits.

use std::cell::RefCell;
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use ringloop::task::yield_now;
use ringloop::time::{Elapsed, Sleep, now, sleep, sleep_until, timeout, timeout_at};
use ringloop::{metrics, spawn};

use crate::support::{build, on_each_backend, poll_once, run_on_each, sentence, slowness};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A generator of numbers that are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[test]
fn no_sleep_ends_early_and_none_is_forgotten() {
    run_on_each(|| async {
        let mut numbers = Numbers(42);
        let tasks: Vec<_> = (0..10_000)
            .map(|_| {
                let wanted = Duration::from_nanos(numbers.below(50_000_000));
                spawn(async move {
                    let start = Instant::now();
                    let timer = sleep(wanted);
                    timer.await;
                    assert!(start.elapsed() >= wanted, "{:?} of {wanted:?}", start.elapsed());
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(metrics().timers, 0);
    });
}

#[test]
fn timers_end_in_the_order_of_their_deadlines() {
    run_on_each(|| async {
        // So far off that all of them are set by then, also on a slow machine and under a sanitizer.
        let (mut numbers, start) = (Numbers(7), now() + slowness() * 500 * MS);
        let order = Rc::new(RefCell::new(Vec::new()));
        let mut deadlines: Vec<u64> = (0..500).map(|_| numbers.below(20) * 100_000).collect();
        let tasks: Vec<_> = deadlines
            .iter()
            .enumerate()
            .map(|(i, &after)| {
                let order = order.clone();
                spawn(async move {
                    sleep_until(start + Duration::from_nanos(after)).await;
                    order.borrow_mut().push((after, i));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        // Equal ones in the order in which they were set: the sort is stable.
        let mut wanted: Vec<_> = deadlines.drain(..).enumerate().map(|(i, at)| (at, i)).collect();
        wanted.sort();
        assert_eq!(*order.borrow(), wanted);
    });
}

#[test]
fn zero_and_the_past_are_over_at_the_first_poll() {
    run_on_each(|| async {
        assert!(poll_once(&mut sleep(Duration::ZERO)).is_ready());
        assert!(poll_once(&mut sleep_until(now() - MS)).is_ready());
        assert!(poll_once(&mut sleep_until(now())).is_ready());
        assert_eq!(metrics().timers, 0);
    });
}

#[test]
fn the_longest_sleep_pends_and_does_not_overflow() {
    run_on_each(|| async {
        let mut for_ever = sleep(Duration::MAX);
        assert_eq!(for_ever.deadline(), None);
        assert!(poll_once(&mut for_ever).is_pending());
        let mut limited = Box::pin(timeout(Duration::MAX, pending::<()>()));
        assert!(poll_once(&mut limited).is_pending());
        // The largest that an Instant can count, and with it an absolute time of the kernel.
        let mut far = (0..64).fold(now(), |far, bit| {
            far.checked_add(Duration::from_secs(1 << (63 - bit))).unwrap_or(far)
        });
        let mut farthest = sleep_until(far);
        assert!(poll_once(&mut farthest).is_pending());
        far -= Duration::from_secs(1);
        assert!(poll_once(&mut sleep_until(far)).is_pending());
        // The loop really waits with them set.
        sleep(2 * MS).await;
        assert!(poll_once(&mut for_ever).is_pending() && poll_once(&mut farthest).is_pending());
        for_ever.reset(now());
        for_ever.await;
    });
}

#[test]
fn the_duration_counts_from_the_call_and_not_from_the_first_poll() {
    run_on_each(|| async {
        let before = now();
        let mut timer = sleep(5 * MS);
        let deadline = timer.deadline().unwrap();
        assert!(deadline >= before + 5 * MS && deadline <= now() + 5 * MS);
        // The thread itself sleeps past the deadline: no poll was needed to start the clock.
        std::thread::sleep(6 * MS);
        assert!(poll_once(&mut timer).is_ready());
    });
}

// Seen to fail when its second poll, after it had fired, took the deadline for ahead again.
#[test]
fn a_long_sleep_that_is_over_when_it_is_first_polled_ends_within_a_turn() {
    run_on_each(|| async {
        let second = Duration::from_secs(1);
        let mut timer = sleep(second);
        std::thread::sleep(second);
        let turns = metrics().turns;
        (&mut timer).await;
        assert!(now() >= timer.deadline().unwrap());
        assert!(metrics().turns <= turns + 1, "{} turns", metrics().turns - turns);
        assert!(poll_once(&mut timer).is_ready(), "it is over until it is reset");
    });
}

/// So many sleeps that those which are dropped are forgotten at leisure.
fn crowd() -> Vec<Sleep> {
    let armed = |_| {
        let mut timer = sleep(HOUR);
        assert!(poll_once(&mut timer).is_pending());
        timer
    };
    (0..25_000).map(armed).collect()
}

/// Wakes another as it is dropped.
struct LastWords(Waker);

impl Wake for LastWords {
    fn wake(self: Arc<Self>) {}
}

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.wake_by_ref();
    }
}

// Seen to hang when forgotten wakers were dropped after the wait only, and when they were dropped
// after the loop had asked whether a task is ready.
#[test]
fn the_waker_of_a_dropped_sleep_is_dropped_before_the_loop_waits() {
    run_on_each(|| async {
        let crowd = crowd();
        let mut sleeps: Vec<_> = (0..3).map(|_| Box::pin(sleep(HOUR))).collect();
        for n in [1, 2] {
            let mut gone = None;
            poll_fn(|cx| {
                let Some(gone) = &gone else {
                    let words = Arc::new(LastWords(cx.waker().clone()));
                    gone = Some(Arc::downgrade(&words));
                    let foreign = Waker::from(words);
                    for mut timer in sleeps.drain(..n) {
                        assert!(
                            timer.as_mut().poll(&mut Context::from_waker(&foreign)).is_pending()
                        );
                    }
                    return Poll::Pending;
                };
                if gone.strong_count() == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
        assert_eq!(metrics().timers, crowd.len());
    });
}

// Seen to fail when `Metrics::timers` did not sweep first.
#[test]
fn dropped_sleeps_are_not_counted_and_do_not_keep_their_wakers_in_a_loop_that_never_waits() {
    run_on_each(|| async {
        let crowd = crowd();
        let waker = Arc::new(LastWords(Waker::noop().clone()));
        let foreign = Waker::from(waker.clone());
        let armed = || {
            let mut timer = Box::pin(sleep(HOUR));
            assert!(timer.as_mut().poll(&mut Context::from_waker(&foreign)).is_pending());
            timer
        };
        for _ in 0..1000 {
            drop((armed(), armed(), armed()));
            // At most those of this turn and of the last.
            assert!(Arc::strong_count(&waker) <= 2 + 6, "{}", Arc::strong_count(&waker));
            yield_now().await;
        }
        drop(armed());
        assert_eq!(metrics().timers, crowd.len());
        assert_eq!(Arc::strong_count(&waker), 2);
    });
}

#[test]
fn a_reset_counts_also_after_the_timer_was_set_or_fired() {
    run_on_each(|| async {
        let mut timer = sleep(Duration::from_secs(3600));
        assert!(poll_once(&mut timer).is_pending());
        assert_eq!(metrics().timers, 1);
        timer.reset(now() + 2 * MS);
        assert_eq!(metrics().timers, 0);
        let wanted = timer.deadline().unwrap();
        (&mut timer).await;
        assert!(now() >= wanted);
        // Later than it stood.
        timer.reset(now() + 200 * MS);
        assert!(poll_once(&mut timer).is_pending());
        let wanted = now() + 205 * MS;
        timer.reset(wanted);
        (&mut timer).await;
        assert!(now() >= wanted);
        assert!(poll_once(&mut timer).is_ready(), "it is over until it is reset");
    });
}

#[test]
fn a_result_that_is_there_wins_over_a_limit_that_has_passed() {
    run_on_each(|| async {
        assert_eq!(timeout(Duration::ZERO, ready(1)).await, Ok(1));
        assert_eq!(timeout_at(now() - MS, ready(2)).await, Ok(2));
        // Both become ready in the same turn, or the limit long before.
        let task = spawn(async { 3 });
        let mut limited = Box::pin(timeout(200 * MS, task));
        assert!(poll_once(&mut limited).is_pending());
        std::thread::sleep(201 * MS);
        yield_now().await;
        yield_now().await;
        assert_eq!(limited.await.unwrap().unwrap(), 3);
    });
}

#[test]
fn a_future_that_is_always_ready_does_not_outlive_its_limit() {
    run_on_each(|| async {
        let start = Instant::now();
        let endless = async {
            // Takes results as long as there are any: every poll ends with its budget.
            while start.elapsed() < 2000 * MS {
                sleep(Duration::ZERO).await;
            }
        };
        timeout(20 * MS, endless).await.unwrap_err();
        assert!(start.elapsed() < 1000 * MS, "{:?}", start.elapsed());
    });
}

#[test]
fn a_sleep_that_has_ended_gives_way_when_it_is_awaited_for_ever() {
    run_on_each(|| async {
        let other = spawn(async { yield_now().await });
        let mut over = sleep(MS);
        (&mut over).await;
        while !other.is_finished() {
            (&mut over).await;
        }
    });
}

#[test]
fn a_limit_of_zero_gives_one_poll() {
    run_on_each(|| async {
        let mut polls = 0;
        let counted = std::future::poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        });
        let error = timeout(Duration::ZERO, counted).await.unwrap_err();
        assert_eq!(polls, 1);
        assert_eq!(error.to_string(), "the time limit was reached");
        let error: std::io::Error = error.into();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert!(error.get_ref().unwrap().is::<Elapsed>());
    });
}

#[test]
fn the_inner_of_two_limits_is_told_apart_from_the_outer() {
    run_on_each(|| async {
        let hour = Duration::from_secs(3600);
        assert!(matches!(timeout(hour, timeout(MS, pending::<()>())).await, Ok(Err(_))));
        assert!(timeout(MS, timeout(hour, pending::<()>())).await.is_err());
        // Equal limits: the inner one is asked first.
        let at = now() + MS;
        assert!(matches!(timeout_at(at, timeout_at(at, pending::<()>())).await, Ok(Err(_))));
        assert_eq!(metrics().timers, 0);
    });
}

#[test]
fn a_limit_drops_what_it_limits_and_forgets_its_timer() {
    run_on_each(|| async {
        let alive = Rc::new(());
        let kept = alive.clone();
        let limited = timeout(MS, async move {
            let _kept = kept;
            pending::<()>().await;
        });
        assert!(limited.await.is_err());
        assert_eq!(Rc::strong_count(&alive), 1);
        let long = timeout(Duration::from_secs(3600), ready(()));
        long.await.unwrap();
        assert_eq!(metrics().timers, 0);
    });
}

#[test]
fn dropped_timers_are_forgotten_at_once() {
    run_on_each(|| async {
        let mut timers = Vec::new();
        for i in 0..100_000u64 {
            let mut timer = Box::pin(sleep(Duration::from_secs(60) + i as u32 * MS));
            assert!(poll_once(&mut timer).is_pending());
            timers.push(timer);
        }
        assert_eq!(metrics().timers, 100_000);
        let mut i = 0;
        timers.retain(|_| {
            i += 1;
            i % 10 == 0
        });
        assert_eq!(metrics().timers, 10_000);
        sleep(MS).await;
        assert_eq!(metrics().timers, 10_000);
        drop(timers);
        assert_eq!(metrics().timers, 0);
    });
}

#[test]
fn a_cancelled_task_forgets_its_timer() {
    run_on_each(|| async {
        let task = spawn(sleep(Duration::from_secs(60)));
        yield_now().await;
        assert_eq!(metrics().timers, 1);
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(metrics().timers, 0);
    });
}

#[test]
fn time_outside_a_runtime_is_refused_in_a_sentence() {
    let refused: [fn(); 3] = [
        || drop(sleep(Duration::from_millis(1))),
        || drop(timeout(Duration::from_millis(1), pending::<()>())),
        || _ = now(),
    ];
    for call in refused {
        let payload = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
        assert!(sentence(&*payload).starts_with("no ringloop runtime runs on this thread"));
    }
}

#[test]
fn a_timer_that_came_due_between_two_block_ons_is_over() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let task = runtime.block_on(async {
            let task = spawn(sleep(2 * MS));
            yield_now().await;
            task
        });
        std::thread::sleep(3 * MS);
        runtime.block_on(task).unwrap();
    });
}
