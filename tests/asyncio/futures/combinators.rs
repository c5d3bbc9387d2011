//! Waiting for several futures (T-22, T-23, T-27, T-28; checks 46 to 51).

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ringloop::future::{Until, as_completed, gather, race, try_gather, wait};
use ringloop::task::{shield, yield_now};
use ringloop::time::{now, sleep, timeout};
use ringloop::{JoinHandle, metrics, spawn};

use crate::gate::{Gate, counts, gates};
use crate::support::{poll_once, run_on_each, sentence};

// T-22, check 49.
#[test]
fn gather_keeps_the_order_of_its_arguments_however_they_end() {
    run_on_each(|| async {
        let gates = gates::<3>();
        let [a, b, c] = gates.clone();
        let mut tuple = Box::pin(gather((a.then(1), b.then("two"), c.then([3]))));
        let mut array = Box::pin(gather([3, 2, 1].map(ready)));
        assert_eq!(poll_once(&mut array), Poll::Ready([3, 2, 1]));
        for gate in gates.iter().rev() {
            assert!(poll_once(&mut tuple).is_pending());
            gate.open();
        }
        assert_eq!(tuple.await, (1, "two", [3]));

        let gates = crate::gate::gates::<3>();
        let mut vector = Vec::new();
        for (number, gate) in gates.iter().cloned().enumerate() {
            vector.push(gate.then(number));
        }
        let mut vector = Box::pin(gather(vector));
        for gate in gates.iter().rev() {
            assert!(poll_once(&mut vector).is_pending());
            gate.open();
        }
        assert_eq!(vector.await, [0, 1, 2]);
        let eight =
            (ready(1), ready(2), ready(3), ready(4), ready(5), ready(6), ready(7), ready(8));
        assert_eq!(gather(eight).await, (1, 2, 3, 4, 5, 6, 7, 8));
    });
}

// Check 50. Nothing to wait for: no turn of the loop is needed.
#[test]
fn gather_of_nothing_is_there_at_once() {
    assert_eq!(poll_once(&mut Box::pin(gather(()))), Poll::Ready(()));
    let none: [std::future::Ready<u8>; 0] = [];
    assert_eq!(poll_once(&mut Box::pin(gather(none))), Poll::Ready([]));
    let none: Vec<std::future::Ready<Result<u8, ()>>> = Vec::new();
    assert_eq!(poll_once(&mut Box::pin(try_gather(none))), Poll::Ready(Ok(vec![])));
}

// T-22, check 49.
#[test]
fn one_failure_does_not_stop_the_others_of_gather_and_a_cancelled_child_is_its_own_error() {
    run_on_each(|| async {
        let gate = Gate::default();
        let slow = spawn(gate.clone().then(7));
        let cancelled = spawn(pending::<i32>());
        let panics = spawn(async { if now() > now() { 0 } else { panic!("on purpose") } });
        cancelled.cancel();
        let mut all = Box::pin(gather([slow, cancelled, panics]));
        for _ in 0..3 {
            assert!(timeout(Duration::ZERO, &mut all).await.is_err());
            yield_now().await;
        }
        gate.open();
        let [slow, cancelled, panics] = all.await;
        assert_eq!(slow.unwrap(), 7);
        assert!(cancelled.unwrap_err().is_cancelled());
        assert!(panics.unwrap_err().is_panic());
    });
}

// T-22: the policy that ends at the first error. Seen to fail when it waited for all.
#[test]
fn try_gather_gives_the_first_error_in_time_and_drops_the_rest() {
    run_on_each(|| async {
        let dropped = Rc::new(Cell::new(0));
        let never = || {
            let guard = counts(&dropped);
            async move {
                let _guard = guard;
                pending::<Result<(), &str>>().await
            }
        };
        let gates = gates::<2>();
        let [first, second] = gates.clone();
        let late = async { Err::<(), _>(first.then("late").await) };
        let early = async { Err::<(), _>(second.then("early").await) };
        let mut tuple = Box::pin(try_gather((never(), late, early, never())));
        assert!(poll_once(&mut tuple).is_pending());
        gates[1].open();
        assert_eq!(tuple.await, Err("early"));
        assert_eq!(dropped.get(), 2);

        type Boxed = Pin<Box<dyn Future<Output = Result<(), &'static str>>>>;
        let mixed: [Boxed; 3] =
            [Box::pin(never()), Box::pin(ready(Err("error"))), Box::pin(never())];
        assert_eq!(try_gather(mixed).await, Err("error"));
        assert_eq!(dropped.get(), 4);
        assert_eq!(try_gather((ready(Ok::<_, ()>(1)), ready(Ok("two")))).await, Ok((1, "two")));
    });
}

// T-22, check 49: a cancel of `gather` is a drop of its futures.
#[test]
fn a_dropped_gather_drops_its_futures_and_cancels_tasks_that_said_so() {
    run_on_each(|| async {
        let dropped = Rc::new(Cell::new(0));
        let never = || {
            let guard = counts(&dropped);
            async move {
                let _guard = guard;
                pending::<()>().await;
            }
        };
        let tasks = (spawn(never()).cancel_on_drop(), spawn(never()));
        let mut all = Box::pin(gather((never(), gather([never(), never()]), tasks.0, tasks.1)));
        assert!(timeout(Duration::ZERO, &mut all).await.is_err());
        drop(all);
        assert_eq!(dropped.get(), 3);
        yield_now().await;
        yield_now().await;
        assert_eq!((dropped.get(), metrics().tasks_alive), (4, 1));
    });
}

#[test]
fn a_panic_of_one_drops_the_others_and_reaches_the_caller() {
    let dropped = Rc::new(Cell::new(0));
    let guard = counts(&dropped);
    let never = async move {
        let _guard = guard;
        pending::<()>().await;
    };
    let mut all = Box::pin(gather((never, async { panic!("on purpose") })));
    let payload = catch_unwind(AssertUnwindSafe(|| poll_once(&mut all))).unwrap_err();
    assert_eq!(sentence(&*payload), "on purpose");
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_wake_of_one_polls_that_one_alone() {
    let gates: Vec<_> = (0..100).map(|_| Gate::default()).collect();
    let polls = Cell::new(0);
    let counted = gates.iter().cloned().map(|gate| {
        let mut opened = Box::pin(gate.opened());
        let polls = &polls;
        poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            opened.as_mut().poll(cx)
        })
    });
    let mut all = Box::pin(gather(counted.collect::<Vec<_>>()));
    for gate in gates.iter().rev() {
        assert!(poll_once(&mut all).is_pending());
        gate.open();
    }
    assert!(poll_once(&mut all).is_ready());
    assert_eq!(polls.get(), 200);
}

type Fallible = JoinHandle<Result<i32, &'static str>>;

/// Three tasks behind gates: the second fails.
fn three() -> ([Gate; 3], Vec<Fallible>) {
    let gates = gates::<3>();
    let [a, b, c] = gates.clone();
    let tasks = vec![
        spawn(async { Ok(a.then(1).await) }),
        spawn(async { Err(b.then("second").await) }),
        spawn(async { Ok(c.then(3).await) }),
    ];
    (gates, tasks)
}

// T-27, check 46: asyncio refuses to wait for nothing; here it is over. Duplicates cannot be given.
#[test]
fn wait_for_no_task_returns_at_once() {
    let mut none: Vec<JoinHandle<()>> = Vec::new();
    for until in [Until::first_completed(), Until::first_panic(), Until::all()] {
        let mut waiting = Box::pin(wait(&mut none, until, None));
        assert!(matches!(poll_once(&mut waiting), Poll::Ready(done) if done.is_empty()));
    }
}

// T-27, check 46.
#[test]
fn wait_says_who_has_ended_and_leaves_the_others_alone() {
    run_on_each(|| async {
        let (gates, mut tasks) = three();
        gates[2].open();
        let done = wait(&mut tasks, Until::first_completed(), None).await;
        assert_eq!((done.len(), tasks.len()), (1, 2));
        assert!(done.iter().all(JoinHandle::is_finished));
        assert!(!tasks.iter().any(JoinHandle::is_finished));
        // Those that had ended before are done as well, whatever it waits for.
        let mut again = done;
        again.append(&mut tasks);
        let done = wait(&mut again, Until::first_completed(), None).await;
        assert_eq!((done.len(), again.len()), (1, 2));

        gates[0].open();
        gates[1].open();
        let rest = wait(&mut again, Until::all(), None).await;
        assert!(again.is_empty());
        let mut results = gather(done).await;
        results.extend(gather(rest).await);
        let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, [Ok(3), Ok(1), Err("second")]);
    });
}

// T-27, checks 46 and 47. Seen to fail when a cancelled task counted as failed.
#[test]
fn wait_for_the_first_error_passes_over_values_and_cancelled_tasks() {
    run_on_each(|| async {
        let (gates, mut tasks) = three();
        let cancelled = spawn(pending());
        cancelled.cancel();
        tasks.push(cancelled);
        yield_now().await;
        let mut waiting = Box::pin(wait(&mut tasks, Until::first_error(), None));
        for gate in [None, Some(&gates[0])] {
            gate.into_iter().for_each(Gate::open);
            yield_now().await;
            assert!(timeout(Duration::ZERO, &mut waiting).await.is_err(), "nobody has failed");
        }
        drop(waiting);
        assert_eq!(tasks.len(), 4);
        gates[1].open();
        let done = wait(&mut tasks, Until::first_error(), None).await;
        assert_eq!((done.len(), tasks.len()), (3, 1));
        let results: Vec<_> = gather(done).await.into_iter().map(Result::ok).collect();
        assert_eq!(results, [Some(Ok(1)), Some(Err("second")), None]);
        // A panic is a failure whatever the type; an error is none where nobody looks for it.
        tasks.push(spawn(ready(Err("not looked at"))));
        tasks.push(spawn(async { panic!("on purpose") }));
        let done = wait(&mut tasks, Until::first_panic(), None).await;
        assert_eq!((done.len(), tasks.len()), (2, 1));
        gates[2].open();
        assert_eq!(wait(&mut tasks, Until::first_panic(), None).await.len(), 1);
    });
}

// T-27, check 46.
#[test]
fn a_wait_whose_time_is_up_cancels_nothing_and_is_no_error() {
    run_on_each(|| async {
        let (gates, mut tasks) = three();
        for limit in [Duration::ZERO, Duration::from_millis(1)] {
            let done = wait(&mut tasks, Until::all(), limit).await;
            assert_eq!((done.len(), tasks.len()), (0, 3));
        }
        gates.iter().for_each(Gate::open);
        yield_now().await;
        // With no time at all it still sees who has ended.
        assert_eq!(wait(&mut tasks, Until::all(), Duration::ZERO).await.len(), 3);
        assert_eq!(metrics().timers, 0);
    });
}

// T-28, check 48. Duplicates cannot be given.
#[test]
fn results_come_by_completion_and_say_whose_they_are() {
    run_on_each(|| async {
        let gates = gates::<3>();
        let mut all = as_completed(gates.clone().map(|gate| gate.then("done")));
        for (left, position) in [1, 2, 0].into_iter().enumerate() {
            assert_eq!(all.len(), 3 - left);
            // A time limit loses nothing: the next call goes on.
            assert!(timeout(Duration::ZERO, all.next()).await.is_err());
            gates[position].open();
            assert_eq!(all.next().await, Some((position, "done")));
        }
        assert_eq!(all.next().await, None);
        assert!(all.is_empty());
        // Handles keep their tasks: the results of those that were not taken are still there.
        let mut tasks: Vec<_> = (0..3).map(|n| spawn(async move { n })).collect();
        let mut some = as_completed(&mut tasks);
        let (first, result) = some.next().await.unwrap();
        assert_eq!(result.unwrap(), first);
        drop(some);
        tasks.remove(first);
        assert_eq!(gather(tasks).await.len(), 2);
    });
}

// Seen to fail when each race began with its first, and when they took turns: in a loop with two races a
// round each would begin with the same one for ever.
#[test]
fn in_a_loop_of_races_nobody_starves() {
    fn won<R: ringloop::future::Race<Output = usize>>(futures: R) -> usize {
        match poll_once(&mut Box::pin(race(futures))) {
            Poll::Ready(winner) => winner,
            Poll::Pending => panic!("all were ready"),
        }
    }
    let (mut pairs, mut arrays, mut trios) = ([0; 2], [0; 4], [0; 3]);
    for _ in 0..300 {
        pairs[won((ready(0), ready(1)))] += 1;
        arrays[won([0, 1, 2, 3].map(ready))] += 1;
    }
    for _ in 0..300 {
        trios[won((ready(0), ready(1), ready(2)))] += 1;
    }
    let all = pairs.iter().chain(&arrays).chain(&trios);
    assert!(all.clone().all(|wins| *wins > 50), "{:?}", all.collect::<Vec<_>>());
}

// Seen to fail when all were polled before a winner was chosen.
#[test]
fn a_race_makes_no_second_result_and_drops_the_losers() {
    run_on_each(|| async {
        let taken = RefCell::new(Vec::new());
        let dropped = Rc::new(Cell::new(0));
        for _ in 0..10 {
            let take = |what| {
                let (taken, guard) = (&taken, counts(&dropped));
                async move {
                    let _guard = guard;
                    taken.borrow_mut().push(what);
                    what
                }
            };
            let winners = [race((take(1), take(2))).await, race(vec![take(1), take(2)]).await];
            assert_eq!(taken.take(), winners);
        }
        assert_eq!(dropped.get(), 40);
        // By reference, a loser goes on.
        let gate = Gate::default();
        let mut slow = Box::pin(gate.clone().then("slow"));
        assert_eq!(race((ready("quick"), slow.as_mut())).await, "quick");
        gate.open();
        assert_eq!(slow.await, "slow");
    });
}

#[test]
fn a_race_of_nobody_is_refused_in_a_sentence() {
    let payload = catch_unwind(|| {
        let nobody: Vec<std::future::Ready<()>> = Vec::new();
        let _ = poll_once(&mut Box::pin(race(nobody)));
    });
    let payload = payload.unwrap_err();
    let text = "a race of no futures has no winner: give it one at least";
    assert_eq!(sentence(&*payload), text);
}

// T-23, check 51.
#[test]
fn what_is_shielded_outlives_who_awaits_it_and_is_cancelled_by_its_handle() {
    run_on_each(|| async {
        // The outer is cancelled, the inner goes on.
        let gate = Gate::default();
        let done = Rc::new(Cell::new(false));
        let (opened, ended) = (gate.clone().opened(), done.clone());
        let outer = spawn(async move {
            let _ = shield(async move {
                opened.await;
                ended.set(true);
            })
            .await;
        });
        yield_now().await;
        outer.cancel();
        assert!(outer.await.unwrap_err().is_cancelled());
        assert!(!done.get());
        gate.open();
        while !done.get() {
            yield_now().await;
        }
        // The inner is cancelled, and the outer hears of it.
        let inner = shield(pending::<()>());
        inner.cancel();
        assert!(inner.await.unwrap_err().is_cancelled());
        // What has ended passes through.
        let inner = shield(ready(7));
        yield_now().await;
        assert!(inner.is_finished());
        assert_eq!(inner.await.unwrap(), 7);
    });
}

// Check 51: within one another.
#[test]
fn a_shield_in_a_gather_and_a_gather_in_a_shield_go_on() {
    run_on_each(|| async {
        let ended = Rc::new(Cell::new(0));
        let count = || {
            let ended = ended.clone();
            async move {
                sleep(Duration::ZERO).await;
                yield_now().await;
                ended.set(ended.get() + 1);
            }
        };
        let shielded = gather((shield(count()), count()));
        assert!(timeout(Duration::ZERO, shielded).await.is_err());
        assert!(timeout(Duration::ZERO, shield(gather([count(), count()]))).await.is_err());
        while metrics().tasks_alive > 0 {
            yield_now().await;
        }
        assert_eq!(ended.get(), 3);
    });
}

// T-22. Seen to fail when the place of who panicked stayed, and was waited for.
#[test]
fn a_future_that_panics_is_gone_from_those_that_are_awaited_as_they_complete() {
    run_on_each(|| async {
        let futures = [true, false].map(async |panics| {
            assert!(!panics, "the first panics");
            2
        });
        let mut results = as_completed(futures);
        let next = catch_unwind(AssertUnwindSafe(|| poll_once(&mut Box::pin(results.next()))));
        assert_eq!(sentence(&*next.unwrap_err()), "the first panics");
        assert_eq!(results.len(), 1);
        assert_eq!(results.next().await, Some((1, 2)));
        assert_eq!(results.next().await, None);
    });
}
