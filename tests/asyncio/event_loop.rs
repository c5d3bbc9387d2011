//! Callbacks, timers of the loop, stopping, unhandled errors (L-*; checks 1 to 22, 26).

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use ringloop::task::{Spawn, current, spawn_reporting, yield_now};
use ringloop::time::{now, sleep, sleep_until};
use ringloop::{Builder, Handle, Runtime, call_at, call_later, call_soon, metrics, spawn};

use crate::support::{OnDrop, alone, build, on_each_backend, run_on_each, sentence, this_test};

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

// ---- timers ----

// L-11, L-14, checks 7 and 8.
#[test]
fn a_callback_without_delay_runs_in_the_next_turn_and_its_moment_can_be_read() {
    run_on_each(|| async {
        let log = Log::default();
        let start = now();
        let at_once = call_later(Duration::ZERO, log.noting("at once"));
        let past = call_at(start - Duration::from_secs(1), log.noting("past"));
        assert!(at_once.when() >= start && at_once.when() <= now());
        assert_eq!(past.when(), start - Duration::from_secs(1));
        assert_eq!(log.take(), "");
        yield_now().await;
        yield_now().await;
        assert_eq!(log.take(), "past at once");
        assert_eq!(past.when(), start - Duration::from_secs(1));
        assert!(!past.is_cancelled());

        let delay = Duration::from_millis(1);
        let before = now();
        let later = call_later(delay, || ());
        assert!(later.when() >= before + delay && later.when() <= now() + delay);
        let at = call_at(later.when(), || ());
        assert_eq!(at.when(), later.when());
    });
}

// L-11, check 9.
#[test]
fn a_timer_never_fires_early_and_the_loop_sleeps_until_then() {
    run_on_each(|| async {
        let (tell, told) = mpsc::channel();
        for micros in (0..3000).step_by(100) {
            let tell = tell.clone();
            let delay = Duration::from_micros(micros);
            let due = now() + delay;
            call_later(delay, move || tell.send((due, now())).unwrap());
        }
        let turns = metrics().turns;
        sleep(Duration::from_millis(4)).await;
        assert!(metrics().turns - turns < 400, "it spins");
        drop(tell);
        let fired: Vec<_> = told.into_iter().collect();
        assert_eq!(fired.len(), 30);
        assert!(fired.iter().all(|(due, now)| now >= due));
    });
}

// L-11, G-06: equal deadlines, among callbacks and with sleeps.
// Seen to fail when what sleeps was woken after all callbacks.
#[test]
fn equal_deadlines_keep_the_order_of_the_calls_also_among_sleeps() {
    run_on_each(|| async {
        let log = Log::default();
        let mut ahead = Duration::from_millis(1);
        loop {
            let at = now() + ahead;
            for n in 0..10 {
                if n % 2 == 0 {
                    call_at(at, log.noting(n));
                } else {
                    let done = log.noting(n);
                    drop(spawn(async move {
                        sleep_until(at).await;
                        done();
                    }));
                    yield_now().await;
                }
            }
            // Earlier ones come first, whenever they were set.
            call_at(at - Duration::from_micros(1), log.noting("first"));
            let in_time = now() < at - Duration::from_micros(1);
            sleep_until(at + Duration::from_micros(1)).await;
            yield_now().await;
            let order = log.take();
            if in_time {
                return assert_eq!(order, "first 0 1 2 3 4 5 6 7 8 9");
            }
            // It was too slow to set them all.
            ahead *= 2;
        }
    });
}

// L-11, check 10.
#[test]
fn a_huge_delay_neither_overflows_nor_fires() {
    run_on_each(|| async {
        for delay in
            [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)]
        {
            let timer = call_later(delay, || unreachable!());
            assert!(timer.when() > now() + Duration::from_secs(99 * 365 * 24 * 3600));
            sleep(Duration::from_micros(1)).await;
            timer.cancel();
        }
        assert_eq!(metrics().timers, 0);
    });
}

// L-14, check 11.
// Seen to fail when a cancel left the timer to its deadline.
#[test]
fn cancelled_timers_are_gone_at_once_and_the_others_fire() {
    run_on_each(|| async {
        let log = Log::default();
        let dropped = Rc::new(Cell::new(0));
        let timers: Vec<_> = (0..500)
            .map(|n| {
                let (note, dropped) = (log.noting(n), dropped.clone());
                let owned = OnDrop(move || dropped.set(dropped.get() + 1));
                call_later(Duration::from_millis(1 + n % 3), move || drop((owned, note())))
            })
            .collect();
        assert_eq!(metrics().timers, 500);
        for timer in timers.iter().filter(|timer| timer.when() > timers[0].when()).take(300) {
            timer.cancel();
            timer.cancel();
            assert!(timer.is_cancelled());
        }
        assert_eq!((metrics().timers, dropped.get()), (200, 300));
        sleep(Duration::from_millis(10)).await;
        assert_eq!((metrics().timers, dropped.get()), (0, 500));
        assert_eq!(log.take().split(' ').count(), 200);
        timers.iter().for_each(ringloop::TimerHandle::cancel);
        assert_eq!(timers.iter().filter(|timer| timer.is_cancelled()).count(), 300);
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

// ---- what nobody awaits ----

/// A runtime whose unhandled failures come out of the channel, as text.
fn telling(builder: &mut Builder) -> (Runtime, mpsc::Receiver<String>) {
    let (tell, told) = mpsc::channel();
    let runtime = build(builder.on_unhandled(move |what| {
        let of = what.panic.map_or("error", |_| "panic");
        tell.send(format!("{of} | {what}")).unwrap();
    }));
    (runtime, told)
}

fn all(told: &mpsc::Receiver<String>) -> Vec<String> {
    told.try_iter().collect()
}

/// Panics, quietly.
fn boom(text: &'static str) {
    std::panic::resume_unwind(Box::new(text));
}

// F-08, T-03, L-56, check 31.
// Seen to fail when a panic that was awaited was reported too.
#[test]
fn a_panic_that_nobody_asks_for_is_reported_once_and_no_other() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        let line = line!() + 2;
        runtime.block_on(async {
            let panics = || Spawn::new().name("cook").spawn(async { boom("burnt") });
            // The handle goes first.
            let id = panics().id();
            yield_now().await;
            let text =
                format!("panic | a task panicked: burnt; task {id} `cook` ({}:{line})", file!());
            assert_eq!(all(&told), [text]);
            // The task ends first.
            let task = panics();
            yield_now().await;
            assert_eq!(all(&told), [""; 0]);
            drop(task);
            assert_eq!(all(&told).len(), 1);
            // Awaited, by value and by reference; polled and dropped.
            panics().await.unwrap_err();
            let mut task = panics();
            (&mut task).await.unwrap_err();
            drop(task);
            // Cancelled, before and after its first poll.
            let (unpolled, polled) = (spawn(async { boom("never") }), spawn(pending::<()>()));
            unpolled.cancel();
            yield_now().await;
            polled.cancel();
            drop(polled);
            yield_now().await;
            yield_now().await;
            assert_eq!(all(&told), [""; 0]);
            // Cancelled, and panics in a drop.
            let guard = OnDrop(|| boom("in a drop"));
            let task = spawn(async {
                let _guard = guard;
                pending::<()>().await;
            });
            yield_now().await;
            task.cancel();
            drop(task);
            yield_now().await;
            assert_eq!(all(&told).len(), 1);
        });
    });
}

// F-08, R-01.
#[test]
fn a_panic_at_the_end_of_the_runtime_and_one_after_it_are_reported_to_its_own_hook() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        let mut kept = None;
        runtime.block_on(async {
            let guard = OnDrop(|| boom("in a drop"));
            drop(spawn(async {
                let _guard = guard;
                pending::<()>().await;
            }));
            kept = Some(spawn(async { boom("early") }));
            yield_now().await;
        });
        drop(runtime);
        assert!(all(&told).concat().starts_with("panic | a task panicked: in a drop; task 1 ("));
        // Another runtime runs, and it is none of its affairs.
        let (mut other, others) = telling(builder);
        other.block_on(async { drop(kept) });
        assert!(all(&told).concat().starts_with("panic | a task panicked: early; task 2 ("));
        assert_eq!(all(&others), [""; 0]);
    });
}

// F-08: a handle that is dropped by an unwinding panic.
#[test]
fn a_report_in_the_middle_of_another_panic_does_not_abort() {
    on_each_backend(|builder| {
        let told = Arc::new(AtomicUsize::new(0));
        let seen = told.clone();
        builder.on_unhandled(move |_| {
            seen.fetch_add(1, SeqCst);
            boom("the hook, too");
        });
        let mut runtime = build(builder);
        runtime.block_on(async {
            let inner = spawn(async { boom("inner") });
            let outer = spawn(async move {
                let _inner = inner;
                yield_now().await;
                boom("outer");
            });
            outer.await.unwrap_err();
        });
        assert_eq!(told.load(SeqCst), 1);
    });
}

// F-08: a task that another thread spawned and does not want any more.
#[test]
fn the_panic_of_a_task_from_another_thread_is_reported_if_its_handle_is_gone() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        let handle = runtime.handle();
        drop(handle.spawn(|| async { boom("afar") }));
        let wanted = handle.spawn(|| async { boom("wanted") });
        runtime.block_on(async {
            wanted.await.unwrap_err();
            yield_now().await;
        });
        let told = all(&told);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("panic | a task panicked: afar; task 1 ("), "{}", told[0]);
    });
}

// L-56, L-57: the error of a task, where its type is known.
#[test]
fn the_error_of_a_reporting_task_is_reported_and_a_good_end_is_not() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        runtime.block_on(async {
            spawn_reporting(async { Ok::<_, String>(7) }).await.unwrap();
            spawn_reporting(pending::<Result<(), String>>()).cancel();
            assert_eq!(all(&told), [""; 0]);
            let line = line!() + 1;
            let task = Spawn::new().name("mail").spawn_reporting(async { Err::<(), _>("no host") });
            let id = task.id();
            task.await.unwrap();
            let text =
                format!("error | a task failed: no host; task {id} `mail` ({}:{line})", file!());
            assert_eq!(all(&told), [text]);
            drop(spawn_reporting(async { "x".parse::<u8>().inspect_err(|_| boom("instead")) }));
            yield_now().await;
            assert!(all(&told).concat().starts_with("panic | a task panicked: instead; "));
        });
    });
}

// L-56, checks 18 and 20.
// Seen to fail when the panics of letters were only kept.
#[test]
fn a_callback_that_panics_is_reported_with_its_place_and_the_loop_goes_on() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        let handle = runtime.handle();
        runtime.block_on(async {
            let place = |line| format!("scheduled at {}:{line}", file!());
            let line = line!();
            call_soon(|| boom("soon"));
            call_later(Duration::ZERO, || boom("later"));
            call_at(now(), || boom("at"));
            handle.call_soon(|| boom("posted")).unwrap();
            let log = Log::default();
            call_soon(log.noting("next"));
            sleep(Duration::from_millis(1)).await;
            assert_eq!(log.take(), "next");
            let mut told = all(&told);
            told.sort();
            let expected = [("at", 3), ("later", 2), ("posted", 4), ("soon", 1)];
            let expected = expected.map(|(text, nth)| {
                format!("panic | a callback panicked: {text}; {}", place(line + nth))
            });
            assert_eq!(told, expected);
        });
    });
}

// L-56, check 19.
#[test]
fn a_hook_that_panics_is_contained_and_may_use_the_runtime() {
    on_each_backend(|builder| {
        let calls = Arc::new(Mutex::new(0));
        let seen = calls.clone();
        builder.on_unhandled(move |what| {
            *seen.lock().unwrap() += 1;
            assert!(what.task.is_none() || current().is_none());
            // Everything may be done here, also in a drop, and from a failure more may follow.
            drop(spawn(yield_now()));
            drop(call_soon(|| ()));
            if what.panic.unwrap().downcast_ref() == Some(&"once more") {
                drop(spawn(async { boom("and again") }));
            }
            boom("the hook");
        });
        let mut runtime = build(builder);
        runtime.block_on(async {
            drop(spawn(async { boom("once more") }));
            call_soon(|| boom("a callback"));
            for _ in 0..4 {
                yield_now().await;
            }
        });
        assert_eq!(*calls.lock().unwrap(), 3);
        drop(runtime);
    });
}

// L-56, check 19: the default tells stderr, if that is asked for, also where the hook panics.
#[test]
fn without_a_hook_stderr_is_told_under_the_debug_variable_only() {
    const NAME: &str = "event_loop::without_a_hook_stderr_is_told_under_the_debug_variable_only";
    let fail = |builder: &mut Builder, text: &'static str| {
        let mut runtime = builder.build().unwrap();
        runtime.block_on(async {
            drop(spawn_reporting(async move { Err::<(), _>(text) }));
            yield_now().await;
        });
    };
    if std::env::var_os("RINGLOOP_TEST_ALONE").is_some() {
        return alone(NAME, || {
            fail(&mut Builder::new(), "of the default");
            fail(Builder::new().on_unhandled(|_| boom("the hook")), "of the hook");
        });
    }
    let told = |debug: bool| {
        let mut command = this_test(NAME);
        command.env_remove("RINGLOOP_DEBUG");
        if debug {
            command.env("RINGLOOP_DEBUG", "1");
        }
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(!told(false).contains("a task failed"));
    let told = told(true);
    assert!(told.contains("ringloop: a task failed: of the default; task 1 ("), "{told}");
    assert!(told.contains("ringloop: a task failed: of the hook; task 1 ("), "{told}");
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
