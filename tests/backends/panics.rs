//! Panics stay where they belong.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use ringloop::net::{TcpListener, TcpStream};
use ringloop::task::yield_now;
use ringloop::time::sleep;
use ringloop::{JoinHandle, spawn};

use crate::support::{OnDrop, build, on_each_backend, run_on_each, sentence};

/// A waker of an executor that has gone mad.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("a foreign waker panics");
    }
}

fn bomb() -> Waker {
    Waker::from(Arc::new(Bomb))
}

fn dropped_with_a_panic() -> impl Drop {
    OnDrop(|| panic!("a drop panics"))
}

#[test]
fn a_panic_stays_in_its_task_and_comes_out_of_its_handle() {
    run_on_each(|| async {
        let error = spawn(async { panic!("plain") }).await.unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.to_string(), "the task panicked: plain");
        assert_eq!(sentence(&*error.try_into_panic().unwrap()), "plain");

        let error = spawn(async { panic!("formatted {}", 1) }).await.unwrap_err();
        assert_eq!(error.to_string(), "the task panicked: formatted 1");
        let error: std::io::Error = error.into();
        assert_eq!(error.to_string(), "the task panicked: formatted 1");

        let error = spawn(async { panic_any(7u8) }).await.unwrap_err();
        assert_eq!(error.to_string(), "the task panicked");
        assert_eq!(*error.try_into_panic().unwrap().downcast::<u8>().unwrap(), 7);
        // The others go on.
        assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
    });
}

#[test]
fn a_panic_in_the_drop_of_a_cancelled_future_is_the_tasks_own() {
    run_on_each(|| async {
        let task = spawn(async {
            let _guard = dropped_with_a_panic();
            pending::<()>().await;
        });
        yield_now().await;
        task.cancel();
        let error = task.await.unwrap_err();
        assert_eq!(error.to_string(), "the task panicked: a drop panics");
        assert_eq!(ringloop::metrics().tasks_alive, 0);
    });
}

#[test]
fn an_output_that_panics_when_dropped_takes_nobody_along() {
    run_on_each(|| async {
        drop(spawn(async { dropped_with_a_panic() }));
        yield_now().await;
        yield_now().await;
        assert_eq!(ringloop::metrics().tasks_alive, 0);
        // A payload whose drop panics, of a task that nobody awaits.
        struct Twice;
        impl Drop for Twice {
            fn drop(&mut self) {
                panic!("a payload panics");
            }
        }
        drop(spawn(async { panic_any(Twice) }));
        yield_now().await;
        assert_eq!(spawn(async { 2 }).await.unwrap(), 2);
    });
}

#[test]
fn a_foreign_waker_that_panics_does_not_stop_the_loop() {
    run_on_each(|| async {
        let waker = bomb();
        let mut cx = Context::from_waker(&waker);
        // Kept by a join handle, by a timer, and by a socket.
        let mut task: JoinHandle<i32> = spawn(async { 3 });
        assert!(pin!(&mut task).poll(&mut cx).is_pending());
        let mut timer = pin!(sleep(Duration::from_millis(200)));
        assert!(timer.as_mut().poll(&mut cx).is_pending());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        {
            let mut accept = pin!(listener.accept());
            assert!(accept.as_mut().poll(&mut cx).is_pending());
            let _client = TcpStream::connect(address).await.unwrap();
            accept.await.unwrap();
        }
        assert_eq!(task.await.unwrap(), 3);
        timer.await;
    });
}

#[test]
fn a_panic_of_the_main_future_passes_through_and_the_runtime_lives() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let count = Rc::new(Cell::new(0));
        let counting = count.clone();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async move {
                drop(spawn(async move {
                    loop {
                        counting.set(counting.get() + 1);
                        yield_now().await;
                    }
                }));
                sleep(Duration::from_millis(1)).await;
                panic!("main");
            })
        }));
        assert_eq!(sentence(&*panicked.unwrap_err()), "main");
        let before = count.get();
        runtime.block_on(async {
            sleep(Duration::from_millis(1)).await;
            assert_eq!(spawn(async { 4 }).await.unwrap(), 4);
        });
        assert!(count.get() > before, "the other task did not go on");
    });
}

#[test]
fn a_drop_may_spawn_wake_and_cancel() {
    run_on_each(|| async {
        let spawned = Rc::new(Cell::new(false));
        let seen = spawned.clone();
        let other = spawn(pending::<()>());
        let other_too = Rc::new(Cell::new(Some(other)));
        let taken = other_too.clone();
        let task = spawn(async move {
            let _guard = OnDrop(move || {
                let spawned = spawned.clone();
                drop(spawn(async move { spawned.set(true) }));
                let other = taken.take().unwrap();
                other.cancel();
                taken.set(Some(other));
            });
            pending::<()>().await;
        });
        yield_now().await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        let other = other_too.take().unwrap();
        assert!(other.await.unwrap_err().is_cancelled());
        yield_now().await;
        assert!(seen.get());
    });
}

#[test]
fn a_panic_in_call_soon_goes_no_further() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let handle = runtime.handle();
        handle.call_soon(|| panic!("a letter panics")).unwrap();
        handle.stop();
        runtime.run_forever();
        let mut polls = 0;
        runtime.block_on(poll_fn(|_| {
            polls += 1;
            Poll::Ready(())
        }));
        assert_eq!(polls, 1);
    });
}

#[test]
fn two_drops_that_panic_at_once_do_not_abort() {
    /// Bytes whose owner panics when they have been sent.
    struct Owner;
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            b"hello"
        }
    }
    impl Drop for Owner {
        fn drop(&mut self) {
            panic!("an owner panics");
        }
    }
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (_peer, _) = listener.accept().await.unwrap();
            // Both leave in one send.
            stream.write_bytes(Bytes::from_owner(Owner)).await.unwrap();
            stream.write_bytes(Bytes::from_owner(Owner)).await.unwrap();
            stream.flush().await.unwrap();
            sleep(Duration::from_millis(1)).await;
        });
        // Letters that the runtime does not read any more.
        for _ in 0..2 {
            let letter = OnDrop(|| panic!("a letter panics"));
            runtime.handle().call_soon(move || drop(letter)).unwrap();
        }
        drop(runtime);
    });
}
