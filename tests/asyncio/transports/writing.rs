//! What is sent: marks, the end of writing, writes that come too late.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;

use bytes::Bytes;
use ringloop::protocol::Transport;

use super::panics::telling;
use super::{Log, Noting, connected, pair, read_to_end, some_turns};
use crate::support::{on_each_backend, run_on_each};

// TR-08, TR-10, TR-13, G-04, F-7, checks 113 and 120.
#[test]
fn what_is_written_in_any_form_arrives_in_order_and_what_is_in_flight_counts() {
    run_on_each(|| async {
        let log = Log::default();
        let (transport, mut peer) = connected(Noting::quiet(&log)).await;
        assert!(!transport.write(b""));
        assert_eq!(transport.get_write_buffer_size(), 0);
        transport.write(b"one ");
        transport.write_bytes("two ");
        transport.write_bytes(Bytes::new());
        transport.writelines([&b"three "[..], b"", b"four "]);
        transport.writelines(["five ".to_owned()]);
        assert_eq!(transport.get_write_buffer_size(), b"one two three four five ".len());
        let (mut from, mut to) = pair().await;
        to.write_all(b"six").await.unwrap();
        transport.write_chunk(from.read_chunk().await.unwrap().unwrap());
        transport.close();
        assert_eq!(read_to_end(&mut peer).await.unwrap(), b"one two three four five six");
        log.until_lost().await;
        assert_eq!(log.all(), "made lost");
    });
}

// TR-14, TR-16, check 114.
#[test]
fn the_marks_have_their_defaults_and_refuse_nonsense() {
    run_on_each(|| async {
        let (transport, _peer) = connected(Noting::quiet(&Log::default())).await;
        let is = |low, high| assert_eq!(transport.get_write_buffer_limits(), (low, high));
        is(16 * 1024, 64 * 1024);
        transport.set_write_buffer_limits(1000, None).unwrap();
        is(250, 1000);
        transport.set_write_buffer_limits(None, 50).unwrap();
        is(50, 200);
        transport.set_write_buffer_limits(0, None).unwrap();
        is(0, 0);
        transport.set_write_buffer_limits(7, 7).unwrap();
        is(7, 7);
        let error = transport.set_write_buffer_limits(5, 6).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        is(7, 7);
        transport.set_write_buffer_limits(None, usize::MAX).unwrap();
        is(usize::MAX, usize::MAX);
        transport.set_write_buffer_limits(None, None).unwrap();
        is(16 * 1024, 64 * 1024);
    });
}

/// How often, in a log, who is paused is told to pause, or who is not to resume.
fn alternates(log: &Log) -> bool {
    let mut paused = false;
    log.all().split(' ').all(|entry| match entry {
        "pause" => !std::mem::replace(&mut paused, true),
        "resume" => std::mem::replace(&mut paused, false),
        _ => true,
    })
}

// TR-18, TR-19, PR-05, G-23, check 114.
// Seen to fail when a pause came at the mark.
#[test]
fn pause_comes_strictly_above_the_high_mark_and_resume_at_the_low_one() {
    run_on_each(|| async {
        let log = Log::default();
        let sizes = Rc::new(RefCell::new(Vec::new()));
        let seen = sizes.clone();
        let (transport, mut peer) = connected(Noting::new(&log, move |what, transport| {
            if what == "pause" || what == "resume" {
                seen.borrow_mut().push(transport.get_write_buffer_size());
            }
        }))
        .await;
        transport.set_write_buffer_limits(1000, 1000).unwrap();
        // Below what goes by a call of its own: nothing leaves before the turn ends.
        assert!(!transport.write(&[1; 1000]), "at the mark");
        some_turns().await;
        assert_eq!(log.all(), "made");
        assert!(!transport.write(&[1; 999]));
        assert!(transport.write(&[1; 2]), "above it");
        assert!(transport.write(&[1; 2]), "still above it");
        assert_eq!(log.all(), "made", "nothing is called inline");
        log.until_said("resume").await;
        assert_eq!(log.all(), "made pause resume");
        assert!(sizes.borrow()[1] <= 1000);
        // One that does not read: paused once, resumed at the mark and not before.
        sizes.borrow_mut().clear();
        transport.set_write_buffer_limits(300_000, 200_000).unwrap();
        let mut written = 2003;
        while !transport.write(&[1; 10_000]) {
            written += 10_000;
            ringloop::task::yield_now().await;
        }
        written += 10_000;
        for _ in 0..10 {
            transport.write(&[1; 10_000]);
        }
        written += 100_000;
        some_turns().await;
        assert_eq!(log.all(), "made pause resume pause");
        assert!(sizes.borrow()[0] > 300_000);
        let reading = ringloop::spawn(async move { read_to_end(&mut peer).await });
        log.until(|log| log.all().ends_with("resume")).await;
        assert!(sizes.borrow()[1] <= 200_000);
        transport.close();
        assert_eq!(reading.await.unwrap().unwrap().len(), written);
        assert!(alternates(&log));
    });
}

// TR-10, TR-14, check 114.
// Seen to fail when `set_write_buffer_limits` did not look.
#[test]
fn new_marks_and_gathered_writes_are_looked_at_at_once() {
    run_on_each(|| async {
        let log = Log::default();
        let (transport, mut peer) = connected(Noting::quiet(&log)).await;
        assert!(!transport.write(&[1; 8000]));
        transport.set_write_buffer_limits(7999, None).unwrap();
        log.until_said("resume").await;
        assert_eq!(log.all(), "made pause resume");
        assert!(transport.writelines([[1; 4000], [1; 4000]]));
        log.until(|log| log.all().ends_with("pause resume pause resume")).await;
        // A raised low mark is as good as a send.
        transport.set_write_buffer_limits(1000, 0).unwrap();
        let large = vec![1; 8 << 20];
        transport.write(&large);
        log.until(|log| log.all().ends_with("pause")).await;
        some_turns().await;
        let before = log.all();
        transport.set_write_buffer_limits(usize::MAX, usize::MAX).unwrap();
        log.until(|log| log.all() == format!("{before} resume")).await;
        transport.close();
        assert_eq!(read_to_end(&mut peer).await.unwrap().len(), 16_000 + large.len());
    });
}

// TR-19, check 115.
#[test]
fn a_resume_may_write_again_or_to_another_or_close_and_lost_comes_once() {
    run_on_each(|| async {
        let (log, other_log) = (Log::default(), Log::default());
        let (other, mut other_peer) = connected(Noting::quiet(&other_log)).await;
        let rounds = Cell::new(0);
        let (transport, mut peer) = connected(Noting::new(&log, move |what, transport| {
            if what == "resume" {
                rounds.set(rounds.get() + 1);
                assert!(other.write(&[2; 4000]));
                if rounds.get() < 500 {
                    transport.write(&[1; 4000]);
                } else {
                    other.close();
                    transport.close();
                }
            } else if what == "made" {
                other.set_write_buffer_limits(0, 0).unwrap();
                transport.set_write_buffer_limits(0, 0).unwrap();
                transport.write(&[1; 4000]);
            }
        }))
        .await;
        let reading = ringloop::spawn(async move { read_to_end(&mut other_peer).await });
        assert_eq!(read_to_end(&mut peer).await.unwrap().len(), 500 * 4000);
        assert_eq!(reading.await.unwrap().unwrap().len(), 500 * 4000);
        log.until_lost().await;
        other_log.until_lost().await;
        assert_eq!(log.all(), format!("made {}lost", "pause resume ".repeat(500)));
        assert!(alternates(&other_log) && !transport.write(b"x"));
    });
}

// TR-11, PR-04, check 117.
#[test]
fn the_end_of_writing_comes_behind_what_was_written_and_the_peer_may_go_on() {
    run_on_each(|| async {
        let log = Log::default();
        let (transport, mut peer) = connected(Noting::quiet(&log)).await;
        assert!(transport.can_write_eof());
        transport.write(&vec![1; 2 << 20]);
        transport.write(b"end");
        transport.write_eof();
        transport.write_eof();
        let all = read_to_end(&mut peer).await.unwrap();
        assert_eq!((all.len(), &all[2 << 20..]), ((2 << 20) + 3, &b"end"[..]));
        peer.write_all(b"thanks").await.unwrap();
        log.until_received(6).await;
        drop(peer);
        log.until_lost().await;
        assert!(log.all().ends_with("data eof lost"), "{}", log.all());
        transport.write_eof();
    });
}

// TR-08, TR-09, TR-11, checks 113 and 117.
// Seen to fail when the fourth late write was told of.
#[test]
fn writes_that_come_too_late_are_dropped_and_told_of_where_that_is_a_mistake() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        runtime.block_on(async {
            let log = Log::default();
            let (transport, mut peer) = connected(Noting::quiet(&log)).await;
            transport.write(b"x");
            transport.write_eof();
            assert!(!transport.write(b"after the end"));
            let text = told.try_recv().unwrap();
            assert!(text.contains("a write after the end of writing"), "{text}");
            transport.close();
            for write in [Transport::write, |t: &Transport, data: &[u8]| t.writelines([data])] {
                write(&transport, b"late");
                write(&transport, b"late");
            }
            assert!(told.try_recv().is_err(), "four are dropped in silence");
            transport.write_bytes("late");
            let text = told.try_recv().unwrap();
            assert!(text.contains("5 writes were dropped"), "{text}");
            transport.write_eof();
            assert_eq!(read_to_end(&mut peer).await.unwrap(), b"x");
            log.until_lost().await;
            assert_eq!(log.all(), "made lost");
            transport.write(b"late");
            assert!(told.try_recv().unwrap().contains("6 writes"));
        });
        assert!(told.try_recv().is_err());
    });
}
