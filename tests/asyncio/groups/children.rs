//! How children are polled, and what they may do.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use ringloop::spawn;
use ringloop::task::{ChildHandle, TaskGroup, yield_now};

use super::Never;
use crate::gate::{Gate, counts};
use crate::support::{build, on_each_backend, run_on_each};

#[test]
fn a_forgotten_block_leaks_and_breaks_nothing() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let ended = Rc::new(Cell::new(0));
        runtime.block_on(async {
            // Owned by the leaked frame, as what a borrow may reach must be.
            let frame = Box::leak(Box::new(Cell::new(0)));
            let mut block = Box::pin(TaskGroup::scope(async |group| {
                let guard = counts(&ended);
                group.spawn_scoped::<(), _>(async {
                    loop {
                        frame.set(frame.get() + 1);
                        yield_now().await;
                    }
                });
                group.spawn(async move {
                    let _guard = guard;
                    pending::<Never>().await
                });
                pending::<Never>().await
            }));
            poll_fn(|cx| {
                assert!(block.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            std::mem::forget(block);
            let polled = frame.get();
            yield_now().await;
            yield_now().await;
            assert_eq!(frame.get(), polled, "a child was polled without its block");
            assert_eq!(ended.get(), 0);
        });
        drop(runtime);
        assert_eq!(ended.get(), 1, "its task is the runtime's");
    });
}

// Seen to fail when the wake of one queued all.
#[test]
fn a_wake_of_one_child_polls_that_child_alone() {
    run_on_each(|| async {
        let polls = Cell::new(0);
        let gates: Vec<Gate> = (0..1000).map(|_| Gate::default()).collect();
        let block = TaskGroup::scope(async |group| {
            for gate in &gates {
                let mut opened = Box::pin(gate.clone().opened());
                let polls = &polls;
                group.spawn_scoped(poll_fn(move |cx| {
                    polls.set(polls.get() + 1);
                    opened.as_mut().poll(cx).map(Ok::<_, &str>)
                }));
            }
            yield_now().await;
            yield_now().await;
            assert_eq!(polls.get(), 1000);
            for gate in gates.iter().rev().step_by(10) {
                gate.open();
                yield_now().await;
            }
            assert_eq!(polls.get(), 1100);
            gates.iter().for_each(Gate::open);
            Ok(())
        });
        block.await.unwrap();
        assert_eq!(polls.get(), 2000);
    });
}

#[test]
fn a_child_that_borrows_may_be_woken_by_another_thread() {
    run_on_each(|| async {
        let (give, given) = std::sync::mpsc::channel::<Waker>();
        let thread = std::thread::spawn(move || given.into_iter().for_each(Waker::wake));
        let block = TaskGroup::scope(async |group| {
            group.spawn_scoped(async {
                for _ in 0..100 {
                    let mut asked = false;
                    poll_fn(|cx| {
                        if std::mem::replace(&mut asked, true) {
                            return Poll::Ready(());
                        }
                        give.send(cx.waker().clone()).unwrap();
                        Poll::Pending
                    })
                    .await;
                }
                Ok::<_, &str>(())
            });
            Ok(())
        });
        block.await.unwrap();
        drop(give);
        thread.join().unwrap();
    });
}

#[test]
fn a_child_may_cancel_itself_and_drop_its_own_handle() {
    run_on_each(|| async {
        let slot = Rc::new(RefCell::new(None::<ChildHandle<'_, ()>>));
        let passed = Rc::new(Cell::new(0));
        let block = TaskGroup::scope(async |group| {
            let (own, seen) = (slot.clone(), passed.clone());
            let child = group.spawn_scoped(async move {
                yield_now().await;
                let own = own.borrow_mut().take().unwrap();
                own.cancel();
                drop(own);
                seen.set(1);
                yield_now().await;
                seen.set(2);
                Ok::<_, &str>(())
            });
            *slot.borrow_mut() = Some(child);
            Ok(())
        });
        assert_eq!(block.await, Ok(Some(())));
        assert_eq!(passed.get(), 1);
    });
}

#[test]
fn a_group_error_of_io_is_an_io_error() {
    use std::io::{Error, ErrorKind};
    run_on_each(|| async {
        async fn fails(kinds: &[ErrorKind]) -> std::io::Result<()> {
            let group = TaskGroup::scope(async |group| {
                for kind in kinds {
                    group.spawn_scoped(async { Err::<(), _>(Error::from(*kind)) });
                }
                Err::<(), _>(Error::other("the body's"))
            });
            group.await?;
            Ok(())
        }
        let error = fails(&[]).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Other, "the body's".into()));
    });
}

// Seen to fail when only a child's own wake reached the block.
#[test]
fn a_block_hears_of_children_and_of_a_cancel_from_outside() {
    run_on_each(|| async {
        let outside = Rc::new(RefCell::new(None));
        let (kept, ran) = (outside.clone(), Rc::new(Cell::new(0)));
        let block = spawn(async move {
            let block = TaskGroup::scope(async |group| {
                kept.replace(Some(group));
                pending::<Never>().await
            });
            block.await
        });
        yield_now().await;
        for expected in 1..=3 {
            let seen = ran.clone();
            let group: TaskGroup<'static, &str> = outside.borrow().clone().unwrap();
            let child = group.spawn_scoped(async move {
                seen.set(seen.get() + 1);
                Ok(())
            });
            child.await.unwrap();
            assert_eq!(ran.get(), expected);
        }
        outside.take().unwrap().cancel();
        assert_eq!(block.await.unwrap(), Ok(None));
    });
}
