//! The end of the runtime, and what outlives it.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use ringloop::{Lease, Runtime};

use super::*;
use crate::support::{build, on_each_backend};

#[track_caller]
fn assert_ended<T>(result: io::Result<T>) {
    let Err(error) = result else { panic!("it goes on after the end") };
    assert_eq!(error.to_string(), "the ringloop runtime of this object has ended");
    assert_eq!(error.kind(), ErrorKind::NotConnected);
}

/// Polls `future` to its end in a runtime of its own.
fn elsewhere<F: Future>(builder: &ringloop::Builder, future: F) -> F::Output {
    build(builder).block_on(future)
}

#[test]
fn a_thousand_busy_connections_end_with_their_runtime() {
    alone("end::a_thousand_busy_connections_end_with_their_runtime", || {
        on_each_backend(|builder| {
            let _ = pattern(0, 1);
            let before = descriptors();
            let grace = Duration::from_millis(300);
            let mut runtime = build(builder.grace(grace));
            let peers = runtime.block_on(async {
                let listener = TcpListener::bind(LOCAL).await.unwrap();
                let address = listener.local_addr().unwrap();
                let mut peers = Vec::new();
                let much = bytes::Bytes::from(vec![1; 8 << 20]);
                for i in 0..1000 {
                    let mut peer = std::net::TcpStream::connect(address).unwrap();
                    let (mut stream, _) = listener.accept().await.unwrap();
                    if i % 4 == 0 {
                        peer.write_all(pattern(0, 3000)).unwrap();
                    }
                    peers.push(peer);
                    stream.set_send_buffer_size(64 << 10).unwrap();
                    let much = much.clone();
                    ringloop::spawn(async move {
                        match i % 4 {
                            // A pending read, one with parked bytes, one behind a pending write, and
                            // an outbox that nobody will ever empty.
                            0 => stream.peek(&mut [0]).await.map(drop).unwrap(),
                            1 => {}
                            2 => {
                                let _ = stream.write_all(&much).await;
                            }
                            _ => {
                                stream.write_bytes(much).await.unwrap();
                            }
                        }
                        loop {
                            stream.read(&mut [0; 10]).await.unwrap();
                        }
                    });
                }
                ringloop::spawn(async move { listener.accept().await.map(drop) });
                // Dials that nobody answers.
                let full = ringloop::net::TcpListenerOptions::new().backlog(0).bind(LOCAL).await;
                let full = full.unwrap();
                let address = full.local_addr().unwrap();
                for _ in 0..10 {
                    ringloop::spawn(async move { TcpStream::connect(address).await.map(drop) });
                }
                ringloop::spawn(async move {
                    let _full = full;
                    std::future::pending::<()>().await;
                });
                turns(100).await;
                peers
            });
            let started = Instant::now();
            drop(runtime);
            let took = started.elapsed();
            assert!(took < grace + Duration::from_secs(2), "the end took {took:?}");
            drop(peers);
            assert_eq!(descriptors(), before, "descriptors are left");
        });
    });
}

#[test]
fn what_was_written_leaves_within_the_grace() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let peer = runtime.block_on(async {
            let (mut ours, mut theirs) = with_std().await;
            ours.write_bytes(bytes::Bytes::from(pattern(0, 1 << 20).repeat(16))).await.unwrap();
            ringloop::spawn(async move {
                let _ours = ours;
                std::future::pending::<()>().await;
            });
            turns(2).await;
            std::thread::spawn(move || {
                let mut all = Vec::new();
                theirs.read_to_end(&mut all).map(|_| all.len())
            })
        });
        drop(runtime);
        assert_eq!(peer.join().unwrap().unwrap(), 16 << 20);
    });
}

#[test]
fn what_the_end_cuts_off_does_not_look_whole() {
    on_each_backend(|builder| {
        let mut runtime = build(builder.grace(Duration::from_millis(20)));
        let mut theirs = runtime.block_on(async {
            let (mut ours, theirs) = with_std().await;
            ours.write_bytes(bytes::Bytes::from(vec![7; 16 << 20])).await.unwrap();
            theirs
        });
        drop(runtime);
        let error = theirs.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn what_outlives_its_runtime_says_so_and_closes_plainly() {
    alone("end::what_outlives_its_runtime_says_so_and_closes_plainly", || {
        on_each_backend(|builder| {
            let _ = pattern(0, 1);
            let before = descriptors();
            let mut runtime = build(builder);
            let (mut kept, mut theirs) = runtime.block_on(with_std());
            let listener = runtime.block_on(TcpListener::bind(LOCAL)).unwrap();
            let address = listener.local_addr().unwrap();
            let (halves, _peer) = runtime.block_on(with_std());
            let (mut read, mut write) = halves.into_split();
            let mut lease = runtime.block_on(async {
                theirs.write_all(b"hello world").unwrap();
                let lease = kept.read_chunk().await.unwrap().unwrap();
                theirs.write_all(b"parked").unwrap();
                kept.peek(&mut [0]).await.unwrap();
                // In flight at the end: a receive, an accept, a connect.
                assert!(poll_once(&mut Box::pin(read.read(&mut [0]))).await.is_pending());
                assert!(poll_once(&mut Box::pin(listener.accept())).await.is_pending());
                lease
            });
            let (full, queued) = runtime.block_on(connect::full());
            let mut connect = Box::pin(TcpStream::connect(full.local_addr().unwrap()));
            let idle = runtime.block_on(TcpListener::bind(LOCAL)).unwrap();
            let mut accept = Box::pin(idle.accept());
            let mut done = Box::pin(TcpStream::connect(address));
            runtime.block_on(async {
                assert!(poll_once(&mut connect).await.is_pending());
                assert!(poll_once(&mut accept).await.is_pending());
                assert!(poll_once(&mut done).await.is_pending());
                turns(100).await;
            });
            drop(runtime);

            elsewhere(builder, async {
                let mut buf = [0; 16];
                // What was parked is still there; then it is over.
                let n = kept.read(&mut buf).await.unwrap();
                assert_eq!(&buf[..n], b"parked");
                assert_ended(kept.read(&mut buf).await);
                assert_ended(kept.read_chunk().await);
                assert_ended(kept.peek(&mut buf).await);
                assert_ended(kept.write_all(b"x").await);
                assert_ended(kept.write_bytes(bytes::Bytes::from_static(b"x")).await);
                assert_ended(kept.write_chunk(lease.split_to(1)).await);
                assert_ended(kept.shutdown(std::net::Shutdown::Both).await);
                assert_ended(kept.local_addr());
                assert_ended(kept.peer_addr());
                assert_ended(kept.set_nodelay(true));
                assert_ended(read.read(&mut buf).await);
                assert_ended(write.write_all(b"x").await);
                assert_ended(accept.as_mut().await);
                assert_ended(connect.as_mut().await);
                // This one had come about: it closes, or is of no use.
                if let Ok(mut stream) = done.await {
                    assert_ended(stream.read(&mut buf).await);
                }
                assert_eq!(&lease[..], b"ello world");
                drop(accept);
                idle.close();
                assert!(idle.accept().await.is_err());
                kept.abort();
                drop(write);
            });
            drop((theirs, read, listener, idle, full, queued, lease, connect, _peer));
            assert_eq!(descriptors(), before, "descriptors are left");
        });
    });
}

#[test]
fn a_stream_cannot_be_handed_over_after_the_end_and_says_so() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let (ours, _theirs) = runtime.block_on(with_std());
        drop(runtime);
        assert_ended(elsewhere(builder, ours.into_std()));
    });
}

thread_local! {
    static STREAMS: RefCell<Vec<(TcpStream, TcpListener)>> = const { RefCell::new(Vec::new()) };
    static LEASES: RefCell<Vec<Lease>> = const { RefCell::new(Vec::new()) };
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

#[test]
fn what_a_thread_local_keeps_is_dropped_without_a_panic() {
    alone("end::what_a_thread_local_keeps_is_dropped_without_a_panic", || {
        on_each_backend(|builder| {
            // The thread-locals are made before the runtime's own, and after them.
            for (first, keep_runtime) in
                [(true, false), (false, false), (true, true), (false, true)]
            {
                let builder = builder.clone();
                let before = descriptors();
                let thread = std::thread::spawn(move || {
                    if first {
                        touch();
                    }
                    let mut runtime = build(&builder);
                    runtime.block_on(async {
                        let (mut ours, mut theirs) = with_std().await;
                        theirs.write_all(b"kept").unwrap();
                        let lease = ours.read_chunk().await.unwrap().unwrap();
                        LEASES.with_borrow_mut(|leases| leases.push(lease));
                        let listener = TcpListener::bind(LOCAL).await.unwrap();
                        assert!(poll_once(&mut Box::pin(listener.accept())).await.is_pending());
                        turns(3).await;
                        STREAMS.with_borrow_mut(|streams| streams.push((ours, listener)));
                    });
                    if keep_runtime {
                        RUNTIME.set(Some(runtime));
                    }
                });
                // A panic in a destructor of a thread-local aborts.
                thread.join().unwrap();
                assert_eq!(descriptors(), before, "{first} {keep_runtime}");
            }
        });
    });
}

fn touch() {
    STREAMS.with_borrow_mut(Vec::clear);
    LEASES.with_borrow_mut(Vec::clear);
    RUNTIME.set(None);
}

#[test]
fn streams_of_one_runtime_are_dropped_within_another() {
    on_each_backend(|builder| {
        let mut one = build(builder);
        let (mut ours, mut theirs) = one.block_on(with_std());
        one.block_on(async {
            assert!(poll_once(&mut Box::pin(ours.read(&mut [0]))).await.is_pending());
            ours.write_all(pattern(0, 1000)).await.unwrap();
        });
        // The one is alive and does not run; the other runs.
        build(builder).block_on(async move { drop(ours) });
        one.block_on(until(|| ringloop::metrics().in_flight == 0));
        assert_eq!(drain_pattern(&mut theirs).unwrap(), 1000);
        let (kept, mut theirs) = one.block_on(with_std());
        build(builder).block_on(async move { drop(one) });
        drop(kept);
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    });
}
