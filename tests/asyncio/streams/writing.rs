//! Writes, the marks of `drain`, and their errors.

use std::cell::Cell;
use std::io::{ErrorKind, IoSlice, Read};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use ringloop::net::{TcpListener, TcpStream};
use ringloop::spawn;
use ringloop::stream::Writer;

use super::{LOCAL, pair, poll_once, turns, until, with_std};
use crate::support::run_on_each;

/// A writer whose peer does not read yet, with more than the high mark in its buffer; how much was
/// written.
async fn full(writer: &Writer) -> usize {
    let mut written = 0;
    while writer.write_buffer_size() <= 2 * writer.write_buffer_limits().1 {
        writer.write(&[7; 10_000]).unwrap();
        written += 10_000;
        turns(1).await;
    }
    written
}

// S-15, S-16.
#[test]
fn everything_that_is_written_in_whatever_shape_comes_in_order() {
    run_on_each(|| async {
        let ((_reader, writer), (mut theirs, back)) = pair().await;
        writer.write(b"").unwrap();
        writer.write(b"slice ").unwrap();
        writer.write_bytes(Bytes::from_static(b"bytes ")).unwrap();
        writer
            .write_vectored(&[IoSlice::new(b"vec"), IoSlice::new(b""), IoSlice::new(b"tored ")])
            .unwrap();
        writer.writelines(["lines ", "and "]).unwrap();
        writer.writelines([Bytes::from_static(b"lines ")]).unwrap();
        back.write_all(b"lease ").await.unwrap();
        let (mut reader, writer) = (_reader, writer);
        let lease = reader.read_chunk().await.unwrap().unwrap();
        writer.write_chunk(lease).unwrap();
        writer.write_all(b"all").await.unwrap();
        writer.write_eof().unwrap();
        let mut all = String::new();
        theirs.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "slice bytes vectored lines and lines lease all");
    });
}

// S-15, S-17. Seen to fail when `write` looked for room.
#[test]
fn a_write_never_waits_and_drain_does_until_the_low_mark() {
    run_on_each(|| async {
        let ((_reader, writer), (mut theirs, _back)) = pair().await;
        writer.drain().await.unwrap();
        let written = full(&writer).await;
        let (low, high) = writer.write_buffer_limits();
        assert_eq!((low, high), (16 * 1024, 64 * 1024));
        let mut draining = Box::pin(writer.drain());
        for _ in 0..10 {
            assert!(poll_once(&mut draining).await.is_pending());
            turns(1).await;
        }
        let reading = spawn(async move {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.map(|n| (n, theirs))
        });
        draining.await.unwrap();
        assert!(writer.write_buffer_size() <= low);
        writer.flush().await.unwrap();
        assert_eq!(writer.write_buffer_size(), 0);
        writer.close();
        writer.wait_closed().await.unwrap();
        assert_eq!(reading.await.unwrap().unwrap().0, written);
    });
}

// S-17. Seen to fail when only the high mark was looked at: it waits from a write above the high mark on, until the low one; in between it does not.
#[test]
fn drain_does_not_wait_between_the_marks_unless_it_was_above() {
    run_on_each(|| async {
        let ((_reader, writer), mut theirs) = with_std().await;
        let written = full(&writer).await;
        let buffered = writer.write_buffer_size();
        // What is buffered stands between these.
        writer.set_write_buffer_limits(buffered + 1, buffered - 1).unwrap();
        let mut draining = Box::pin(writer.drain());
        assert!(poll_once(&mut draining).await.is_pending(), "it was above the mark");
        drop(draining);
        writer.set_write_buffer_limits(buffered + 1, buffered).unwrap();
        let mut draining = Box::pin(writer.drain());
        assert!(matches!(poll_once(&mut draining).await, Poll::Ready(Ok(()))), "at the low one");
        writer.set_write_buffer_limits(buffered + 1, 0).unwrap();
        let mut draining = Box::pin(writer.drain());
        assert!(matches!(poll_once(&mut draining).await, Poll::Ready(Ok(()))), "between");
        drop(draining);
        // The marks are looked at when they are set.
        writer.set_write_buffer_limits(buffered - 1, 0).unwrap();
        let mut draining = Box::pin(writer.drain());
        assert!(poll_once(&mut draining).await.is_pending());
        let reading = std::thread::spawn(move || theirs.read_exact(&mut vec![0; written]));
        draining.await.unwrap();
        assert_eq!(writer.write_buffer_size(), 0);
        until(|| reading.is_finished()).await;
        reading.join().unwrap().unwrap();
    });
}

// TR-14, TR-16, check 114.
#[test]
fn one_mark_gives_the_other_and_the_low_one_is_never_above_the_high_one() {
    run_on_each(|| async {
        let ((_reader, writer), _peer) = pair().await;
        writer.set_write_buffer_limits(1000, None).unwrap();
        assert_eq!(writer.write_buffer_limits(), (250, 1000));
        writer.set_write_buffer_limits(None, 1000).unwrap();
        assert_eq!(writer.write_buffer_limits(), (1000, 4000));
        let error = writer.set_write_buffer_limits(1000, 1001).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(writer.write_buffer_limits(), (1000, 4000), "they stay");
        writer.set_write_buffer_limits(0, None).unwrap();
        assert_eq!(writer.write_buffer_limits(), (0, 0));
        writer.write(b"x").unwrap();
        writer.drain().await.unwrap();
        assert_eq!(writer.write_buffer_size(), 0);
        writer.set_write_buffer_limits(None, None).unwrap();
        assert_eq!(writer.write_buffer_limits(), (16 * 1024, 64 * 1024));
    });
}

// S-17, check 102. Seen to hang when the outbox kept one waker only.
#[test]
fn ten_who_drain_the_same_writer_all_return() {
    run_on_each(|| async {
        let ((_reader, writer), (mut theirs, _back)) = pair().await;
        let written = full(&writer).await;
        let writer = Rc::new(writer);
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let writer = writer.clone();
                spawn(async move { writer.drain().await })
            })
            .collect();
        turns(5).await;
        assert!(tasks.iter().all(|task| !task.is_finished()));
        // One that waits goes, and takes nobody's turn with it.
        tasks[3].cancel();
        tasks[9].cancel();
        let mut all = vec![0; written];
        theirs.read_exact(&mut all).await.unwrap();
        for (i, task) in tasks.into_iter().enumerate() {
            let ended = task.await;
            assert!(matches!(ended, Ok(Ok(()))) || [3, 9].contains(&i), "{i}: {ended:?}");
        }
    });
}

// S-17. Seen to wait when only a drain noticed that the low mark had been reached.
#[test]
fn what_was_above_the_mark_and_has_left_holds_up_no_later_drain() {
    run_on_each(|| async {
        let ((_reader, writer), (mut theirs, _back)) = pair().await;
        let written = full(&writer).await;
        theirs.read_exact(&mut vec![0; written]).await.unwrap();
        until(|| writer.write_buffer_size() == 0).await;
        let (low, high) = writer.write_buffer_limits();
        while writer.write_buffer_size() <= low {
            writer.write(&[7; 4096]).unwrap();
            turns(2).await;
        }
        assert!(writer.write_buffer_size() < high);
        let mut draining = Box::pin(writer.drain());
        assert!(matches!(poll_once(&mut draining).await, Poll::Ready(Ok(()))));
    });
}

// S-17. Seen to fail when one that found the buffer full again waited for the next time.
#[test]
fn one_that_writes_and_drains_again_and_again_does_not_hold_up_another() {
    run_on_each(|| async {
        let ((_reader, writer), (mut theirs, _back)) = pair().await;
        full(&writer).await;
        let (writer, rounds) = (Rc::new(writer), Rc::new(Cell::new(0)));
        // More than the kernel has room for.
        let much = vec![7; 8 << 20];
        let (busy, counting) = (writer.clone(), rounds.clone());
        let busy = spawn(async move {
            for round in 0..20 {
                busy.drain().await.unwrap();
                busy.write(&much).unwrap();
                counting.set(round);
            }
        });
        let patient = spawn(async move { writer.drain().await });
        turns(5).await;
        let _reading = spawn(async move { theirs.read_to_end(&mut Vec::new()).await });
        patient.await.unwrap().unwrap();
        assert_eq!(rounds.get(), 0, "it waited when the mark was reached");
        busy.cancel();
    });
}

// S-17, S-27, check 101.
#[test]
fn a_writer_whose_peer_has_gone_gets_an_error_soon_and_does_not_spin() {
    run_on_each(|| async {
        let ((_reader, writer), theirs) = with_std().await;
        drop(theirs);
        let error = loop {
            if let Err(error) = writer.write_all(&[1; 10_000]).await {
                break error;
            }
            turns(1).await;
        };
        let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(kinds.contains(&error.kind()), "{error}");
        assert!(writer.write(b"more").is_err());
        assert!(writer.drain().await.is_err());
        assert!(writer.flush().await.is_err());
    });
}

// Seen to fail, for each of them, when an error counted for nothing.
#[test]
fn one_that_asks_a_lost_connection_again_and_again_holds_up_nobody() {
    run_on_each(|| async {
        let ((_reader, writer), (_theirs, back)) = pair().await;
        full(&writer).await;
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let peer = listener.accept().await.unwrap().0;
        back.abort();
        peer.abort();
        while writer.flush().await.is_ok() {}
        while stream.write_all(b"x").await.is_ok() {}
        for way in 0..3 {
            let other = spawn(async {});
            let mut asked = 0;
            while !other.is_finished() && asked < 100_000 {
                asked += 1;
                match way {
                    0 => writer.flush().await.unwrap_err(),
                    1 => stream.write_all(b"x").await.unwrap_err(),
                    _ => stream.write_vectored(&[IoSlice::new(b"x")]).await.unwrap_err(),
                };
            }
            assert!(asked < 100_000, "in way {way} it was asked for ever");
        }
    });
}

// S-17, S-27: a loss wakes those who wait.
#[test]
fn those_who_drain_are_told_of_a_reset() {
    run_on_each(|| async {
        let ((_reader, writer), (_theirs, back)) = pair().await;
        full(&writer).await;
        let writer = Rc::new(writer);
        let drain = |writer: Rc<Writer>| spawn(async move { writer.drain().await });
        let tasks = [drain(writer.clone()), drain(writer.clone())];
        turns(5).await;
        back.abort();
        for task in tasks {
            let kind = task.await.unwrap().unwrap_err().kind();
            assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
        }
    });
}

// S-21, S-26, TR-11, check 117.
#[test]
fn the_end_of_writing_comes_behind_what_was_written_and_reading_goes_on() {
    run_on_each(|| async {
        let ((mut reader, writer), (mut theirs, back)) = pair().await;
        assert!(writer.can_write_eof());
        let written = full(&writer).await;
        writer.write_eof().unwrap();
        writer.write_eof().unwrap();
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut all = Vec::new();
        let reading = theirs.read_to_end(&mut all);
        assert_eq!(reading.await.unwrap(), written);
        back.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        reader.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
        writer.close();
        writer.write_eof().unwrap();
    });
}

// G-18.
#[test]
fn a_write_above_the_most_is_refused_whole_and_nothing_of_it_is_sent() {
    run_on_each(|| async {
        let ((_reader, writer), (mut theirs, _back)) = pair().await;
        let mut written = full(&writer).await;
        let buffered = writer.write_buffer_size();
        writer.set_max_write_buffer(buffered + 10);
        writer.write(b"0123456789").unwrap();
        written += 10;
        let refused = [
            writer.write(b"x"),
            writer.write_bytes(Bytes::from_static(b"x")),
            writer.write_vectored(&[IoSlice::new(b""), IoSlice::new(b"x")]),
            writer.writelines(["x"]),
        ];
        for refused in refused {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        writer.write(b"").unwrap();
        let mut all = vec![0; written];
        theirs.read_exact(&mut all).await.unwrap();
        writer.flush().await.unwrap();
        writer.write(b"y").unwrap();
        writer.set_max_write_buffer(None);
        writer.write(&[b'y'; 1_000_000]).unwrap();
        writer.write_eof().unwrap();
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() == 1_000_001 && rest.iter().all(|&b| b == b'y'));
    });
}
