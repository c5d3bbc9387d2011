//! Time limits (T-24 to T-26; checks 57 to 68).

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use ringloop::task::{TaskGroup, yield_now};
use ringloop::time::{
    RescheduleError, Timeout, deadline, now, sleep, timeout, timeout_at, until_deadline,
    with_deadline,
};
use ringloop::{call_soon, metrics, spawn};

use crate::support::{OnDrop, poll_once, run_on_each, sentence};

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// Keeps the thread busy until then.
fn busy_until(at: Instant) {
    while now() < at {
        std::hint::spin_loop();
    }
}

/// As many polls as it takes.
async fn many_turns() {
    for _ in 0..20 {
        yield_now().await;
    }
}

// T-24, check 57.
// Seen to fail when the end of a run left the state as it was.
#[test]
fn a_limit_expires_at_its_own_boundary_and_a_body_in_time_does_not() {
    run_on_each(|| async {
        let (limit, dropped) = (Timeout::after(SHORT), Rc::new(Cell::new(false)));
        let at = limit.when().unwrap();
        let guard = OnDrop(|| dropped.set(true));
        let ended = limit.run(async {
            let _guard = guard;
            pending::<()>().await;
        });
        ended.await.unwrap_err();
        assert!(limit.expired() && dropped.get() && now() >= at);

        let limit = Timeout::after(LONG);
        assert_eq!(limit.run(async { 7 }).await, Ok(7));
        assert!(!limit.expired());
        let limit = Timeout::after(LONG);
        assert_eq!(limit.run(sleep(SHORT)).await, Ok(()));
        assert!(!limit.expired());
        assert_eq!(metrics().timers, 0);
    });
}

// T-24, check 58.
#[test]
fn a_limit_that_is_none_never_fires() {
    run_on_each(|| async {
        for limit in [Timeout::new(None), Timeout::after(Duration::MAX)] {
            assert_eq!(limit.when(), None);
            assert_eq!(limit.run(sleep(SHORT)).await, Ok(()));
        }
        timeout(Duration::MAX, sleep(SHORT)).await.unwrap();
    });
}

// T-24, check 58.
// Seen to fail when a limit was first looked at a turn later.
#[test]
fn a_limit_of_zero_or_in_the_past_ends_a_body_that_only_yields_once() {
    run_on_each(|| async {
        let past = now() - Duration::from_secs(1);
        timeout(Duration::ZERO, yield_now()).await.unwrap_err();
        timeout_at(past, yield_now()).await.unwrap_err();
        for limit in [Timeout::after(Duration::ZERO), Timeout::new(past), Timeout::new(now())] {
            limit.run(yield_now()).await.unwrap_err();
            assert!(limit.expired());
        }
        with_deadline(past, yield_now()).await.unwrap_err();
    });
}

// T-26, check 65: what is there counts. A fresh future has one poll: in asyncio it is never started.
#[test]
fn a_value_that_is_there_wins_over_the_clock() {
    run_on_each(|| async {
        let past = now() - Duration::from_secs(1);
        assert_eq!(timeout(Duration::ZERO, ready(1)).await, Ok(1));
        assert_eq!(Timeout::new(past).run(ready(1)).await, Ok(1));
        assert_eq!(with_deadline(past, ready(1)).await, Ok(1));
        let mut done = spawn(async { 1 });
        yield_now().await;
        assert_eq!(timeout(Duration::ZERO, &mut done).await.unwrap().unwrap(), 1);
        let polls = Cell::new(0);
        let counted = poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::<()>::Pending
        });
        timeout(Duration::ZERO, counted).await.unwrap_err();
        assert_eq!(polls.get(), 1);
        // The value comes in the turn in which time is up.
        let limit = Timeout::after(SHORT);
        let at = limit.when().unwrap();
        let body = async {
            yield_now().await;
            busy_until(at);
            yield_now().await;
            2
        };
        let got = limit.run(body).await;
        assert_eq!(got.is_err(), limit.expired());
    });
}

// T-24, check 59.
#[test]
fn nested_limits_convert_only_at_their_own_boundary() {
    run_on_each(|| async {
        // The inner one first.
        let (outer, inner) = (Timeout::after(LONG), Timeout::after(SHORT));
        let both = outer.run(async {
            inner.run(pending::<()>()).await.unwrap_err();
            many_turns().await;
            "after the inner one"
        });
        assert_eq!(both.await, Ok("after the inner one"));
        assert!(inner.expired() && !outer.expired());

        // The outer one first.
        let (outer, inner) = (Timeout::after(SHORT), Timeout::after(LONG));
        let both = outer.run(async {
            let _: Result<(), _> = inner.run(pending()).await;
            unreachable!("it ends with the outer one");
        });
        both.await.unwrap_err();
        assert!(!inner.expired() && outer.expired());
        let late = inner.reschedule(now()).unwrap_err();
        assert!(!late.expired(), "its future was dropped in time");

        // Both, under a busy loop: the outer one still ends what comes after.
        let (outer, inner) = (Timeout::after(SHORT), Timeout::after(SHORT));
        let (until, seen) = (outer.when().max(inner.when()).unwrap(), Cell::new(0));
        let both = outer.run(async {
            let inside = inner.run(async {
                yield_now().await;
                busy_until(until);
                pending::<()>().await;
            });
            inside.await.unwrap_err();
            seen.set(1);
            yield_now().await;
            seen.set(2);
        });
        both.await.unwrap_err();
        assert!(inner.expired() && outer.expired());
        assert!(seen.get() < 2);
    });
}

// T-25, check 60.
#[test]
fn an_error_of_the_body_passes_through_and_so_does_a_panic_of_its_end() {
    run_on_each(|| async {
        let limit = Timeout::after(LONG);
        assert_eq!(limit.run(async { Err::<(), _>("its own") }).await, Ok(Err("its own")));
        assert!(!limit.expired());
        let guard = OnDrop(|| std::panic::resume_unwind(Box::new("in its end")));
        let task = spawn(async {
            let limit = Timeout::after(SHORT);
            let body = async {
                let _guard = guard;
                pending::<()>().await;
            };
            let _ = limit.run(body).await;
            unreachable!("the panic wins");
        });
        let error = task.await.unwrap_err();
        assert_eq!(error.to_string(), "the task panicked: in its end");
        // A body that panics leaves no timer.
        let task = spawn(timeout(LONG, async {
            yield_now().await;
            std::panic::resume_unwind(Box::new("in its body"));
        }));
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(metrics().timers, 0);
    });
}

// T-24, check 61.
#[test]
fn a_cancel_before_the_limit_stays_a_cancel() {
    run_on_each(|| async {
        let limit = Rc::new(Timeout::after(LONG));
        let inside = limit.clone();
        let task = spawn(async move { inside.run(pending::<()>()).await });
        yield_now().await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(!limit.expired());
        assert!(!limit.reschedule(None).unwrap_err().expired());
        assert_eq!(metrics().timers, 0);
    });
}

// T-24, check 62: a clean-up that waits is a task of its own, for a drop does not wait.
#[test]
fn a_limit_works_in_a_clean_up_after_a_cancel() {
    run_on_each(|| async {
        let cleaned = Rc::new(Cell::new(None));
        let outcome = cleaned.clone();
        let guard = OnDrop(move || {
            let outcome = outcome.clone();
            let cleaning = async move { outcome.set(Some(timeout(SHORT, pending::<()>()).await)) };
            drop(spawn(cleaning));
        });
        let task = spawn(timeout(LONG, async {
            let _guard = guard;
            pending::<()>().await;
        }));
        yield_now().await;
        task.cancel();
        task.await.unwrap_err();
        while cleaned.get().is_none() {
            sleep(SHORT).await;
        }
        cleaned.take().unwrap().unwrap_err();
    });
}

// T-24, check 63.
// Seen to fail when a limit kept the timer that it had begun with.
#[test]
fn a_limit_can_be_moved_later_earlier_into_the_past_and_away() {
    run_on_each(|| async {
        let limit = Timeout::after(SHORT);
        let first = limit.when().unwrap();
        let later = limit.run(async {
            limit.reschedule(now() + LONG).unwrap();
            sleep(2 * SHORT).await;
            assert!(now() > first);
            // Away, and back.
            limit.reschedule(None).unwrap();
            assert_eq!(limit.when(), None);
            sleep(SHORT).await;
            assert_eq!(metrics().timers, 0);
            limit.reschedule(now() + SHORT).unwrap();
            pending::<()>().await;
        });
        later.await.unwrap_err();

        let limit = Timeout::new(None);
        limit.reschedule(now() + LONG).unwrap();
        let past = limit.run(async {
            limit.reschedule(now() - SHORT).unwrap();
            yield_now().await;
            unreachable!("a moment in the past ends it at the first await");
        });
        past.await.unwrap_err();
        assert!(limit.expired());
    });
}

// T-24, check 63.
// Seen to fail when nobody was woken, and when a body that moves its limit woke itself.
#[test]
fn a_limit_that_others_move_is_looked_at_again() {
    run_on_each(|| async {
        let limit = Rc::new(Timeout::after(LONG));
        let (outside, inside) = (limit.clone(), limit.clone());
        let task = spawn(async move { inside.run(pending::<()>()).await });
        yield_now().await;
        call_soon(move || outside.reschedule(now()).unwrap());
        task.await.unwrap().unwrap_err();
        assert!(limit.expired());
        // It does not wake itself.
        let limit = Timeout::after(LONG);
        let polls = Cell::new(0);
        let body = limit.run(poll_fn(|cx| {
            polls.set(polls.get() + 1);
            if polls.get() < 3 {
                cx.waker().wake_by_ref();
            }
            limit.reschedule(now() + LONG).unwrap();
            Poll::<()>::Pending
        }));
        let mut body = Box::pin(timeout(SHORT, body));
        poll_fn(|cx| body.as_mut().poll(cx)).await.unwrap_err();
        assert!(polls.get() <= 5, "{} polls", polls.get());
    });
}

// T-24, check 63.
#[test]
fn a_limit_that_is_over_cannot_be_moved_nor_run_again() {
    run_on_each(|| async {
        let late = |limit: &Timeout| limit.reschedule(now() + LONG).unwrap_err();
        let limit = Timeout::after(Duration::ZERO);
        let guard = OnDrop(|| assert!(late(&limit).expired(), "while its body ends"));
        let body = async {
            let _guard = guard;
            pending::<()>().await;
        };
        limit.run(body).await.unwrap_err();
        let error: RescheduleError = late(&limit);
        assert!(error.expired() && limit.expired());
        assert_eq!(error.to_string(), "the time limit was reached before it could be moved");

        let limit = Timeout::after(LONG);
        limit.run(yield_now()).await.unwrap();
        let error = late(&limit);
        assert!(!error.expired());
        let told = "the future of this time limit has ended: there is nothing to move it for";
        assert_eq!(error.to_string(), told);

        let again = catch_unwind(AssertUnwindSafe(|| {
            let _ = poll_once(&mut Box::pin(limit.run(pending::<()>())));
        }));
        let told = "a Timeout limits one future: make another one for the next";
        assert_eq!(sentence(&*again.unwrap_err()), told);

        // Entered twice at once.
        let limit = Timeout::after(LONG);
        let mut first = Box::pin(limit.run(pending::<()>()));
        assert!(poll_once(&mut first).is_pending());
        let again = catch_unwind(AssertUnwindSafe(|| {
            let _ = poll_once(&mut Box::pin(limit.run(pending::<()>())));
        }));
        assert_eq!(sentence(&*again.unwrap_err()), told);
        // And the first is none the worse.
        limit.reschedule(now()).unwrap();
        first.await.unwrap_err();
    });
}

// T-24, check 63: outside a runtime there is no clock.
#[test]
fn a_limit_outside_a_runtime_is_refused_with_a_sentence() {
    let payload = catch_unwind(|| Timeout::after(SHORT)).unwrap_err();
    assert!(sentence(&*payload).starts_with("no ringloop runtime runs on this thread"));
    let limit = Timeout::new(None);
    let run = AssertUnwindSafe(|| _ = poll_once(&mut Box::pin(limit.run(ready(1)))));
    let payload = catch_unwind(run).unwrap_err();
    assert!(sentence(&*payload).starts_with("no ringloop runtime runs on this thread"));
}

// T-26, check 67: see G-02.
#[test]
fn a_cancel_in_the_turn_in_which_the_inner_one_ends_is_obeyed_at_the_next_await_and_loses_no_value()
{
    run_on_each(|| async {
        for outlives in [false, true] {
            let inner = spawn(yield_now());
            let outer = spawn(async move {
                let value = timeout(LONG, inner).await;
                if outlives {
                    pending::<()>().await;
                }
                value
            });
            yield_now().await;
            yield_now().await;
            outer.cancel();
            match outer.await {
                Ok(value) => value.unwrap().unwrap(),
                Err(error) => assert!(error.is_cancelled()),
            }
            if outlives {
                assert_eq!(metrics().timers, 0);
            }
        }
    });
}

// T-26, check 68: a task behind a handle is what asyncio shields.
#[test]
fn a_task_survives_the_limit_of_whoever_awaits_it() {
    run_on_each(|| async {
        let (go, mut task) = (Rc::new(Cell::new(false)), None);
        let gone = go.clone();
        let inner = task.insert(spawn(async move {
            while !gone.get() {
                yield_now().await;
            }
            7
        }));
        timeout(SHORT, &mut *inner).await.unwrap_err();
        assert!(!inner.is_finished());
        go.set(true);
        assert_eq!(inner.await.unwrap(), 7);
    });
}

// T-24: deadlines that flow down.
// Seen to fail when a limit within was not held to the deadline.
#[test]
fn a_deadline_holds_all_limits_within_it_also_those_of_tasks_that_are_spawned_there() {
    run_on_each(|| async {
        assert_eq!(deadline(), None);
        // Far enough for a machine that stands still for a moment.
        let at = now() + 200 * SHORT;
        let (child, grandchild) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
        let (first, second) = (child.clone(), grandchild.clone());
        let all = with_deadline(at, async move {
            assert_eq!(deadline(), Some(at));
            // Later ones do not count, earlier ones do.
            with_deadline(at + LONG, async { assert_eq!(deadline(), Some(at)) }).await.unwrap();
            let earlier = at - 199 * SHORT;
            let inner = with_deadline(earlier, async move {
                assert_eq!(deadline(), Some(earlier));
                pending::<()>().await;
            });
            inner.await.unwrap_err();
            assert_eq!(deadline(), Some(at));
            first.set(Some(spawn(async move {
                second.set(Some(spawn(until_deadline(pending::<()>()))));
                let limit = Timeout::after(LONG);
                limit.run(pending::<()>()).await.unwrap_err();
                timeout(Duration::MAX, yield_now()).await.unwrap_err();
                timeout_at(now() + LONG, pending::<()>()).await.unwrap_err();
                limit.expired() && now() >= at
            })));
            pending::<()>().await;
        });
        all.await.unwrap_err();
        assert_eq!(deadline(), None);
        assert!(child.take().unwrap().await.unwrap());
        grandchild.take().unwrap().await.unwrap().unwrap_err();
        timeout(LONG, sleep(SHORT)).await.unwrap();
        assert_eq!(until_deadline(async { 7 }).await, Ok(7));
        assert_eq!(metrics().timers, 0);
    });
}

// Check 64: a limit around a group ends its children; where the group failed before, its error wins.
#[test]
fn a_limit_around_a_group_cancels_its_children_and_an_error_that_was_first_wins() {
    run_on_each(|| async {
        let dropped = Rc::new(Cell::new(0));
        let group = TaskGroup::<&str>::scope(async |group| {
            for _ in 0..2 {
                let dropped = dropped.clone();
                group.spawn(async move {
                    let _guard = OnDrop(move || dropped.set(dropped.get() + 1));
                    pending::<Result<(), &str>>().await
                });
            }
            Ok(())
        });
        assert!(timeout(SHORT, group).await.is_err());
        yield_now().await;
        assert_eq!(dropped.get(), 2, "the children go with the group");

        let group = TaskGroup::scope(async |group| {
            group.spawn(async { Err::<(), _>("it failed") });
            pending::<Result<(), &str>>().await
        });
        let error = timeout(LONG, group).await.unwrap().unwrap_err();
        assert_eq!(error.errors(), ["it failed"]);
    });
}
