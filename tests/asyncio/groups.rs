//! Task groups (T-16 to T-21; checks 69 to 79); below, join sets and staggered races (check 80).

mod children;
mod join_sets;
mod staggered;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use ringloop::task::{CancelToken, GroupError, TaskGroup, yield_now};
use ringloop::{JoinHandle, metrics, spawn};

use crate::gate::{Gate, counts};
use crate::support::{OnDrop, poll_once, run_on_each, sentence};

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<&'static str>>>);

impl Log {
    pub(crate) fn add(&self, what: &'static str) {
        self.0.borrow_mut().push(what);
    }

    pub(crate) fn on_drop(&self, what: &'static str) -> OnDrop<impl FnMut() + use<>> {
        let log = self.clone();
        OnDrop(move || log.add(what))
    }

    pub(crate) fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }
}

pub(crate) type Never = Result<(), &'static str>;

// T-16, check 69. Seen to fail when the block ended with its body.
#[test]
fn children_that_add_children_are_all_waited_for() {
    async fn hydra(
        group: TaskGroup<'static, &'static str>,
        heads: Rc<Cell<u32>>,
        left: u32,
    ) -> Never {
        yield_now().await;
        heads.set(heads.get() + 1);
        for left in 0..left {
            let (next, heads) = (group.clone(), heads.clone());
            let head = Box::pin(hydra(next, heads, left)) as Pin<Box<dyn Future<Output = Never>>>;
            if left % 2 == 0 { drop(group.spawn(head)) } else { drop(group.spawn_scoped(head)) }
        }
        Ok(())
    }
    run_on_each(|| async {
        let heads = Rc::new(Cell::new(0));
        let done = TaskGroup::scope(async |group| {
            group.spawn(hydra(group.clone(), heads.clone(), 5));
            Ok("body")
        });
        assert_eq!(done.await, Ok(Some("body")));
        assert_eq!(heads.get(), 32);
        yield_now().await;
        assert_eq!(metrics().tasks_alive, 0);
    });
}

// T-16. A child that borrows uses what its caller owns, also mutably.
#[test]
fn children_borrow_from_the_frame_of_the_caller() {
    run_on_each(|| async {
        let mut numbers = [1, 2, 3];
        let sum = Cell::new(0);
        let done = TaskGroup::scope(async |group| {
            for number in &mut numbers {
                let sum = &sum;
                group.spawn_scoped(async move {
                    yield_now().await;
                    *number *= 2;
                    sum.set(sum.get() + *number);
                    Ok::<_, &str>(())
                });
            }
            Ok(())
        });
        done.await.unwrap();
        assert_eq!((numbers, sum.get()), ([2, 4, 6], 12));
        assert_eq!(metrics().tasks_spawned, 0, "a child that borrows is no task");
    });
}

// T-17, checks 69 and 77.
#[test]
fn a_group_that_closes_or_has_ended_refuses_children_and_drops_their_futures() {
    run_on_each(|| async {
        let (dropped, ran) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let intruder = || {
            let (guard, ran) = (counts(&dropped), ran.clone());
            async move {
                let _guard = guard;
                ran.set(ran.get() + 1);
                Ok(())
            }
        };
        let kept = RefCell::new(None);
        let group = TaskGroup::scope(async |group| {
            *kept.borrow_mut() = Some(group.clone());
            let (late, intruder) = (group.clone(), &intruder);
            // Dropped because of the failure: the group closes at that moment.
            let sibling = OnDrop(move || {
                assert!(late.is_closed());
                assert!(late.spawn(intruder()).is_finished());
                assert!(late.spawn_scoped(intruder()).is_finished());
            });
            group.spawn_scoped(async move {
                let _sibling = sibling;
                pending::<Never>().await
            });
            group.spawn(async { Err::<(), _>("broken") });
            pending::<Never>().await
        });
        assert_eq!(group.await.unwrap_err().errors(), ["broken"]);
        assert_eq!((dropped.get(), ran.get()), (2, 0));

        let ended = kept.take().unwrap();
        let (mut task, mut scoped) = (ended.spawn(intruder()), ended.spawn_scoped(intruder()));
        assert_eq!((dropped.get(), ran.get(), ended.len()), (4, 0, 0));
        for child in [&mut task, &mut scoped] {
            let Poll::Ready(Err(refused)) = poll_once(child) else { panic!("it was not refused") };
            assert!(refused.is_cancelled());
        }
    });
}

// T-18, check 70.
#[test]
fn a_child_that_is_merely_cancelled_fails_nobody() {
    run_on_each(|| async {
        let ended = Rc::new(Cell::new(0));
        let done = TaskGroup::scope(async |group| {
            let guards = [counts(&ended), counts(&ended)];
            let [one, two] = guards.map(|guard| async move {
                let _guard = guard;
                pending::<Never>().await
            });
            let children = [group.spawn(one), group.spawn_scoped(two)];
            yield_now().await;
            for child in children {
                assert!(!child.is_finished());
                child.cancel();
                child.cancel();
                assert!(child.await.unwrap_err().is_cancelled());
            }
            assert_eq!(ended.get(), 2);
            assert!(!group.is_closed());
            let next = group.spawn(async { Ok(7) });
            Ok(next.await.unwrap())
        });
        assert_eq!(done.await, Ok(Some(7)));
    });
}

// T-07, check 34, for children. Seen to fail when a child that was cancelled was polled once more.
#[test]
fn a_child_that_is_cancelled_before_its_first_poll_never_runs() {
    run_on_each(|| async {
        let ran = Cell::new(0);
        let task_ran = Rc::new(Cell::new(0));
        let done = TaskGroup::scope(async |group| {
            let seen = task_ran.clone();
            let task = group.spawn(async move {
                seen.set(1);
                Ok::<_, &str>(())
            });
            let scoped = group.spawn_scoped(async {
                ran.set(1);
                Ok(())
            });
            task.cancel();
            scoped.cancel();
            assert!(!task.is_finished() && !scoped.is_finished());
            Ok(())
        });
        assert_eq!(done.await, Ok(Some(())));
        assert_eq!((ran.get(), task_ran.get()), (0, 0));
    });
}

// T-18, check 71.
#[test]
fn the_first_failure_cancels_siblings_and_body_and_code_behind_the_group_goes_on() {
    run_on_each(|| async {
        let log = Log::default();
        let group = TaskGroup::scope(async |group| {
            let guard = log.on_drop("task");
            group.spawn(async move {
                let _guard = guard;
                pending::<Never>().await
            });
            let guard = log.on_drop("scoped");
            group.spawn_scoped(async move {
                let _guard = guard;
                pending::<Never>().await
            });
            let _guard = log.on_drop("body");
            yield_now().await;
            group.spawn(async { Err::<(), _>("first") });
            // Ends in the same turn, before the group hears of either.
            group.spawn(async { Err::<(), _>("second") });
            pending::<Never>().await
        });
        let error = group.await.unwrap_err();
        assert_eq!((error.first(), error.errors()), (&"first", &["first", "second"][..]));
        assert_eq!(error.to_string(), "2 tasks of the group failed: first; second");
        assert_eq!(log.take(), ["scoped", "body", "task"]);
        // Check 78: nothing of it reaches what comes after.
        yield_now().await;
        assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
    });
}

// T-18, check 72.
#[test]
fn the_error_of_the_body_comes_last_although_it_came_first() {
    run_on_each(|| async {
        let log = Log::default();
        let group = TaskGroup::scope(async |group| {
            let guard = log.on_drop("child");
            group.spawn_scoped(async move {
                let _guard = guard;
                pending::<Never>().await
            });
            group.spawn(async { Err::<(), _>("child") });
            yield_now().await;
            Err::<(), _>("body")
        });
        let error = group.await.unwrap_err();
        assert_eq!(error.errors(), ["child", "body"]);
        assert_eq!(error.into_errors(), ["child", "body"]);
        assert_eq!(log.take(), ["child"]);
    });
}

// T-19, check 73. Seen to fail when a dropped block forgot its tasks.
#[test]
fn a_cancel_from_outside_ends_all_children() {
    run_on_each(|| async {
        let ended = Rc::new(Cell::new(0));
        let seen = ended.clone();
        let outer = spawn(async move {
            let frame = 0;
            let group = TaskGroup::scope(async |group| {
                for _ in 0..3 {
                    let guards = (counts(&ended), counts(&ended));
                    group.spawn(async move {
                        let _guard = guards.0;
                        pending::<Never>().await
                    });
                    group.spawn_scoped(async {
                        let _guard = guards.1;
                        let _frame = &frame;
                        pending::<Never>().await
                    });
                }
                pending::<Never>().await
            });
            group.await.map(|_| ()).map_err(|error| error.into_first())
        });
        yield_now().await;
        yield_now().await;
        assert_eq!((seen.get(), metrics().tasks_alive), (0, 4));
        outer.cancel();
        assert!(outer.await.unwrap_err().is_cancelled());
        yield_now().await;
        assert_eq!((seen.get(), metrics().tasks_alive), (6, 0));
    });
}

// T-19, check 74: what the drop of a task is, nothing swallows; and a token stays cancelled.
#[test]
fn a_cancel_from_outside_is_not_lost_to_a_failure_of_the_group() {
    run_on_each(|| async {
        // By drop: in the turn in which the group has failed, and waits for a child to end.
        let after = Rc::new(Cell::new(false));
        let went_on = after.clone();
        let (own, slot) = {
            let slot = Rc::new(RefCell::new(None::<JoinHandle<()>>));
            (slot.clone(), slot)
        };
        let outer = spawn(async move {
            let group = TaskGroup::scope(async |group| {
                let guard = OnDrop(move || own.borrow().as_ref().unwrap().cancel());
                group.spawn_scoped(async move {
                    let _guard = guard;
                    pending::<Never>().await
                });
                // Not gone before the next turn, so that the group still waits.
                group.spawn(pending::<Never>());
                group.spawn(async { Err::<(), _>("broken") });
                Ok(())
            });
            let _ = group.await;
            went_on.set(true);
        });
        *slot.borrow_mut() = Some(outer);
        for _ in 0..6 {
            yield_now().await;
        }
        let outer = slot.take().unwrap();
        assert!(outer.await.unwrap_err().is_cancelled());
        assert!(!after.get());

        // By token: the group's error is told, and the next who looks finds the cancel.
        let token = CancelToken::new();
        let group = TaskGroup::scope(async |group| {
            let child = token.child_token();
            group.spawn(async move {
                child.cancelled().await;
                Err::<(), _>("clean-up failed")
            });
            token.cancel();
            Ok(())
        });
        assert_eq!(group.await.unwrap_err().errors(), ["clean-up failed"]);
        assert_eq!(token.run_until_cancelled(async { "runs" }).await, None);
    });
}

// Check 75.
#[test]
fn an_inner_error_is_nested_and_an_outer_one_interrupts_the_inner_group() {
    run_on_each(|| async {
        // Inner: told by the outer one as it is.
        let outer = TaskGroup::scope(async |group| {
            group.spawn(TaskGroup::scope(async |inner| {
                inner.spawn(async { Err::<(), _>("inner") });
                Ok(())
            }));
            pending::<Result<(), GroupError<&str>>>().await
        });
        let error = outer.await.unwrap_err();
        assert_eq!(error.first().errors(), ["inner"]);
        assert_eq!(
            error.to_string(),
            "a task of the group failed: a task of the group failed: inner"
        );

        // Outer: the inner group is its body here.
        let log = Log::default();
        let outer = TaskGroup::scope(async |group| {
            let gate = Gate::default();
            let opened = gate.clone();
            group.spawn(async move {
                opened.opened().await;
                Err::<(), _>("outer")
            });
            let inner = TaskGroup::scope(async |inner| {
                let guard = log.on_drop("innermost");
                inner.spawn(async move {
                    let _guard = guard;
                    pending::<Never>().await
                });
                gate.open();
                pending::<Never>().await
            });
            let ended = inner.await;
            log.add("not interrupted");
            ended.map(|_| ()).map_err(GroupError::into_first)
        });
        assert_eq!(outer.await.unwrap_err().errors(), ["outer"]);
        yield_now().await;
        assert_eq!(log.take(), ["innermost"]);

        // Both at once: both are told.
        let both = TaskGroup::scope(async |group| {
            group.spawn(async { Err::<(), _>("outer") });
            let inner = TaskGroup::scope(async |inner| {
                inner.spawn(async { Err::<(), _>("inner") });
                Ok(())
            });
            inner.await.map(|_| ()).map_err(GroupError::into_first)
        });
        assert_eq!(both.await.unwrap_err().errors(), ["outer", "inner"]);
    });
}

/// Runs a block that panics, to its end: the sentence.
async fn panic_of<T>(block: impl Future<Output = T>) -> String {
    let mut block = pin!(block);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| block.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(_)) => panic!("it did not panic"),
        Err(payload) => Poll::Ready(sentence(&*payload).to_owned()),
    })
    .await
}

// T-20, check 76. Seen to fail when the panic was resumed at once.
#[test]
fn a_panic_goes_to_the_parent_when_all_others_have_ended() {
    run_on_each(|| async {
        for kind in ["task", "scoped", "body", "drop"] {
            let ended = Rc::new(Cell::new(0));
            let block = TaskGroup::scope(async |group| {
                for _ in 0..2 {
                    let guards = (counts(&ended), counts(&ended));
                    group.spawn(async move {
                        let _guard = guards.0;
                        pending::<Never>().await
                    });
                    group.spawn_scoped(async move {
                        let _guard = guards.1;
                        pending::<Never>().await
                    });
                }
                yield_now().await;
                group.spawn(async { Err::<(), _>("an error besides") });
                match kind {
                    "task" => drop(group.spawn::<(), _>(async { panic!("task") })),
                    "scoped" => drop(group.spawn_scoped::<(), _>(async { panic!("scoped") })),
                    "drop" => drop(group.spawn_scoped(async {
                        let _guard = OnDrop(|| panic!("drop"));
                        pending::<Never>().await
                    })),
                    _ => panic!("body"),
                }
                pending::<Never>().await
            });
            assert_eq!(panic_of(block).await, kind);
            assert_eq!(ended.get(), 4, "{kind}: the panic came before the others' end");
        }
    });
}

// Check 79: neither applies. A group needs no task around it, and its block cannot be entered twice.
#[test]
fn a_group_of_children_that_borrow_runs_under_any_executor() {
    let text = String::from("borrowed");
    let mut block = Box::pin(TaskGroup::scope(async |group| {
        let child = group.spawn_scoped(async { Ok::<_, ()>(text.len()) });
        Ok(child.await.unwrap())
    }));
    assert!(poll_once(&mut block).is_pending());
    assert_eq!(poll_once(&mut block), Poll::Ready(Ok(Some(8))));
    let payload = catch_unwind(|| {
        let mut block = Box::pin(TaskGroup::scope(async |group| {
            group.spawn(pending::<Never>());
            Ok(())
        }));
        let _ = poll_once(&mut block);
        poll_once(&mut block)
    });
    let payload = payload.unwrap_err();
    assert!(sentence(&*payload).starts_with("no ringloop runtime runs on this thread"));
}

// T-21.
#[test]
fn a_cancel_of_the_group_ends_all_without_an_error() {
    run_on_each(|| async {
        let ended = Rc::new(Cell::new(0));
        for by in ["body", "task", "scoped"] {
            let block = TaskGroup::scope(async |group| {
                for _ in 0..2 {
                    let guards = (counts(&ended), counts(&ended));
                    group.spawn(async move {
                        let _guard = guards.0;
                        pending::<Never>().await
                    });
                    group.spawn_scoped(async move {
                        let _guard = guards.1;
                        pending::<Never>().await
                    });
                }
                let canceller = group.clone();
                let cancels = async move {
                    canceller.cancel();
                    canceller.cancel();
                    // It ends at its next await, as everybody else does.
                    pending::<Never>().await
                };
                match by {
                    "body" => group.cancel(),
                    "task" => drop(group.spawn(cancels)),
                    _ => drop(group.spawn_scoped(cancels)),
                }
                pending::<Never>().await
            });
            assert_eq!(block.await, Ok(None), "by {by}");
        }
        assert_eq!(ended.get(), 12);
    });
}

// T-21: before the first await, and after it is too late.
#[test]
fn a_value_that_the_body_gives_in_spite_of_the_cancel_is_kept() {
    run_on_each(|| async {
        let block = TaskGroup::scope(async |group| {
            group.spawn(pending::<Never>());
            group.cancel();
            Ok("kept")
        });
        assert_eq!(block.await, Ok(Some("kept")));
    });
}

// What a closing group waits for may still fail: a result that was there is told.
#[test]
fn an_error_that_was_there_at_the_cancel_is_told() {
    run_on_each(|| async {
        let gate = Gate::default();
        let block = TaskGroup::scope(async |group| {
            let late = group.clone();
            let opened = gate.clone();
            group.spawn(async move {
                opened.opened().await;
                late.cancel();
                Err::<(), _>("in the poll of the cancel")
            });
            yield_now().await;
            gate.open();
            pending::<Never>().await
        });
        assert_eq!(block.await.unwrap_err().errors(), ["in the poll of the cancel"]);
    });
}
