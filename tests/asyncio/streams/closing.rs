//! The end of a connection, from its writer's side and from its reader's.

use std::io::{ErrorKind, Read, Write};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake};

use ringloop::net::{TcpListener, TcpStream};
use ringloop::spawn;
use ringloop::stream::open_connection;

use super::{LOCAL, pair, pattern, turns, until, with_std};
use crate::support::run_on_each;
use crate::sync::hooks::{Call, hook, unhook, waker, wakes};

// S-18, S-19, S-20, check 103.
#[test]
fn a_close_sends_what_was_written_and_whoever_waits_for_it_knows_that_it_was() {
    run_on_each(|| async {
        let ((_reader, writer), (mut theirs, _back)) = pair().await;
        let all = pattern(3_000_000);
        writer.write(&all).unwrap();
        assert!(!writer.is_closing());
        let writer = Rc::new(writer);
        let early = writer.clone();
        let early = spawn(async move { early.wait_closed().await });
        turns(3).await;
        writer.close();
        writer.close();
        assert!(writer.is_closing());
        let reading = spawn(async move {
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).await.map(|_| got)
        });
        writer.wait_closed().await.unwrap();
        early.await.unwrap().unwrap();
        writer.wait_closed().await.unwrap();
        assert!(writer.is_closing());
        assert_eq!(writer.write_buffer_size(), 0);
        assert!(reading.await.unwrap().unwrap() == all);
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(writer.drain().await.unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

// S-19, S-27.
#[test]
fn whoever_waits_for_the_close_is_told_what_was_lost() {
    run_on_each(|| async {
        let ((_reader, writer), (_theirs, back)) = pair().await;
        writer.write(&vec![1; 8_000_000]).unwrap();
        writer.close();
        back.abort();
        let kind = writer.wait_closed().await.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
        assert!(writer.drain().await.is_err());
    });
}

// S-18, check 103: what had come can be read after the close, and then there is the end.
#[test]
fn after_the_close_what_had_come_is_read_and_then_the_end() {
    run_on_each(|| async {
        let ((mut reader, writer), mut theirs) = with_std().await;
        theirs.write_all(b"one\ntwo\nthr").unwrap();
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        writer.close();
        writer.wait_closed().await.unwrap();
        assert!(!reader.at_eof());
        reader.read_line(&mut line).await.unwrap();
        reader.read_line(&mut line).await.unwrap();
        assert_eq!(line, "one\ntwo\nthr");
        assert!(reader.at_eof());
        assert_eq!(reader.read(&mut [0; 9]).await.unwrap(), 0);
    });
}

// Seen to hang when the close dropped the waker of the reader.
#[test]
fn a_reader_that_waits_sees_the_close_and_the_abort_of_its_own_writer() {
    run_on_each(|| async {
        for abort in [false, true] {
            let ((mut reader, writer), mut theirs) = with_std().await;
            theirs.write_all(b"part").unwrap();
            let reading = spawn(async move {
                let mut line = String::new();
                reader.read_line(&mut line).await.map(|_| line)
            });
            turns(5).await;
            assert!(!reading.is_finished());
            if abort {
                writer.abort();
            } else {
                writer.close();
            }
            let line = reading.await.unwrap().unwrap();
            assert_eq!(line, if abort { "" } else { "part" });
        }
    });
}

// TR-12: an abort discards and resets, once.
#[test]
fn an_abort_discards_what_was_written_and_resets() {
    run_on_each(|| async {
        let ((_reader, writer), (mut theirs, _back)) = pair().await;
        writer.write(&vec![1; 8_000_000]).unwrap();
        writer.abort();
        writer.abort();
        assert!(writer.is_closing());
        assert_eq!(writer.write_buffer_size(), 0);
        let _ = writer.wait_closed().await;
        let error = theirs.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

// S-19, TR-12: an abort is no failure; what it discards is a loss, which asyncio keeps to itself.
// Seen to fail when every abort was told as an error.
#[test]
fn an_abort_is_an_error_only_of_what_it_discarded() {
    run_on_each(|| async {
        let ((_reader, writer), (mut theirs, _back)) = pair().await;
        writer.write(b"all of it").unwrap();
        writer.flush().await.unwrap();
        let mut all = [0; 9];
        theirs.read_exact(&mut all).await.unwrap();
        writer.abort();
        writer.abort();
        writer.wait_closed().await.unwrap();
        let ((_reader, writer), _peer) = pair().await;
        writer.write(&vec![1; 8_000_000]).unwrap();
        writer.abort();
        let kind = writer.wait_closed().await.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::ConnectionAborted);
    });
}

// S-18, S-24.
#[test]
fn dropping_both_handles_closes_and_sends_and_dropping_one_does_neither() {
    run_on_each(|| async {
        let all = pattern(1_000_000);
        for reader_first in [false, true] {
            let ((reader, writer), mut theirs) = with_std().await;
            writer.write(&all).unwrap();
            theirs.set_read_timeout(None).unwrap();
            let (one, other): (Box<dyn std::any::Any>, Box<dyn std::any::Any>) = if reader_first {
                (Box::new(reader), Box::new(writer))
            } else {
                (Box::new(writer), Box::new(reader))
            };
            drop(one);
            let mut first = vec![0; all.len()];
            let reading =
                std::thread::spawn(move || theirs.read_exact(&mut first).map(|()| (theirs, first)));
            until(|| reading.is_finished()).await;
            let (mut theirs, first) = reading.join().unwrap().unwrap();
            assert!(first == all);
            theirs.set_nonblocking(true).unwrap();
            turns(3).await;
            assert_eq!(
                theirs.read(&mut [0]).unwrap_err().kind(),
                ErrorKind::WouldBlock,
                "it is open"
            );
            drop(other);
            theirs.set_nonblocking(false).unwrap();
            let reading = std::thread::spawn(move || theirs.read(&mut [0]).unwrap());
            until(|| reading.is_finished()).await;
            assert_eq!(reading.join().unwrap(), 0);
        }
    });
}

// S-01, check 107.
#[test]
fn an_error_of_connecting_comes_out() {
    run_on_each(|| async {
        // Somebody has this port, and does not listen on it.
        let ((_reader, writer), _theirs) = with_std().await;
        let address = writer.local_addr().unwrap();
        let error = open_connection(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = open_connection("nonsense").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

// S-01: what had come before belongs to the reader.
#[test]
fn a_stream_of_net_becomes_one_of_these_with_what_it_has() {
    run_on_each(|| async {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        theirs.write_all(b"hello").await.unwrap();
        ours.read(&mut [0; 1]).await.unwrap();
        ours.write_all(b"before ").await.unwrap();
        let (mut reader, writer) = ours.into_stream();
        writer.write_all(b"after").await.unwrap();
        let mut rest = [0; 4];
        reader.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"ello");
        drop((reader, writer));
        let (mut theirs, _writer) = theirs.into_stream();
        let mut all = String::new();
        theirs.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "before after");
    });
}

// S-22, TR-03, check 121.
#[test]
fn addresses_stay_after_the_close() {
    run_on_each(|| async {
        let ((_reader, writer), (_theirs, back)) = pair().await;
        let (peer, local) = (writer.peer_addr().unwrap(), writer.local_addr().unwrap());
        assert_eq!((peer, local), (back.local_addr().unwrap(), back.peer_addr().unwrap()));
        writer.set_nodelay(true).unwrap();
        writer.close();
        writer.wait_closed().await.unwrap();
        assert_eq!((peer, local), (writer.peer_addr().unwrap(), writer.local_addr().unwrap()));
        assert_eq!(writer.set_nodelay(true).unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

// S-18: as `close_clients` finds its handlers.
// Seen to turn the loop for ever when who takes whatever there is was asked after the end.
#[test]
fn whoever_takes_all_there_is_ends_at_the_close_of_its_own_writer() {
    run_on_each(|| async {
        for (skip, early) in [(false, false), (false, true), (true, false), (true, true)] {
            let ((mut reader, writer), mut theirs) = with_std().await;
            theirs.write_all(b"xpart").unwrap();
            reader.read_exact(&mut [0]).await.unwrap();
            if early {
                writer.close();
            }
            let reading = spawn(async move {
                let read = if skip {
                    reader.skip_line().await
                } else {
                    reader.read_to_end(&mut Vec::new()).await
                };
                (read.unwrap(), reader.at_eof())
            });
            turns(5).await;
            writer.close();
            turns(100).await;
            assert!(reading.is_finished(), "it looks for more, skip: {skip}, early: {early}");
            assert_eq!(reading.await.unwrap(), (4, true));
        }
    });
}

/// A waker that counts by its handles.
struct Waking;

impl Wake for Waking {
    fn wake(self: Arc<Self>) {}
}

/// Polls waits under wakers of their own and drops them: how many of the wakers are still held.
fn wakers_left<F: Future>(wait: impl Fn() -> F) -> usize {
    let all: Vec<_> = (0..3).map(|_| Arc::new(Waking)).collect();
    for waker in &all {
        let mut waiting = pin!(wait());
        let waker = waker.clone().into();
        for _ in 0..2 {
            assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
    }
    all.iter().filter(|waker| Arc::strong_count(waker) > 1).count()
}

/// Whether `future`, polled under a waker whose clone runs `act`, has ended or been woken by it.
fn hears_of<F: Future>(future: F, act: impl Fn() + 'static) -> bool {
    let before = wakes();
    hook(move |call| {
        if call == Call::Clone {
            act();
        }
    });
    let polled = pin!(future).poll(&mut Context::from_waker(&waker(1)));
    unhook();
    polled.is_ready() || wakes() > before
}

// Seen to fail, each of them, when nothing was looked for after the waker had been cloned.
#[test]
fn a_wait_whose_waker_closes_the_connection_as_it_is_cloned_hears_of_that() {
    run_on_each(|| async {
        let shared = || async {
            let ((reader, writer), peer) = pair().await;
            let writer = Rc::new(writer);
            (reader, writer.clone(), writer, peer)
        };
        let (mut reader, _writer, other, _peer) = shared().await;
        assert!(hears_of(reader.read(&mut [0]), move || other.close()), "a read, of the close");
        let (mut reader, _writer, other, _peer) = shared().await;
        assert!(hears_of(reader.read(&mut [0]), move || other.abort()), "a read, of the abort");
        let (_reader, writer, other, _peer) = shared().await;
        writer.write(&vec![1; 16 << 20]).unwrap();
        assert!(hears_of(writer.drain(), move || other.abort()), "a drain, of the abort");
        let (_reader, writer, other, _peer) = shared().await;
        writer.write(&vec![1; 16 << 20]).unwrap();
        turns(20).await;
        assert!(hears_of(writer.flush(), move || other.abort()), "a flush, of the abort");
    });
}

// A loop that races a read with the close, or with a drain, asks under another waker each time.
// Seen to fail when the wakers of waits that had been dropped stayed until the close, or until a peer
// read that never did.
#[test]
fn waits_that_are_dropped_leave_nothing_behind() {
    run_on_each(|| async {
        let ((_reader, writer), _peer) = pair().await;
        writer.write(&vec![1; 16 << 20]).unwrap();
        turns(20).await;
        assert_eq!(wakers_left(|| writer.wait_closed()), 0);
        assert_eq!(wakers_left(|| writer.drain()), 0);
        assert_eq!(wakers_left(|| writer.flush()), 0);
        writer.abort();
        let _ = writer.wait_closed().await;
    });
}
