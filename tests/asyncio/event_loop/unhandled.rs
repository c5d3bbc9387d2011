//! What nobody awaits (F-08, R-01, L-56, L-57; checks 18 to 20, 31).

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

use ringloop::task::{Spawn, TaskGroup, current, spawn_reporting, yield_now};
use ringloop::time::{now, sleep};
use ringloop::{
    Builder, Runtime, call_at, call_later, call_soon, spawn, spawn_blocking, task_local,
};

use super::Log;
use crate::support::{OnDrop, alone, build, on_each_backend, poll_once, this_test};

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

// L-56, T-29. Seen to fail when it was asked but once, as the result came, whether anybody wants it.
#[test]
fn a_panic_on_its_way_to_another_thread_is_reported_if_nobody_takes_it() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        let handle = runtime.handle();
        runtime.block_on(async {
            let task = handle.spawn(|| async { boom("remote") });
            while !task.is_finished() {
                yield_now().await;
            }
            drop(task);
            handle.spawn(|| async { boom("awaited") }).await.unwrap_err();
            spawn_blocking(|| boom("awaited")).await.unwrap_err();
        });
        let all_told = all(&told);
        assert_eq!(all_told.len(), 1, "{all_told:?}");
        assert!(all_told[0].starts_with("panic | a task panicked: remote; task "), "{all_told:?}");
        let line = line!() + 2;
        runtime.block_on(async {
            spawn_blocking(|| boom("job")).detach();
        });
        runtime.shutdown_timeout(Duration::MAX);
        let text = format!("panic | a job panicked: job; scheduled at {}:{line}", file!());
        assert_eq!(all(&told), [text]);
    });
}

// L-56, check 19: what is refused at the end is dropped within the hook that spawned it.
#[test]
fn a_hook_that_makes_a_failure_at_once_is_not_called_for_that() {
    on_each_backend(|builder| {
        let calls = Arc::new(AtomicUsize::new(0));
        let seen = calls.clone();
        let mut runtime = build(builder.on_unhandled(move |_| {
            seen.fetch_add(1, SeqCst);
            let bomb = OnDrop(|| boom("within the hook"));
            drop(spawn(async move { drop(bomb) }));
        }));
        runtime.block_on(async {
            let bomb = OnDrop(|| boom("at the end"));
            drop(spawn(async move {
                let _bomb = bomb;
                pending::<()>().await
            }));
            yield_now().await;
        });
        drop(runtime);
        assert_eq!(calls.load(SeqCst), 1);
    });
}

// L-56, check 19: the default tells stderr, if that is asked for, also where the hook panics.
#[test]
fn without_a_hook_stderr_is_told_under_the_debug_variable_only() {
    const NAME: &str =
        "event_loop::unhandled::without_a_hook_stderr_is_told_under_the_debug_variable_only";
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
    let told = |debug: &str| {
        let mut command = this_test(NAME);
        command.env("RINGLOOP_DEBUG", debug);
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(!told("").contains("a task failed"));
    assert!(!told("0").contains("a task failed"));
    let told = told("1");
    assert!(told.contains("ringloop: a task failed: of the default; task 1 ("), "{told}");
    assert!(told.contains("ringloop: a task failed: of the hook; task 1 ("), "{told}");
}

task_local! {
    static OWNER: OnDrop<fn()>;
}

// L-56. Seen to fail when the callback's locals were dropped outside of what catches its panics.
#[test]
fn a_callback_that_drops_the_last_of_a_task_local_lets_no_panic_out_of_the_loop() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        let still_runs = runtime.block_on(async {
            OWNER.sync_scope(OnDrop(|| boom("in a drop")), || {
                call_soon(|| ());
            });
            OWNER.sync_scope(OnDrop(|| boom("in a drop, too")), || {
                call_soon(|| boom("in the callback"));
            });
            yield_now().await;
            true
        });
        assert!(still_runs);
        let told = all(&told);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[1].contains("in the callback") && told[2].contains("in a drop, too"));
    });
}

async fn fails(text: &'static str) -> Result<(), ()> {
    boom(text);
    Ok(())
}

// F-08, check 31. Seen to fail when the second was dropped.
#[test]
fn of_several_panics_of_a_group_one_goes_on_and_the_others_are_reported() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        let line = line!() + 6;
        runtime.block_on(async {
            let group = spawn(TaskGroup::scope(async |group| {
                group.spawn(fails("first"));
                group.spawn(fails("second"));
                let guard = OnDrop(|| boom("third"));
                group.spawn_scoped(async {
                    let _guard = guard;
                    pending::<Result<(), ()>>().await
                });
                Ok(())
            }));
            assert_eq!(group.await.unwrap_err().to_string(), "the task panicked: first");
        });
        let mut told = all(&told);
        told.sort();
        assert_eq!(told.len(), 2, "{told:?}");
        let place = format!("scheduled at {}:{line}", file!());
        assert_eq!(told[0], format!("panic | a child of a task group panicked: third; {place}"));
        assert!(told[1].starts_with("panic | a task panicked: second; task 3 ("), "{told:?}");
    });
}

// F-08, check 31. Seen to fail when the panic went with the block.
#[test]
fn a_group_that_is_cancelled_while_it_closes_has_its_panic_reported() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        runtime.block_on(async {
            let group = spawn(TaskGroup::scope(async |group| {
                group.spawn_scoped(fails("lost"));
                group.spawn(pending::<Result<(), ()>>());
                Ok(())
            }));
            yield_now().await;
            group.cancel();
            assert!(group.await.unwrap_err().is_cancelled());
            let told = all(&told);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with("panic | a child of a task group panicked: lost;"));
        });
    });
}

// F-08. Each seen to fail when the panic of that drop was dropped.
#[test]
fn a_child_whose_drop_panics_as_well_or_with_its_block_has_that_reported() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        runtime.block_on(async {
            let group = spawn(TaskGroup::scope(async |group| {
                let guard = OnDrop(|| boom("in its drop"));
                group.spawn_scoped(poll_fn(move |_| {
                    let _kept = &guard;
                    boom("in its poll");
                    Poll::<Result<(), ()>>::Pending
                }));
                Ok(())
            }));
            assert_eq!(group.await.unwrap_err().to_string(), "the task panicked: in its poll");
            let told_of_drop = all(&told);
            assert_eq!(told_of_drop.len(), 1, "{told_of_drop:?}");
            assert!(told_of_drop[0].contains("a child of a task group panicked: in its drop;"));

            let mut group = Box::pin(TaskGroup::scope(async |group| {
                let guard = OnDrop(|| boom("with the block"));
                group.spawn_scoped(async move {
                    let _guard = guard;
                    pending::<Result<(), ()>>().await
                });
                Ok(())
            }));
            assert!(poll_once(&mut group).is_pending());
            drop(group);
            let told = all(&told);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains("a child of a task group panicked: with the block;"));
        });
    });
}

// F-08. Seen to abort when errors were dropped while the panic went on, or as one.
#[test]
fn a_group_outlives_that_the_drops_of_its_errors_panic() {
    type Bomb = OnDrop<fn()>;
    const BOMB: fn() -> Bomb = || OnDrop(|| boom("an error's drop"));
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        let errors_told = || {
            let told = all(&told);
            let of_errors = |told: &String| told.contains("a task group panicked: an error's drop");
            assert!(told.iter().all(of_errors), "{told:?}");
            told.len()
        };
        runtime.block_on(async {
            let group = spawn(async {
                let group = TaskGroup::<Bomb>::scope(async |group| {
                    group.spawn_scoped(async { Err::<(), _>(BOMB()) });
                    let guard = OnDrop(|| boom("a child's drop"));
                    group.spawn_scoped(async {
                        let _guard = guard;
                        pending::<Result<(), Bomb>>().await
                    });
                    Ok(())
                });
                drop(group.await);
            });
            assert_eq!(group.await.unwrap_err().to_string(), "the task panicked: a child's drop");
            assert_eq!(errors_told(), 1);

            // Dropped before it could give them.
            let mut group = Box::pin(TaskGroup::<Bomb>::scope(async |group| {
                group.spawn(async { Err::<(), _>(BOMB()) });
                group.spawn(async { Err::<(), _>(BOMB()) });
                group.spawn(pending::<Result<(), Bomb>>());
                Ok(())
            }));
            assert!(poll_once(&mut group).is_pending());
            yield_now().await;
            assert!(poll_once(&mut group).is_pending());
            drop(group);
            assert_eq!(errors_told(), 2);
        });
    });
}
