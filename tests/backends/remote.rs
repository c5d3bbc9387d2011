//! Reaching a runtime from other threads, and two runtimes on one.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use ringloop::task::{RemoteJoinHandle, yield_now};
use ringloop::time::sleep;
use ringloop::{Handle, spawn};

use crate::support::{OnDrop, build, on_each_backend, run_on_each};

#[test]
fn a_result_travels_to_the_thread_that_asked() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let handle = runtime.handle();
        let asker = thread::spawn(move || {
            // The future need not be Send, only the closure that makes it.
            let sum = handle.spawn(|| async {
                let local = Rc::new(1);
                yield_now().await;
                *local + 2
            });
            let sum = sum.join();
            let panic = handle.spawn(|| async { panic!("over there") }).join();
            let early = handle.spawn(|| -> std::future::Ready<()> { panic!("in the closure") });
            let early = early.join();
            handle.stop();
            (sum.unwrap(), panic.unwrap_err().to_string(), early.unwrap_err().to_string())
        });
        runtime.run_forever();
        let (sum, panic, early) = asker.join().unwrap();
        assert_eq!(sum, 3);
        assert_eq!(panic, "the task panicked: over there");
        assert_eq!(early, "the task panicked: in the closure");
    });
}

#[test]
fn the_main_future_is_woken_from_another_thread() {
    on_each_backend(|builder| {
        // In the first home of a process, in a reused one, and with no task ever spawned.
        for _ in 0..3 {
            let (send, receive) = mpsc::channel();
            let waker = thread::spawn(move || {
                let (waker, flag): (std::task::Waker, Arc<Mutex<bool>>) = receive.recv().unwrap();
                *flag.lock().unwrap() = true;
                waker.wake();
            });
            let flag = Arc::new(Mutex::new(false));
            build(builder).block_on(std::future::poll_fn(|cx| {
                if *flag.lock().unwrap() {
                    return std::task::Poll::Ready(());
                }
                let _ = send.send((cx.waker().clone(), flag.clone()));
                std::task::Poll::Pending
            }));
            waker.join().unwrap();
        }
    });
}

#[test]
fn a_runtime_that_has_ended_says_cancelled_and_refuses_letters() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let handle = runtime.handle();
        // Its objects keep a part of the runtime alive; it has ended all the same.
        let timer = runtime.block_on(async { sleep(Duration::from_secs(1)) });
        let pending_there = handle.spawn(pending::<()>);
        let never_collected = {
            runtime.block_on(yield_now());
            handle.spawn(|| async {})
        };
        drop(runtime);
        assert!(pending_there.join().unwrap_err().is_cancelled());
        assert!(never_collected.join().unwrap_err().is_cancelled());
        for timer in [Some(timer), None] {
            let late = handle.spawn(|| async { 1 });
            assert!(late.is_finished(), "it would wait for ever");
            assert!(late.join().unwrap_err().is_cancelled());
            let error = handle.call_soon(|| unreachable!()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
            assert!(error.to_string().contains("has ended"), "{error}");
            handle.stop();
            drop(timer);
        }
        // The next runtime may live in the same home; it gets none of this.
        let mut next = build(builder);
        drop(handle.spawn(|| async { unreachable!() }));
        handle.stop();
        next.block_on(async { sleep(Duration::from_millis(1)).await });
        assert_eq!(next.metrics().tasks_spawned, 0);
    });
}

#[test]
fn call_soon_keeps_the_order_of_posting() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let handle = runtime.handle();
        let order = Arc::new(Mutex::new(Vec::new()));
        let poster = {
            let order = order.clone();
            thread::spawn(move || {
                for i in 0..1000 {
                    let order = order.clone();
                    handle.call_soon(move || order.lock().unwrap().push(i)).unwrap();
                }
                handle.call_soon(|| Handle::current().unwrap().stop()).unwrap();
            })
        };
        runtime.run_forever();
        poster.join().unwrap();
        assert!(order.lock().unwrap().iter().copied().eq(0..1000));
    });
}

#[test]
fn a_stop_is_not_lost_before_from_within_or_from_another_thread() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let handle = runtime.handle();
        assert!(Handle::current().is_none());
        // Before it runs, and with another run in between.
        handle.stop();
        runtime.block_on(yield_now());
        runtime.run_forever();
        // From within.
        runtime.block_on(async {
            drop(spawn(async {
                sleep(Duration::from_millis(1)).await;
                Handle::current().expect("we are inside").stop();
            }));
        });
        runtime.run_forever();
        // From another thread, while it sleeps or about to.
        for _ in 0..200 {
            let stopper = {
                let handle = handle.clone();
                thread::spawn(move || handle.stop())
            };
            runtime.run_forever();
            stopper.join().unwrap();
        }
    });
}

#[test]
fn a_remote_handle_dropped_detaches() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let (send, receive) = mpsc::channel();
        drop(runtime.handle().spawn(move || async move {
            yield_now().await;
            send.send(()).unwrap();
        }));
        runtime.block_on(async {
            while receive.try_recv().is_err() {
                yield_now().await;
            }
        });
    });
}

#[test]
fn a_future_that_is_not_send_never_leaves_its_thread() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let here = thread::current().id();
        let dropped = Arc::new(Mutex::new(None));
        let (send, started) = mpsc::channel();
        let task = {
            let dropped = dropped.clone();
            runtime.handle().spawn(move || async move {
                send.send(()).unwrap();
                let _guard = OnDrop(|| *dropped.lock().unwrap() = Some(thread::current().id()));
                pending::<()>().await;
            })
        };
        runtime.block_on(async {
            while started.try_recv().is_err() {
                yield_now().await;
            }
        });
        let asker = thread::spawn(move || {
            drop(task);
        });
        asker.join().unwrap();
        drop(runtime);
        assert_eq!(*dropped.lock().unwrap(), Some(here));
    });
}

#[test]
fn one_runtime_awaits_the_task_of_another() {
    on_each_backend(|builder| {
        let mut theirs = build(builder);
        let handle = theirs.handle();
        let other = thread::spawn({
            let builder = builder.clone();
            move || {
                build(&builder).block_on(async move {
                    let mut sum = 0;
                    for i in 0..1000 {
                        sum += handle.spawn(move || async move { i }).await.unwrap();
                    }
                    handle.stop();
                    sum
                })
            }
        });
        theirs.run_forever();
        assert_eq!(other.join().unwrap(), 499_500);
    });
}

#[test]
fn two_runtimes_take_turns_on_one_thread_and_no_wake_goes_astray() {
    on_each_backend(|builder| {
        let (mut a, mut b) = (build(builder), build(builder));
        let balls: Rc<Cell<u32>> = Rc::default();
        // Each spawns a task at home and has the other's finish it: the wakes cross.
        let mut of_b: Option<RemoteJoinHandle<u32>> = None;
        for round in 0..50 {
            let (count, asked) = (balls.clone(), of_b.take());
            let of_a = b.handle().spawn(move || async move { round });
            a.block_on(async move {
                drop(spawn(async move { count.set(count.get() + 1) }));
                yield_now().await;
                if let Some(asked) = asked {
                    assert_eq!(asked.await.unwrap(), round - 1);
                }
            });
            let (count, asked) = (balls.clone(), of_a);
            of_b = Some(a.handle().spawn(move || async move { round }));
            b.block_on(async move {
                drop(spawn(async move { count.set(count.get() + 1) }));
                assert_eq!(asked.await.unwrap(), round);
            });
            // `a` has to run for its answer.
            a.block_on(async { (yield_now().await, yield_now().await, yield_now().await) });
        }
        assert_eq!(balls.get(), 100);
    });
}

#[test]
fn a_wake_of_one_runtimes_task_while_the_other_runs_is_kept() {
    on_each_backend(|builder| {
        let (mut a, mut b) = (build(builder), build(builder));
        let slot: Rc<Cell<Option<std::task::Waker>>> = Rc::default();
        let ready: Rc<Cell<bool>> = Rc::default();
        let task = a.block_on(async {
            let (slot, ready) = (slot.clone(), ready.clone());
            let task = spawn(std::future::poll_fn(move |cx| {
                slot.set(Some(cx.waker().clone()));
                if ready.get() { std::task::Poll::Ready(9) } else { std::task::Poll::Pending }
            }));
            yield_now().await;
            task
        });
        // The index and the generation are those of a task of `b`, too.
        b.block_on(async {
            let own = spawn(async {});
            ready.set(true);
            slot.take().unwrap().wake();
            own.await.unwrap();
        });
        assert_eq!(a.block_on(task).unwrap(), 9);
    });
}

#[test]
fn the_handle_of_this_thread_is_the_runtime_that_runs_here() {
    run_on_each(|| async {
        let handle = Handle::current().unwrap();
        let answer = thread::spawn(move || handle.spawn(|| async { 1 }));
        let answer = answer.join().unwrap();
        assert_eq!(answer.await.unwrap(), 1);
    });
}
