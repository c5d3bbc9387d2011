//! A task's life, from its spawning to its result.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use ringloop::task::{Spawn, yield_now};
use ringloop::{JoinHandle, metrics, spawn};

use crate::support::{OnDrop, build, on_each_backend, run_on_each, sentence};

/// A cell that a task and its test share.
fn shared<T>(value: T) -> (Rc<RefCell<T>>, Rc<RefCell<T>>) {
    let cell = Rc::new(RefCell::new(value));
    (cell.clone(), cell)
}

#[test]
fn a_dropped_handle_detaches_and_the_task_still_ends() {
    run_on_each(|| async {
        let (ended, seen) = shared(false);
        drop(spawn(async move {
            yield_now().await;
            *ended.borrow_mut() = true;
        }));
        while !*seen.borrow() {
            yield_now().await;
        }
    });
}

#[test]
fn a_task_cancelled_before_its_first_poll_never_runs() {
    run_on_each(|| async {
        let (ran, seen) = shared(false);
        let (dropped, gone) = shared(false);
        let guard = OnDrop(move || *dropped.borrow_mut() = true);
        let task = spawn(async move {
            let _guard = guard;
            *ran.borrow_mut() = true;
        });
        task.cancel();
        assert!(!task.is_finished(), "a cancel runs no user code in its caller");
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(!*seen.borrow(), "the body ran");
        assert!(*gone.borrow(), "what the future had captured was not dropped");
    });
}

#[test]
fn a_cancel_at_an_await_drops_the_future_in_the_next_turn() {
    run_on_each(|| async {
        let (dropped, gone) = shared(None);
        let task = spawn(async move {
            let _guard = OnDrop(|| *dropped.borrow_mut() = Some(metrics().turns));
            pending::<()>().await;
        });
        yield_now().await;
        let now = metrics().turns;
        task.cancel();
        task.cancel();
        let error = task.await.unwrap_err();
        assert!(error.is_cancelled() && !error.is_panic());
        assert_eq!(error.to_string(), "the task was cancelled");
        assert!(error.try_into_panic().is_err());
        assert_eq!(gone.borrow().unwrap(), now + 1);
    });
}

#[test]
fn a_value_that_comes_out_of_the_cancelled_poll_is_kept() {
    run_on_each(|| async {
        let (own, slot) = shared(None::<JoinHandle<i32>>);
        let task = spawn(async move {
            yield_now().await;
            own.borrow().as_ref().unwrap().cancel();
            7
        });
        *slot.borrow_mut() = Some(task);
        for _ in 0..3 {
            yield_now().await;
        }
        let task = slot.borrow_mut().take().unwrap();
        assert!(task.is_finished());
        assert_eq!(task.await.unwrap(), 7);
    });
}

#[test]
fn a_task_that_cancels_itself_ends_at_its_next_await() {
    run_on_each(|| async {
        let (own, slot) = shared(None::<JoinHandle<()>>);
        let (passed, seen) = shared(0);
        let task = spawn(async move {
            own.borrow().as_ref().unwrap().cancel();
            *passed.borrow_mut() = 1;
            pending::<()>().await;
            *passed.borrow_mut() = 2;
        });
        *slot.borrow_mut() = Some(task);
        yield_now().await;
        let task = slot.borrow_mut().take().unwrap();
        assert!(task.is_finished(), "nobody but itself could wake it");
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(*seen.borrow(), 1);
    });
}

#[test]
fn a_late_cancel_does_not_take_a_result_away() {
    run_on_each(|| async {
        let task = spawn(async { "kept" });
        yield_now().await;
        assert!(task.is_finished());
        task.cancel();
        yield_now().await;
        assert_eq!(task.await.unwrap(), "kept");
    });
}

#[test]
fn a_late_cancel_does_not_hit_the_next_task_of_the_slot() {
    run_on_each(|| async {
        let old = spawn(async {});
        yield_now().await;
        let next = spawn(async {
            yield_now().await;
            1
        });
        old.cancel();
        assert_eq!(next.await.unwrap(), 1);
    });
}

#[test]
fn first_polls_come_in_the_order_of_spawning() {
    run_on_each(|| async {
        let order = Rc::new(RefCell::new(Vec::new()));
        // More than one turn polls.
        let tasks: Vec<_> = (0..3000)
            .map(|i| {
                let order = order.clone();
                spawn(async move { order.borrow_mut().push(i) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(order.borrow().iter().copied().eq(0..3000));
    });
}

#[test]
fn a_newcomer_waits_for_the_next_turn() {
    fn chain(turns: Rc<RefCell<Vec<u64>>>, left: u32) {
        drop(spawn(async move {
            turns.borrow_mut().push(metrics().turns);
            if left > 0 {
                chain(turns, left - 1);
            }
        }));
    }
    run_on_each(|| async {
        let turns = Rc::new(RefCell::new(Vec::new()));
        chain(turns.clone(), 99);
        while turns.borrow().len() < 100 {
            yield_now().await;
        }
        let turns = turns.borrow();
        assert!(turns.windows(2).all(|pair| pair[1] == pair[0] + 1), "{turns:?}");
    });
}

#[test]
fn those_who_yield_take_turns() {
    run_on_each(|| async {
        let order = Rc::new(RefCell::new(String::new()));
        let tasks = ["a", "b", "c"].map(|name| {
            let order = order.clone();
            spawn(async move {
                for _ in 0..3 {
                    order.borrow_mut().push_str(name);
                    yield_now().await;
                }
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.borrow(), "abcabcabc");
    });
}

#[test]
fn ids_are_never_used_twice_and_names_are_kept() {
    run_on_each(|| async {
        let mut last = None;
        for _ in 0..100 {
            let task = spawn(async {});
            assert!(Some(task.id()) > last);
            last = Some(task.id());
            assert_eq!(task.name(), None);
            task.await.unwrap();
        }
        let task = Spawn::new().name("the answer").spawn(async { 42 });
        assert_eq!(task.name().as_deref(), Some("the answer"));
        let text = format!("{task:?}");
        assert!(text.contains("the answer") && text.contains(&task.id().to_string()), "{text}");
        assert_eq!(task.await.unwrap(), 42);
    });
}

#[test]
fn a_task_may_drop_its_own_handle() {
    run_on_each(|| async {
        let (own, slot) = shared(None::<JoinHandle<Rc<()>>>);
        let (alive, weak) = {
            let rc = Rc::new(());
            (rc.clone(), Rc::downgrade(&rc))
        };
        *slot.borrow_mut() = Some(spawn(async move {
            yield_now().await;
            drop(own.borrow_mut().take());
            yield_now().await;
            alive
        }));
        while weak.strong_count() > 0 {
            yield_now().await;
        }
        assert_eq!(metrics().tasks_alive, 0);
    });
}

#[test]
fn a_handle_polled_by_reference_and_dropped_loses_no_result() {
    run_on_each(|| async {
        let mut task = spawn(async {
            yield_now().await;
            5
        });
        assert!(crate::support::poll_once(&mut task).is_pending());
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!((&mut task).await.unwrap(), 5);
        let again = catch_unwind(AssertUnwindSafe(|| crate::support::poll_once(&mut task)));
        assert!(sentence(&*again.unwrap_err()).contains("polled after it gave its result"));
    });
}

#[test]
fn a_runtime_inside_a_runtime_is_refused_in_a_sentence() {
    on_each_backend(|builder| {
        build(builder).block_on(async {
            let mut inner = build(builder);
            let refused = catch_unwind(AssertUnwindSafe(|| inner.block_on(async {})));
            let payload = refused.unwrap_err();
            let text = sentence(&*payload);
            assert_eq!(
                text,
                "a ringloop runtime runs on this thread already: spawn a task instead"
            );
            drop(inner);
            // The outer one is unharmed.
            assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
        });
    });
}

#[test]
fn a_spawn_outside_is_refused_in_a_sentence() {
    let payload = catch_unwind(|| drop(spawn(async {}))).unwrap_err();
    assert!(sentence(&*payload).starts_with("no ringloop runtime runs on this thread"));
}

#[test]
fn tasks_live_on_between_two_block_ons() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let count = Rc::new(Cell::new(0));
        let task = runtime.block_on(async {
            let count = count.clone();
            spawn(async move {
                for _ in 0..100 {
                    count.set(count.get() + 1);
                    yield_now().await;
                }
                "done"
            })
        });
        let first = count.get();
        assert!(first < 100, "the loop ran on after the main future had ended");
        runtime.block_on(async {
            yield_now().await;
            yield_now().await;
        });
        assert!(count.get() > first && count.get() < 100, "from {first} to {}", count.get());
        assert_eq!(runtime.block_on(task).unwrap(), "done");
        assert_eq!(count.get(), 100);
    });
}

#[test]
fn what_the_main_future_owns_is_dropped_inside_the_runtime() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let refused = Rc::new(Cell::new(true));
        let seen = refused.clone();
        let guard = OnDrop(move || refused.set(ringloop::Handle::current().is_none()));
        // Not an async fn, whose locals are gone when it ends: a future that keeps what it owns.
        let mut guard = Some(guard);
        runtime.block_on(std::future::poll_fn(move |_cx| {
            let _owned = &mut guard;
            std::task::Poll::Ready(())
        }));
        assert!(!seen.get(), "it was dropped outside, where it may not spawn");
    });
}
