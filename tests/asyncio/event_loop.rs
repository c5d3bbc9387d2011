//! Callbacks, timers of the loop, stopping, unhandled errors (L-*; checks 1 to 22, 26).

mod timers;
mod unhandled;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use ringloop::task::yield_now;
use ringloop::time::sleep;
use ringloop::{Builder, Handle, Runtime, call_at, call_later, call_soon, metrics, spawn};

use crate::support::{OnDrop, build, on_each_backend, run_on_each, sentence};

/// What happened, in its order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn note(&self, what: impl ToString) {
        self.0.borrow_mut().push(what.to_string());
    }

    /// A callback that notes `what`.
    fn noting<W: ToString>(&self, what: W) -> impl FnOnce() + use<W> {
        let (log, what) = (self.clone(), what.to_string());
        move || log.note(what)
    }

    fn take(&self) -> String {
        std::mem::take(&mut *self.0.borrow_mut()).join(" ")
    }
}

// ---- call_soon ----

// L-09, check 1.
#[test]
fn callbacks_run_in_order_and_once_between_the_tasks_that_became_ready_then() {
    run_on_each(|| async {
        let log = Log::default();
        call_soon(log.noting(1));
        let task = log.noting(2);
        drop(spawn(async { task() }));
        call_soon(log.noting(3));
        assert_eq!(log.take(), "", "nothing is called inline");
        yield_now().await;
        assert_eq!(log.take(), "1 2 3");
        for n in 0..1000 {
            call_soon(log.noting(n));
        }
        yield_now().await;
        assert!(log.take().split(' ').map(|n| n.parse::<i32>().unwrap()).eq(0..1000));
        yield_now().await;
        assert_eq!(log.take(), "");
    });
}

// L-09, check 2.
// Seen to fail when callbacks ran until there were none.
#[test]
fn a_callback_that_schedules_itself_waits_for_the_next_turn_and_starves_nobody() {
    fn again(count: Rc<Cell<u64>>, first_turn: u64) {
        let turns = metrics().turns - first_turn;
        assert_eq!(count.get(), turns, "once a turn");
        count.set(count.get() + 1);
        if count.get() < 10_000 {
            call_soon(move || again(count, first_turn));
        }
    }
    run_on_each(|| async {
        let (count, slept) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let first_turn = metrics().turns + 1;
        let (counting, seen) = (count.clone(), slept.clone());
        call_soon(move || again(counting, first_turn));
        drop(spawn({
            let count = count.clone();
            async move {
                sleep(Duration::ZERO).await;
                sleep(Duration::from_micros(1)).await;
                seen.set(count.get());
            }
        }));
        while count.get() < 10_000 {
            yield_now().await;
        }
        assert!((1..10_000).contains(&slept.get()), "a timer fires in between");
    });
}

// L-13, check 3.
#[test]
fn a_cancelled_callback_never_runs_and_drops_what_it_captured_at_once() {
    run_on_each(|| async {
        let log = Log::default();
        let owned = OnDrop(log.noting("dropped").into_fn_mut());
        let handle = call_soon(never(owned));
        call_soon(log.noting("next"));
        assert!(!handle.is_cancelled());
        handle.cancel();
        assert_eq!(log.take(), "dropped");
        handle.clone().cancel();
        assert!(handle.is_cancelled());
        yield_now().await;
        assert_eq!(log.take(), "next");

        let late = call_soon(|| ());
        yield_now().await;
        late.cancel();
        assert!(!late.is_cancelled(), "it has run");
    });
}

// L-13: user code in the drop of a callback, which schedules and cancels.
#[test]
fn a_callback_may_cancel_others_and_itself_and_schedule_in_a_drop() {
    run_on_each(|| async {
        let log = Log::default();
        let scheduled = log.noting("scheduled in a drop");
        let owned = OnDrop(once(move || drop(call_soon(scheduled))));
        let victim = Rc::new(Cell::new(None));
        let (other, own) = (victim.clone(), Rc::new(Cell::new(None)));
        let myself = own.clone();
        let canceller = call_soon(move || {
            Cell::take(&other).into_iter().for_each(|call: ringloop::CallHandle| call.cancel());
            Cell::take(&myself).into_iter().for_each(|call: ringloop::CallHandle| call.cancel());
        });
        own.set(Some(canceller.clone()));
        victim.set(Some(call_soon(never(owned))));
        yield_now().await;
        assert!(!canceller.is_cancelled());
        yield_now().await;
        assert_eq!(log.take(), "scheduled in a drop");
    });
}

// L-10, check 4: see also `a_stop_is_not_lost_before_from_within_or_from_another_thread`.
#[test]
fn a_post_from_another_thread_wakes_a_loop_that_sleeps() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let handle = runtime.handle();
        for _ in 0..100 {
            let handle = handle.clone();
            let poster = thread::spawn(move || {
                handle.call_soon(|| Handle::current().unwrap().stop()).unwrap();
            });
            runtime.run_forever();
            poster.join().unwrap();
        }
    });
}

// L-10, check 5.
// Seen to fail when a cancel kept what the callback had captured.
#[test]
fn a_cancel_from_another_thread_lets_a_callback_run_whole_or_not_at_all() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let handle = runtime.handle();
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let poster = {
            let (begun, ended) = (begun.clone(), ended.clone());
            thread::spawn(move || {
                let mut cancelled = 0;
                for _ in 0..2000 {
                    let (begun, ended, alive) = (begun.clone(), ended.clone(), Arc::new(()));
                    let (watch, held) = (Arc::downgrade(&alive), alive);
                    let posted = handle.call_soon(move || {
                        begun.fetch_add(1, SeqCst);
                        drop(held);
                        ended.fetch_add(1, SeqCst);
                    });
                    let posted = posted.unwrap();
                    posted.cancel();
                    if posted.is_cancelled() {
                        cancelled += 1;
                        assert!(watch.upgrade().is_none(), "what it captured is gone");
                    }
                }
                handle.stop();
                cancelled
            })
        };
        runtime.run_forever();
        let cancelled = poster.join().unwrap();
        assert_eq!(begun.load(SeqCst), ended.load(SeqCst));
        assert_eq!(begun.load(SeqCst) + cancelled, 2000);
    });
}

// L-10, check 6.
#[test]
fn a_post_to_a_runtime_that_has_ended_is_an_error_and_what_it_did_not_read_is_dropped() {
    on_each_backend(|builder| {
        let runtime = build(builder);
        let handle = runtime.handle();
        let alive = Arc::new(());
        let held = alive.clone();
        let unread = handle.call_soon(never(held)).unwrap();
        drop(runtime);
        assert_eq!(Arc::strong_count(&alive), 1);
        assert!(unread.is_cancelled());
        unread.cancel();
        let error = handle.call_soon(|| unreachable!()).unwrap_err();
        assert_eq!(error.to_string(), "the ringloop runtime of this object has ended");
    });
}

// L-09, check 17.
#[test]
fn callbacks_outside_a_runtime_are_refused_with_a_sentence() {
    let refused = |schedule: fn()| {
        let payload = catch_unwind(schedule).unwrap_err();
        assert!(sentence(&*payload).starts_with("no ringloop runtime runs on this thread: "));
    };
    refused(|| drop(call_soon(|| ())));
    refused(|| drop(call_later(Duration::ZERO, || ())));
    refused(|| drop(call_at(std::time::Instant::now(), || ())));
}

// L-06, check 26: the end drops what waits and refuses what comes.
// Seen to fail when a timer's callback was left to its handle.
#[test]
fn the_end_of_a_runtime_drops_callbacks_unrun_and_refuses_new_ones() {
    on_each_backend(|builder| {
        let log = Log::default();
        let mut runtime = build(builder);
        let (soon, later) = runtime.block_on(async {
            let refused = log.clone();
            let guard = OnDrop(once(move || {
                let task = OnDrop(refused.noting("task").into_fn_mut());
                let callback = OnDrop(refused.noting("callback").into_fn_mut());
                let timer = OnDrop(refused.noting("timer").into_fn_mut());
                assert!(spawn(async { drop(task) }).is_finished());
                assert!(call_soon(never(callback)).is_cancelled());
                let never = call_later(Duration::ZERO, never(timer));
                assert!(never.is_cancelled());
            }));
            drop(spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }));
            yield_now().await;
            let (soon, later) = (log.clone(), log.clone());
            let soon = OnDrop(soon.noting("soon").into_fn_mut());
            let later = OnDrop(later.noting("later").into_fn_mut());
            (call_soon(never(soon)), call_later(Duration::from_secs(60), never(later)))
        });
        drop(runtime);
        assert_eq!(log.take(), "task callback timer soon later");
        assert!(soon.is_cancelled() && later.is_cancelled());
        soon.cancel();
        later.cancel();
    });
}

// ---- running and stopping ----

// L-05, check 12.
// Seen to fail when a stop ended the run at once, and when it let it wait.
#[test]
fn a_stop_before_the_run_makes_it_one_turn_that_does_not_wait() {
    on_each_backend(|builder| {
        let log = Log::default();
        let mut runtime = build(builder);
        let handle = runtime.handle();
        let from_within = |runtime: &mut Runtime| {
            runtime.block_on(async { Handle::current().unwrap().stop() });
        };
        for stop in [&|_: &mut Runtime| handle.stop(), &from_within as &dyn Fn(&mut Runtime)] {
            let next = log.noting("next turn");
            let soon = log.noting("one turn");
            runtime.block_on(async {
                call_soon(move || {
                    soon();
                    call_soon(next);
                });
            });
            stop(&mut runtime);
            let turns = runtime.metrics().turns;
            runtime.run_forever();
            // `block_on` may have made the first turn, to stop from within.
            assert_eq!(runtime.metrics().turns - turns, 1);
            runtime.block_on(async { yield_now().await });
            assert_eq!(log.take(), "one turn next turn");
        }
        // With nothing to do it does not wait either.
        for stop in [&|_: &mut Runtime| handle.stop(), &from_within as &dyn Fn(&mut Runtime)] {
            stop(&mut runtime);
            runtime.run_forever();
        }
    });
}

// L-05, checks 13 and 14.
// Seen to fail when a stop ended the run at the next poll of the main future.
#[test]
fn a_stop_in_a_callback_lets_its_batch_end_and_leaves_the_rest_to_the_next_run() {
    on_each_backend(|builder| {
        let log = Log::default();
        let mut runtime = build(builder);
        runtime.block_on(async {
            let (later, log) = (log.noting("later"), log.clone());
            let last = log.noting("the batch ends");
            call_soon(move || {
                call_soon(later);
                Handle::current().unwrap().stop();
                log.note("stop");
            });
            call_soon(last);
        });
        runtime.run_forever();
        assert_eq!(log.take(), "stop the batch ends");
        let stop = || drop(call_soon(|| Handle::current().unwrap().stop()));
        runtime.block_on(async { stop() });
        runtime.run_forever();
        assert_eq!(log.take(), "later");
    });
}

// L-04, check 15.
#[test]
fn a_run_within_a_run_is_refused() {
    run_on_each(|| async {
        let mut inner = Builder::new().build().unwrap();
        let mut refused = |run: &mut dyn FnMut(&mut Runtime)| {
            let payload = catch_unwind(AssertUnwindSafe(|| run(&mut inner))).unwrap_err();
            let told = "a ringloop runtime runs on this thread already: spawn a task instead";
            assert_eq!(sentence(&*payload), told);
        };
        refused(&mut |inner| inner.block_on(async {}));
        refused(&mut Runtime::run_forever);
    });
}

// L-04, check 16: a stop does not end `block_on`, so there is no such error.
#[test]
fn a_stop_does_not_end_block_on() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        runtime.block_on(async {
            Handle::current().unwrap().stop();
            sleep(Duration::from_millis(1)).await;
        });
        runtime.run_forever();
    });
}

/// A callback that does not run, and owns something.
fn never<T>(owned: T) -> impl FnOnce() {
    move || {
        let _owned = &owned;
        unreachable!("it was cancelled");
    }
}

/// An event that happens once.
fn once(event: impl FnOnce()) -> impl FnMut() {
    let mut event = Some(event);
    move || event.take().into_iter().for_each(|event| event())
}

trait IntoFnMut: FnOnce() + Sized {
    fn into_fn_mut(self) -> impl FnMut() {
        once(self)
    }
}

impl<F: FnOnce()> IntoFnMut for F {}
