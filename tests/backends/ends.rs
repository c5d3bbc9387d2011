//! The end of a runtime: what runs, in which order, and what everything answers afterwards.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io::{ErrorKind, Read};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringloop::fs::File;
use ringloop::net::{OwnedReadHalf, OwnedWriteHalf, Readiness, TcpListener, TcpStream};
use ringloop::task::yield_now;
use ringloop::time::{Interval, Sleep, interval, sleep};
use ringloop::{Builder, Handle, JoinHandle, Lease, RemoteJoinHandle, Runtime, metrics, spawn};

use crate::support::{OnDrop, build, on_each_backend, poll_once};

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener.accept().await.unwrap().0, there)
}

#[test]
fn tasks_are_dropped_in_the_order_of_spawning_with_nothing_borrowed() {
    on_each_backend(|builder| {
        let order = Rc::new(RefCell::new(Vec::new()));
        let mut runtime = build(builder);
        runtime.block_on(async {
            let mut waker = None;
            std::future::poll_fn(|cx| {
                waker = Some(cx.waker().clone());
                std::task::Poll::Ready(())
            })
            .await;
            let waker = waker.unwrap();
            // Slots are reused, so their order is not that of spawning.
            let early: Vec<_> = (0..10).map(|_| spawn(async {})).collect();
            for task in early.into_iter().rev() {
                task.await.unwrap();
            }
            for i in 0..50 {
                let (order, waker) = (order.clone(), waker.clone());
                let (stream, peer) = pair().await;
                let lease = sleep(Duration::from_secs(9));
                drop(spawn(async move {
                    let _owned = (stream, peer, lease);
                    let other = spawn(pending::<()>());
                    let _guard = OnDrop(move || {
                        order.borrow_mut().push(i);
                        waker.wake_by_ref();
                        other.cancel();
                        let refused = spawn(async { unreachable!("a spawn while it ends") });
                        assert!(refused.is_finished());
                        drop(sleep(Duration::from_millis(1)));
                        assert!(poll_once(&mut sleep(Duration::from_secs(1))).is_pending());
                        assert!(metrics().tasks_alive > 0);
                        Handle::current().unwrap().stop();
                    });
                    pending::<()>().await;
                }));
            }
            yield_now().await;
            yield_now().await;
        });
        drop(runtime);
        assert!(order.borrow().iter().copied().eq(0..50), "{:?}", order.borrow());
    });
}

#[test]
fn a_spawn_while_it_ends_is_refused_and_says_cancelled() {
    on_each_backend(|builder| {
        let refused = Rc::new(Cell::new(None));
        let mut runtime = build(builder);
        runtime.block_on(async {
            let refused = refused.clone();
            drop(spawn(async move {
                let _guard = OnDrop(move || refused.set(Some(spawn(async { 1 }))));
                pending::<()>().await;
            }));
            yield_now().await;
        });
        drop(runtime);
        let mut task = refused.take().expect("the drop ran, and spawn returned");
        let std::task::Poll::Ready(result) = poll_once(&mut task) else { panic!("no result") };
        assert!(result.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_drop_that_panics_while_it_ends_does_not_save_the_others() {
    on_each_backend(|builder| {
        let dropped = Rc::new(Cell::new(0));
        let mut runtime = build(builder);
        runtime.block_on(async {
            for i in 0..10 {
                let dropped = dropped.clone();
                drop(spawn(async move {
                    let _guard = OnDrop(move || {
                        dropped.set(dropped.get() + 1);
                        assert!(i % 2 == 0, "an odd one panics");
                    });
                    pending::<()>().await;
                }));
            }
            yield_now().await;
        });
        drop(runtime);
        assert_eq!(dropped.get(), 10);
    });
}

#[test]
fn what_was_written_before_the_end_arrives() {
    on_each_backend(|builder| {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            server.accept().unwrap().0.read_to_end(&mut all).unwrap();
            all
        });
        build(builder).block_on(async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&[5; 60_000]).await.unwrap();
            // In a task that does not end by itself.
            drop(spawn(async move {
                let _stream = stream;
                pending::<()>().await;
            }));
        });
        assert_eq!(reader.join().unwrap(), [5; 60_000]);
    });
}

/// What can outlive its runtime.
struct Survivors {
    sleep: Sleep,
    interval: Interval,
    stream: TcpStream,
    peer: TcpStream,
    listener: TcpListener,
    lease: Lease,
    /// Of a lease that was large enough to keep its buffer.
    bytes: Bytes,
    halves: (OwnedReadHalf, OwnedWriteHalf),
    other: TcpStream,
    file: File,
    readiness: Readiness,
    handle: Handle,
    task: JoinHandle<()>,
    remote: RemoteJoinHandle<()>,
}

fn survivors(runtime: &mut Runtime) -> Survivors {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut stream, mut peer) = pair().await;
        peer.write_all(b"lent").await.unwrap();
        let lease = stream.read_chunk().await.unwrap().unwrap();
        // Receiving is armed, and an accept.
        assert!(poll_once(&mut Box::pin(stream.read(&mut [0; 8]))).is_pending());
        assert!(poll_once(&mut Box::pin(listener.accept())).is_pending());
        yield_now().await;
        let (mut halves, mut other) = pair().await;
        other.write_all(&[7; 8192]).await.unwrap();
        while halves.peek(&mut [0; 8192]).await.unwrap() < 8192 {
            yield_now().await;
        }
        let bytes = halves.read_chunk().await.unwrap().unwrap().into_bytes();
        let mut halves = halves.into_split();
        while poll_once(&mut Box::pin(halves.0.read_chunk())).is_ready() {}
        let file = File::open("/proc/self/exe").await.unwrap();
        let readiness = Readiness::new(&std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let readiness = readiness.unwrap();
        assert!(poll_once(&mut Box::pin(readiness.readable())).is_pending());
        let handle = Handle::current().unwrap();
        let (task, mut remote) = (spawn(pending()), handle.spawn(pending));
        for _ in 0..3 {
            yield_now().await;
        }
        assert!(poll_once(&mut remote).is_pending());
        let (mut sleep, interval) = (sleep(Duration::from_secs(60)), interval(Duration::MAX));
        assert!(poll_once(&mut sleep).is_pending());
        Survivors {
            sleep,
            interval,
            stream,
            peer,
            listener,
            lease,
            bytes,
            halves,
            other,
            file,
            readiness,
            handle,
            task,
            remote,
        }
    })
}

/// Uses all of it: clear errors, no panic, no hang.
fn use_after_the_end(mut all: Survivors) {
    let now = |result: std::task::Poll<std::io::Result<()>>, what: &str| match result {
        std::task::Poll::Ready(Err(error)) => {
            assert_eq!(error.kind(), ErrorKind::NotConnected, "{what}: {error}");
            assert!(error.to_string().contains("has ended"), "{what}: {error}");
        }
        other => panic!("{what} after the end: {other:?}"),
    };
    assert!(poll_once(&mut all.sleep).is_ready(), "it would wait for ever");
    all.sleep.reset(Instant::now() + Duration::from_secs(60));
    assert!(poll_once(&mut all.sleep).is_ready());
    for _ in 0..3 {
        assert!(poll_once(&mut Box::pin(all.interval.tick())).is_ready());
    }
    all.interval.reset();
    let mut buf = [0; 8];
    now(poll_once(&mut Box::pin(all.stream.read(&mut buf))).map(|r| r.map(drop)), "read");
    now(poll_once(&mut Box::pin(all.peer.read_chunk())).map(|r| r.map(drop)), "read_chunk");
    now(poll_once(&mut Box::pin(all.peer.write_all(b"x"))), "write_all");
    now(poll_once(&mut Box::pin(all.listener.accept())).map(|r| r.map(drop)), "accept");
    now(all.stream.peer_addr().map(drop).into_poll(), "peer_addr");
    drop(all.other);
    let (read, write) = &mut all.halves;
    now(poll_once(&mut Box::pin(read.read(&mut buf))).map(|r| r.map(drop)), "a half's read");
    now(poll_once(&mut Box::pin(write.write_all(b"x"))), "a half's write_all");
    let read = poll_once(&mut Box::pin(all.file.read_at(&mut buf, 0)));
    now(read.map(|r| r.map(drop)), "read_at");
    now(poll_once(&mut Box::pin(all.file.write_all_at(b"x", 0))), "write_all_at");
    now(poll_once(&mut Box::pin(all.file.sync_all())), "sync_all");
    now(poll_once(&mut Box::pin(all.readiness.readable())), "readable");
    now(poll_once(&mut Box::pin(all.readiness.writable())), "writable");
    now(all.handle.call_soon(|| unreachable!()).map(drop).into_poll(), "call_soon");
    assert!(all.handle.spawn(|| async {}).join().unwrap_err().is_cancelled());
    all.handle.stop();
    all.task.cancel();
    assert!(poll_once(&mut all.task).map(|r| r.unwrap_err().is_cancelled()).is_ready());
    assert!(poll_once(&mut all.remote).map(|r| r.unwrap_err().is_cancelled()).is_ready());
    assert!(!all.bytes.is_empty() && all.bytes.iter().all(|&byte| byte == 7));
    let bytes = all.bytes;
    thread::spawn(move || drop(bytes)).join().unwrap();
    assert_eq!(&all.lease[..], b"lent");
    assert_eq!(all.lease.split_to(1).into_bytes(), "l");
    let _ = format!("{:?} {:?} {:?}", all.stream, all.interval, all.listener);
    let _ = format!("{:?} {:?} {:?} {:?}", all.file, all.readiness, all.task, all.remote);
}

/// So that calls and futures can be held to the same words.
trait IntoPoll {
    fn into_poll(self) -> std::task::Poll<std::io::Result<()>>;
}

impl IntoPoll for std::io::Result<()> {
    fn into_poll(self) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(self)
    }
}

#[test]
fn what_outlives_its_runtime_gives_clear_errors() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let all = survivors(&mut runtime);
        drop(runtime);
        use_after_the_end(all);
    });
}

#[test]
fn what_outlives_its_runtime_gives_clear_errors_under_another_too() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let all = survivors(&mut runtime);
        drop(runtime);
        build(builder).block_on(async { use_after_the_end(all) });
    });
}

#[test]
fn a_runtime_ends_within_the_block_on_of_another() {
    on_each_backend(|builder| {
        let mut inner = build(builder);
        let inner_handle = inner.handle();
        let dropped = Rc::new(Cell::new(false));
        let seen = dropped.clone();
        let all = survivors(&mut inner);
        inner.block_on(async {
            drop(spawn(async move {
                let _guard = OnDrop(move || {
                    dropped.set(true);
                    // Refused, not taken in by the other runtime.
                    assert!(spawn(async { unreachable!() }).is_finished());
                });
                pending::<()>().await;
            }));
            yield_now().await;
        });
        build(builder).block_on(async {
            let own = spawn(async {
                yield_now().await;
                3
            });
            let late = inner_handle.spawn(|| async { unreachable!("on the wrong runtime") });
            drop(inner);
            assert!(seen.get());
            assert!(late.join().unwrap_err().is_cancelled());
            use_after_the_end(all);
            sleep(Duration::from_millis(1)).await;
            assert_eq!(own.await.unwrap(), 3);
            assert_eq!(metrics().tasks_spawned, 1);
        });
    });
}

thread_local! {
    static KEPT: RefCell<Option<(Runtime, Option<Survivors>)>> = const { RefCell::new(None) };
}

#[test]
fn a_runtime_ends_in_a_thread_local_destructor() {
    fn kept_by_a_thread(builder: Builder, touch_first: bool) {
        let ended = thread::spawn(move || {
            if touch_first {
                // Its destructor is registered before the runtime's own, and so runs after them.
                KEPT.with_borrow_mut(|kept| assert!(kept.is_none()));
            }
            let mut runtime = build(&builder);
            let all = survivors(&mut runtime);
            runtime.block_on(async {
                drop(spawn(async {
                    let _guard = OnDrop(|| drop(sleep_if_inside()));
                    pending::<()>().await;
                }));
                yield_now().await;
            });
            KEPT.set(Some((runtime, Some(all))));
        });
        ended.join().unwrap();
    }
    fn sleep_if_inside() -> Option<Sleep> {
        Handle::current().map(|_| sleep(Duration::from_millis(1)))
    }
    on_each_backend(|builder| {
        kept_by_a_thread(builder.clone(), true);
        kept_by_a_thread(builder.clone(), false);
    });
}

#[test]
fn what_is_in_flight_does_not_hold_up_the_end() {
    on_each_backend(|builder| {
        let start = Instant::now();
        let mut runtime = build(builder.grace(Duration::from_secs(30)));
        let (mut listeners, mut streams) = (Vec::new(), Vec::new());
        runtime.block_on(async {
            for _ in 0..50 {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                assert!(poll_once(&mut Box::pin(listener.accept())).is_pending());
                let (mut stream, peer) = pair().await;
                assert!(poll_once(&mut Box::pin(stream.read(&mut [0; 8]))).is_pending());
                listeners.push(listener);
                streams.push((stream, peer));
            }
            yield_now().await;
            assert!(metrics().in_flight >= 100);
        });
        drop(runtime);
        // Half of the grace: it did not sit it out.
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        drop((listeners, streams));
    });
}
