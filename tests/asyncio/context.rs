//! Task-locals, the current task, all tasks (T-11 to T-13, T-34; checks 43 to 45, 54).

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;

use ringloop::task::{Spawn, all, current, yield_now};
use ringloop::{Handle, spawn, task_local};

use crate::support::{OnDrop, build, on_each_backend, poll_once, run_on_each};

task_local! {
    static NUMBER: u32;
    static TEXT: Rc<RefCell<String>>;
    static OWNER: Rc<OnDrop<Box<dyn FnMut()>>>
}

fn number() -> Option<u32> {
    NUMBER.try_with(|number| *number).ok()
}

// T-34, check 54.
// Seen to fail when a poll left the scope's value set for whoever was polled next.
#[test]
fn a_task_local_is_seen_by_its_own_future_only() {
    run_on_each(|| async {
        assert_eq!(number(), None);
        let scoped = |n| {
            NUMBER.scope(n, async move {
                for _ in 0..5 {
                    assert_eq!(NUMBER.get(), n);
                    yield_now().await;
                }
            })
        };
        let tasks: Vec<_> = (0..5).map(|n| spawn(scoped(n))).collect();
        let outer = NUMBER.scope(10, async {
            assert_eq!(number(), Some(10));
            scoped(11).await;
            assert_eq!(NUMBER.sync_scope(12, || NUMBER.get()), 12);
            assert_eq!(number(), Some(10));
        });
        outer.await;
        assert_eq!(number(), None);
        for task in tasks {
            task.await.unwrap();
        }
    });
}

// T-34, check 54.
// Seen to fail when a poll left its locals set.
#[test]
fn a_spawned_task_keeps_the_values_of_its_spawning_and_sets_none_for_others() {
    run_on_each(|| async {
        let (outside, inside) = (spawn(async { number() }), Rc::new(Cell::new(None)));
        let kept = inside.clone();
        let scope = NUMBER.scope(1, async move {
            let first = spawn(async {
                yield_now().await;
                assert_eq!(number(), Some(1), "of its spawning, not of its poll");
                let grandchild = NUMBER.sync_scope(2, || spawn(async { number() }));
                assert_eq!(number(), Some(1));
                grandchild.await.unwrap()
            });
            kept.set(Some(spawn(async {
                yield_now().await;
                number()
            })));
            assert_eq!(first.await.unwrap(), Some(2));
            assert_eq!(number(), Some(1), "a change leaks back");
        });
        scope.await;
        assert_eq!(inside.take().unwrap().await.unwrap(), Some(1), "after the end of the scope");
        assert_eq!(outside.await.unwrap(), None);
        assert_eq!(spawn(async { number() }).await.unwrap(), None);
    });
}

// T-34, check 54: what both hold is one value.
#[test]
fn an_explicit_context_is_shared_by_a_value_with_a_cell() {
    run_on_each(|| async {
        let text = Rc::new(RefCell::new(String::from("a")));
        let scope = TEXT.scope(text.clone(), async {
            spawn(async { TEXT.with(|text| text.borrow_mut().push('b')) }).await.unwrap();
            TEXT.with(|text| text.borrow_mut().push('c'));
        });
        scope.await;
        assert_eq!(*text.borrow(), "abc");
    });
}

// T-34.
// Seen to fail when a task without locals was polled under those of its surroundings.
#[test]
fn the_main_future_and_its_tasks_see_what_was_set_around_the_runtime_and_earlier_tasks_do_not() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let mut early = None;
        runtime.block_on(async {
            early = Some(spawn(async {
                yield_now().await;
                number()
            }));
        });
        let early = early.unwrap();
        NUMBER.sync_scope(3, || {
            runtime.block_on(async {
                assert_eq!(number(), Some(3));
                assert_eq!(spawn(async { number() }).await.unwrap(), Some(3));
                assert_eq!(early.await.unwrap(), None);
            });
        });
        assert_eq!(number(), None);
    });
}

// T-34: a future that moves sees what is set around it where it is polled.
#[test]
fn a_scope_that_is_polled_elsewhere_sees_what_is_set_there() {
    let mut scoped = Box::pin(TEXT.scope(Rc::default(), async {
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(number());
            yield_now().await;
        }
        seen
    }));
    assert!(poll_once(&mut scoped).is_pending());
    assert!(NUMBER.sync_scope(1, || poll_once(&mut scoped)).is_pending());
    assert!(NUMBER.sync_scope(2, || poll_once(&mut scoped)).is_pending());
    assert!(poll_once(&mut scoped).is_pending());
    assert_eq!(poll_once(&mut scoped), Poll::Ready(vec![None, Some(1), Some(2), None]));
}

// T-34: what runs when a future goes away sees its locals, however it goes.
// Seen to fail when a scope left the drop of its future to the compiler.
#[test]
fn a_drop_sees_the_locals_of_its_task() {
    on_each_backend(|builder| {
        let seen = Rc::new(Cell::new(None));
        let guarded = |n| {
            let seen = seen.clone();
            let guard = OnDrop(move || seen.set(number()));
            NUMBER.scope(n, async move {
                let _guard = guard;
                pending::<()>().await;
            })
        };
        let mut runtime = build(builder);
        runtime.block_on(async {
            let task = spawn(guarded(1));
            yield_now().await;
            task.cancel();
            task.await.unwrap_err();
            assert_eq!(seen.take(), Some(1), "cancelled");

            let inherited = seen.clone();
            let guard = OnDrop(move || inherited.set(number()));
            let task = NUMBER.sync_scope(2, || {
                spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                })
            });
            task.cancel();
            task.await.unwrap_err();
            assert_eq!(seen.take(), Some(2), "cancelled before its first poll");

            drop(spawn(guarded(3)));
            yield_now().await;
        });
        drop(runtime);
        assert_eq!(seen.take(), Some(3), "by the end of its runtime");
        assert_eq!(number(), None);
    });
}

// T-34: user code may do anything in a drop of a value.
#[test]
fn a_value_is_dropped_with_the_last_who_sees_it_and_may_look_at_the_others_meanwhile() {
    run_on_each(|| async {
        let drops = Rc::new(Cell::new(0));
        let counted = drops.clone();
        let owner = move || {
            let drops = counted.clone();
            let on_drop: Box<dyn FnMut()> = Box::new(move || {
                drops.set(drops.get() + 1);
                let _ = (number(), OWNER.try_with(|_| ()), OWNER.sync_scope_if_any());
            });
            Rc::new(OnDrop(on_drop))
        };
        let task = OWNER.sync_scope(owner(), || spawn(yield_now()));
        assert_eq!(drops.get(), 0, "the task sees it still");
        task.await.unwrap();
        assert_eq!(drops.get(), 1);
        OWNER.scope(owner(), OWNER.scope(owner(), async { yield_now().await })).await;
        assert_eq!(drops.get(), 3);
        // A scope that was forgotten in the middle keeps its value and harms nobody.
        let mut forgotten = Box::pin(OWNER.scope(owner(), pending::<()>()));
        poll_fn(|cx| Poll::Ready(forgotten.as_mut().poll(cx).is_pending())).await;
        std::mem::forget(forgotten);
        assert!(OWNER.try_with(|_| ()).is_err());
    });
}

trait Reenter {
    fn sync_scope_if_any(&'static self) -> u32;
}

impl Reenter for ringloop::task::LocalKey<Rc<OnDrop<Box<dyn FnMut()>>>> {
    fn sync_scope_if_any(&'static self) -> u32 {
        NUMBER.sync_scope(9, || NUMBER.get())
    }
}

// T-34: a service that starts itself anew within a scope, for ever.
// Seen to fail when a scope kept what it hides.
#[test]
fn scopes_of_the_same_key_do_not_pile_up_over_generations_of_tasks() {
    task_local!(static COUNTED: Rc<()>);
    async fn generation(left: u32, value: Rc<()>, last: Rc<Cell<usize>>) {
        yield_now().await;
        if left == 0 {
            last.set(Rc::strong_count(&value));
            return;
        }
        let next: Pin<Box<dyn Future<Output = ()>>> =
            Box::pin(generation(left - 1, value.clone(), last));
        COUNTED.scope(value, async { drop(spawn(next)) }).await;
    }
    run_on_each(|| async {
        let last = Rc::new(Cell::new(0));
        drop(spawn(generation(100, Rc::default(), last.clone())));
        while last.get() == 0 {
            yield_now().await;
        }
        assert!(last.get() < 5, "{} values of 100 generations", last.get());
    });
}

#[test]
#[should_panic = "no value of this task-local is set here: run this within its scope (a u32)"]
fn a_local_that_is_not_set_says_what_to_do() {
    NUMBER.with(|_| ());
}

// T-13, check 43.
// Seen to fail when the last task of a turn stayed the current one.
#[test]
fn the_current_task_is_the_one_that_runs_and_none_in_callbacks() {
    run_on_each(|| async {
        assert_eq!(current(), None, "the main future is no task");
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                spawn(async {
                    let id = current().unwrap().id();
                    for _ in 0..5 {
                        yield_now().await;
                        assert_eq!(current().unwrap().id(), id);
                    }
                    id
                })
            })
            .collect();
        yield_now().await;
        assert_eq!(current(), None);
        let (send, receive) = mpsc::channel();
        // The last that was polled before the callback is a task that lives.
        let poster = spawn(async move {
            let tell = move || send.send(current()).unwrap();
            Handle::current().unwrap().call_soon(tell).unwrap();
            yield_now().await;
            yield_now().await;
        });
        poster.await.unwrap();
        for task in tasks {
            let id = task.id();
            assert_eq!(task.await.unwrap(), id);
        }
        assert_eq!(receive.recv().unwrap(), None);
    });
}

// T-13, check 43: a drop belongs to its task too.
#[test]
fn the_current_task_is_known_while_its_future_is_dropped() {
    on_each_backend(|builder| {
        let seen = Rc::new(Cell::new(None));
        let mut runtime = build(builder);
        let ids = runtime.block_on(async {
            let guarded = || {
                let seen = seen.clone();
                let guard = OnDrop(move || seen.set(current().map(|task| task.id())));
                spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                })
            };
            let (cancelled, ended) = (guarded(), guarded());
            yield_now().await;
            cancelled.cancel();
            let ids = (cancelled.id(), ended.id());
            cancelled.await.unwrap_err();
            ids
        });
        assert_eq!(seen.take(), Some(ids.0));
        drop(runtime);
        assert_eq!(seen.take(), Some(ids.1));
        assert_eq!(current(), None);
    });
}

// T-13, check 44.
#[test]
fn all_tasks_are_those_that_have_not_ended_in_the_order_of_their_spawning() {
    run_on_each(|| async {
        assert_eq!(all(), []);
        let mut tasks: Vec<_> = (0..10).map(|_| spawn(pending::<()>())).collect();
        let short = spawn(async { all().len() });
        assert_eq!(all().len(), 11);
        assert_eq!(short.await.unwrap(), 11, "it has not ended yet");
        // Slots are used again, in another order.
        for gone in [7, 3, 0] {
            let task = tasks.remove(gone);
            task.cancel();
            task.await.unwrap_err();
        }
        tasks.extend((0..3).map(|_| spawn(pending())));
        let ids: Vec<_> = all().iter().map(|task| task.id()).collect();
        assert_eq!(ids, tasks.iter().map(|task| task.id()).collect::<Vec<_>>());
        assert!(ids.is_sorted());
    });
}

// T-13, check 44.
#[test]
fn tasks_that_come_and_go_do_not_disturb_who_lists_them_from_another_thread() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let handle = runtime.handle();
        let done = Arc::new(AtomicBool::new(false));
        let asker = {
            let (handle, done) = (handle.clone(), done.clone());
            thread::spawn(move || {
                for _ in 0..100 {
                    let tasks = handle.tasks().join().unwrap();
                    assert!(tasks.is_sorted_by_key(|task| task.id()));
                    assert!(tasks.iter().any(|task| task.name() == Some("stays")));
                    drop(handle.spawn(|| async { yield_now().await }));
                }
                done.store(true, SeqCst);
            })
        };
        runtime.block_on(async {
            let _stays = Spawn::new().name("stays").spawn(pending::<()>());
            while !done.load(SeqCst) {
                drop(spawn(yield_now()));
                yield_now().await;
            }
        });
        asker.join().unwrap();
        drop(runtime);
        assert!(handle.tasks().join().unwrap_err().is_cancelled());
    });
}

// T-11, T-12, check 45.
#[test]
fn names_are_unique_by_default_kept_when_given_and_changeable() {
    run_on_each(|| async {
        let (a, b) = (spawn(pending::<()>()), spawn(pending::<()>()));
        assert_eq!((a.name(), b.name()), (None, None));
        assert_ne!(a.info().to_string(), b.info().to_string());
        let line = line!() + 1;
        let named = Spawn::new().name("conn").spawn(async { current().unwrap() });
        let told = format!("task {} `conn` ({}:{line})", named.id(), file!());
        assert_eq!(named.info().to_string(), told);
        assert_eq!(named.info().spawned_at().line(), line);
        named.set_name(String::from("other"));
        assert_eq!(named.name().as_deref(), Some("other"));
        let seen = named.await.unwrap();
        assert_eq!(seen.name(), Some("other"));
        assert_eq!(seen.spawned_at().line(), line);
    });
}

// T-12: under another executor there is no task of ours, and locals work all the same.
#[test]
fn outside_a_runtime_there_is_no_task_and_locals_work() {
    assert_eq!(current(), None);
    let mut scoped = Box::pin(NUMBER.scope(4, async { number() }));
    assert_eq!(poll_once(&mut scoped), Poll::Ready(Some(4)));
}

#[test]
#[should_panic = "no ringloop runtime runs on this thread: ask within ringloop::run"]
fn to_list_tasks_outside_a_runtime_says_what_to_do() {
    all();
}

// T-34. Seen to fail when letters ran under what was set around `block_on`.
#[test]
fn a_task_from_another_thread_sees_nothing_of_what_is_set_around_block_on() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let handle = runtime.handle();
        NUMBER.sync_scope(7, || {
            runtime.block_on(async {
                let seen = thread::spawn(move || handle.spawn(|| async { number() }));
                assert_eq!(seen.join().unwrap().await.unwrap(), None);
                assert_eq!(spawn(async { number() }).await.unwrap(), Some(7));
                assert_eq!(number(), Some(7));
            });
        });
    });
}

// T-34. Seen to fail when a scope was set by its first poll only.
#[test]
fn a_scope_that_is_dropped_before_its_first_poll_is_set_all_the_same() {
    run_on_each(|| async {
        let seen = Cell::new(None);
        let looks = OnDrop(|| seen.set(number()));
        drop(NUMBER.scope(7, async move { drop(looks) }));
        assert_eq!(seen.get(), Some(7));
        assert_eq!(number(), None);
    });
}
