//! Ends: close, abort, the loss; whatever is called within a callback.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ringloop::net::{TcpListener, TcpStream};
use ringloop::protocol::{Transport, connect_accepted_socket, create_connection};
use ringloop::task::yield_now;

use super::{Log, Noting, connected, pair, read_to_end, some_turns};
use crate::support::{OnDrop, build, on_each_backend, poll_once, run_on_each};

// TR-01, TR-02, PR-02, F-9, check 116.
// Seen to fail when `close` ended the connection before what was written had left.
#[test]
fn a_close_sends_what_was_written_and_delivers_nothing_more() {
    run_on_each(|| async {
        let log = Log::default();
        let (transport, mut peer) = connected(Noting::quiet(&log)).await;
        transport.write(&vec![1; 16 << 20]);
        transport.pause_reading();
        peer.write_all(b"unheard").await.unwrap();
        some_turns().await;
        transport.close();
        transport.close();
        assert!(transport.is_closing() && !transport.is_reading());
        assert_eq!(log.all(), "made pause", "nothing is called inline");
        some_turns().await;
        assert!(transport.get_write_buffer_size() > 0, "nobody reads");
        assert!(!log.all().contains("lost"));
        assert_eq!(read_to_end(&mut peer).await.unwrap().len(), 16 << 20);
        transport.wait_closed().await;
        assert!(log.received().is_empty());
        assert_eq!(log.all(), "made pause resume lost");
        assert_eq!(transport.get_write_buffer_size(), 0);
    });
}

// TR-12, TR-13, check 116.
// Seen to fail when an abort after a close waited for the peer.
#[test]
fn an_abort_discards_what_was_written_also_after_a_close() {
    run_on_each(|| async {
        for close_first in [false, true] {
            let log = Log::default();
            let (transport, mut peer) = connected(Noting::quiet(&log)).await;
            transport.write(&vec![1; 8 << 20]);
            if close_first {
                transport.close();
                some_turns().await;
            }
            transport.abort();
            transport.abort();
            transport.close();
            assert_eq!(transport.get_write_buffer_size(), 0);
            assert!(!log.all().contains("lost"), "nothing is called inline");
            transport.wait_closed().await;
            assert!(log.all().ends_with(" lost"), "{}", log.all());
            assert_eq!(log.all().matches("lost").count(), 1);
            let error = read_to_end(&mut peer).await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    });
}

// TR-31.
#[test]
fn the_descriptor_is_there_within_the_last_callback_and_gone_after_it() {
    fn sockets() -> usize {
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let link =
            |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
        open.filter_map(link).filter(|to| to.to_string_lossy().starts_with("socket:")).count()
    }
    let name =
        "transports::closing::the_descriptor_is_there_within_the_last_callback_and_gone_after_it";
    crate::support::alone(name, || {
        run_on_each(|| async {
            let before = sockets();
            for end in ["close", "abort", "the peer's reset"] {
                let (log, seen) = (Log::default(), Rc::new(RefCell::new(0)));
                let there = seen.clone();
                let (transport, peer) = connected(Noting::new(&log, move |what, _| {
                    if what == "lost" {
                        *there.borrow_mut() = sockets();
                    }
                }))
                .await;
                match end {
                    "close" => transport.close(),
                    "abort" => transport.abort(),
                    _ => {}
                }
                let mut peer = Some(peer);
                if !transport.is_closing() {
                    peer.take().into_iter().for_each(TcpStream::abort);
                }
                transport.wait_closed().await;
                assert_eq!(*seen.borrow(), before + 1 + usize::from(peer.is_some()), "{end}");
                drop(peer);
                while sockets() > before {
                    yield_now().await;
                }
            }
        });
    });
}

// TR-03, check 121.
#[test]
fn addresses_stay_known_after_the_end() {
    run_on_each(|| async {
        let log = Log::default();
        let (ours, peer) = pair().await;
        let (local, remote) = (ours.local_addr().unwrap(), ours.peer_addr().unwrap());
        let transport = connect_accepted_socket(|| Noting::quiet(&log), ours).await.unwrap();
        peer.abort();
        transport.wait_closed().await;
        assert_eq!(transport.peer_addr().unwrap(), remote);
        assert_eq!(transport.local_addr().unwrap(), local);
    });
}

// PR-02, PR-03, checks 115 and 116: whatever is called in whichever callback, nothing is called twice, too
// late, or within another.
// Seen to fail when a write after a close was taken, and when an abort after a close did nothing.
#[test]
fn close_abort_and_pause_within_any_callback_are_obeyed_before_the_next_one() {
    type Act = (&'static str, fn(&Transport));
    let acts: [Act; 3] = [
        ("close", Transport::close),
        ("abort", Transport::abort),
        ("both", |transport| {
            transport.close();
            transport.abort();
        }),
    ];
    run_on_each(|| async {
        for within in ["made", "data", "eof", "pause", "resume", "lost"] {
            for (name, act) in acts {
                let log = Log::default();
                let (ours, mut peer) = pair().await;
                let acting = Noting::new(&log, move |what, transport| {
                    if what == "made" && within != "made" {
                        transport.set_write_buffer_limits(0, 0).unwrap();
                        transport.write(b"hello");
                    }
                    if what == within {
                        act(transport);
                        transport.resume_reading();
                        transport.write(b"too late");
                    }
                });
                peer.write_all(b"data").await.unwrap();
                peer.shutdown(std::net::Shutdown::Write).await.unwrap();
                let transport = connect_accepted_socket(|| acting, ours).await.unwrap();
                transport.wait_closed().await;
                let all = log.all();
                let what = format!("{name} within {within}: {all}");
                assert!(all.starts_with("made") && all.ends_with("lost"), "{what}");
                assert_eq!(all.matches("lost").count(), 1, "{what}");
                let behind: Vec<&str> =
                    all.split(' ').skip_while(|entry| *entry != within).skip(1).collect();
                let only_flow = |entry: &&str| ["pause", "resume", "lost"].contains(entry);
                assert!(behind.iter().all(only_flow), "{what}");
                if name != "close" && within != "lost" {
                    assert_eq!(behind, ["lost"], "{what}");
                }
                some_turns().await;
                assert_eq!(log.all(), all, "{what}");
            }
        }
    });
}

// TR-12, check 116. Found by the random scripts.
// Seen to fail when an outbox that failed with nothing in flight kept the alarm of its linger.
#[test]
fn an_abort_in_the_turn_of_the_close_leaves_nobody_waiting_for_the_linger() {
    run_on_each(|| async {
        let log = Log::default();
        let (transport, mut peer) = connected(Noting::new(&log, |what, transport| match what {
            "data" => {
                transport.set_write_buffer_limits(0, 0).unwrap();
                transport.write(b"never sent");
                transport.close();
            }
            "pause" => transport.abort(),
            _ => {}
        }))
        .await;
        peer.write_all(b"go").await.unwrap();
        transport.wait_closed().await;
        assert_eq!(log.all(), "made data pause lost");
        assert_eq!(ringloop::metrics().timers, 0);
        assert!(read_to_end(&mut peer).await.is_err());
    });
}

// TR-01, C-11: a close does not wait for ever.
#[test]
fn a_close_gives_up_a_peer_that_takes_nothing_when_the_linger_is_over() {
    on_each_backend(|builder| {
        let mut runtime = build(builder.linger(Duration::from_millis(50)));
        runtime.block_on(async {
            let log = Log::default();
            let (transport, peer) = connected(Noting::quiet(&log)).await;
            transport.write(&vec![1; 8 << 20]);
            transport.close();
            transport.wait_closed().await;
            assert_eq!(log.all(), "made pause lost:TimedOut");
            drop(peer);
        });
    });
}

// L-17: dropped before it is done, the connection is closed and its protocol hears of it.
#[test]
fn a_connection_that_nobody_waits_for_any_more_is_closed() {
    run_on_each(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let mut made = 0;
        for polls in 0..6 {
            let log = Log::default();
            let mut connecting = Box::pin(create_connection(|| Noting::quiet(&log), to));
            let mut ended = false;
            for _ in 0..polls {
                let polled =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(connecting.as_mut().poll(cx)))
                        .await;
                if polled.is_ready() {
                    ended = true;
                    break;
                }
                yield_now().await;
            }
            drop(connecting);
            if ended {
                continue;
            }
            some_turns().await;
            let all = log.all();
            assert!(all.is_empty() || all == "made lost", "{all}");
            made += usize::from(!all.is_empty());
        }
        assert!(made <= 2);
    });
}

// The end of the runtime is an end of the connection; what was written is sent all the same.
// Seen to fail when the pump had no drop.
#[test]
fn the_end_of_the_runtime_is_told_and_sends_what_was_written() {
    use std::io::Read;
    on_each_backend(|builder| {
        let log = Log::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut runtime = build(builder);
        let to = listener.local_addr().unwrap();
        let transport = runtime.block_on(create_connection(|| Noting::quiet(&log), to)).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        transport.write(b"in time");
        let waiting = async { transport.wait_closed().await };
        let mut waiting = Box::pin(waiting);
        assert!(poll_once(&mut waiting).is_pending());
        drop(runtime);
        assert_eq!(log.all(), "made lost:NotConnected");
        assert!(poll_once(&mut waiting).is_ready());
        assert!(!transport.write(b"too late") && transport.is_closing());
        transport.close();
        transport.abort();
        transport.pause_reading();
        transport.resume_reading();
        transport.set_protocol(Noting::quiet(&log));
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"in time");
    });
}

// Seen to wait for ever when nobody looked whether the end had come with the refusal of a task.
#[test]
fn a_transport_that_is_made_while_the_runtime_ends_is_refused_at_once() {
    on_each_backend(|builder| {
        let (log, refused) = (Log::default(), Rc::new(RefCell::new(None)));
        let mut runtime = build(builder);
        let _peer = runtime.block_on(async {
            let (ours, peer) = pair().await;
            let (log, refused) = (log.clone(), refused.clone());
            let mut ours = Some(ours);
            let make = move || {
                let (factory, ours) = (|| Noting::quiet(&log), ours.take().unwrap());
                let mut making = Box::pin(connect_accepted_socket(factory, ours));
                refused.replace(Some(poll_once(&mut making)));
            };
            ringloop::spawn(async move {
                let _guard = OnDrop(make);
                std::future::pending::<()>().await;
            });
            yield_now().await;
            peer
        });
        drop(runtime);
        let Some(Poll::Ready(Err(error))) = refused.take() else { panic!("it waits") };
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        assert_eq!(log.all(), "", "it was never made");
    });
}
