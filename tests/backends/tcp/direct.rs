//! Bulk where it meets something else: peeks, ends that a send was told, owners, the budget.

use std::cell::RefCell;
use std::io::{ErrorKind, Write};

use bytes::Bytes;
use ringloop::metrics;
use ringloop::net::OwnedReadHalf;

use super::bulk::{amid_bulk, send_bulk};
use super::*;
use crate::support::{self, build, on_each_backend, run_on_each};

// Seen to fail when a peek left bulk as it was: it saw the same bytes for ever.
#[test]
fn a_peek_amid_bulk_sees_what_comes_behind_that_which_is_in_hand() {
    run_on_each(|| async {
        for in_hand in [0, 4000] {
            let (mut ours, mut theirs) = with_std().await;
            let mut position = amid_bulk(&mut ours, &theirs).await;
            if in_hand > 0 {
                theirs.write_all(pattern(position, 1000 + in_hand)).unwrap();
                let mut first = [0; 1000];
                read_exact(&mut ours, &mut first).await.unwrap();
                position = check(&first, position);
            }
            let mut buf = vec![0; in_hand + 50_000];
            let mut sent = in_hand;
            while sent < buf.len() {
                theirs.write_all(pattern(position + sent, 10_000)).unwrap();
                sent += 10_000;
                while ours.peek(&mut buf).await.unwrap() < sent {
                    yield_now().await;
                }
                check(&buf[..sent], position);
            }
            let peer = send_pattern_from(theirs, position + sent, position + (4 << 20));
            let mut last = position;
            loop {
                match ours.read(&mut buf).await.unwrap() {
                    0 => break,
                    n => last = check(&buf[..n], last),
                }
            }
            assert_eq!(last, position + (4 << 20));
            join(peer).await;
        }
    });
}

// Seen to fail when a receive of nothing was an end whatever a send had been told.
#[test]
fn a_reset_that_a_write_was_told_is_no_clean_end_for_a_read() {
    run_on_each(|| async {
        for (bulk, len) in [(false, 10), (false, 64 << 10), (true, 10), (true, 64 << 10)] {
            let (mut ours, theirs) = with_std().await;
            if bulk {
                amid_bulk(&mut ours, &theirs).await;
            }
            reset(&mut ours, theirs).await;
            let error = loop {
                let written = ours.write_all(pattern(0, len)).await;
                if let Err(error) = written.and(ours.flush().await) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            for _ in 0..2 {
                let read = ours.read(&mut vec![0; 64 << 10]).await;
                let error = read.expect_err("a reset was read as an end");
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            }
        }
    });
}

#[test]
fn an_end_before_the_reset_is_an_end_also_after_a_write_that_failed() {
    run_on_each(|| async {
        let (mut ours, theirs) = with_std().await;
        amid_bulk(&mut ours, &theirs).await;
        drop(theirs);
        // The peer's end has come; what is written now meets nobody.
        let error = loop {
            if let Err(error) = ours.write_all(pattern(0, 64 << 10)).await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(ours.read(&mut [0; 100]).await.unwrap(), 0);
    });
}

thread_local! {
    /// What an owner uses as it is dropped, and what came of it.
    static READER: RefCell<Option<OwnedReadHalf>> = const { RefCell::new(None) };
    static ANSWERS: RefCell<Vec<io::Result<usize>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes whose owner reads when it is dropped.
struct Reads(Vec<u8>);

impl AsRef<[u8]> for Reads {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        let Some(mut reader) = READER.take() else { return };
        let mut buf = vec![0; 64 << 10];
        let mut read = Box::pin(reader.read(&mut buf));
        if let Poll::Ready(answer) = support::poll_once(&mut read) {
            ANSWERS.with_borrow_mut(|answers| answers.push(answer));
        }
    }
}

// Seen to fail when `write_piece` dropped what it could not send: the outbox was borrowed.
#[test]
fn an_owner_may_use_the_stream_as_it_is_dropped() {
    run_on_each(|| async {
        for broken in [false, true] {
            let (mut ours, mut theirs) = with_std().await;
            amid_bulk(&mut ours, &theirs).await;
            if broken {
                reset(&mut ours, theirs).await;
            } else {
                theirs.write_all(b"hello").unwrap();
            }
            // The watch has ended.
            until(|| metrics().in_flight == 0).await;
            let (reader, mut writer) = ours.into_split();
            READER.set(Some(reader));
            let bytes = Bytes::from_owner(Reads(vec![7; 20_000]));
            let written = writer.write_bytes(bytes).await;
            assert_eq!(written.is_err(), broken, "{written:?}");
            until(|| ANSWERS.with_borrow(|answers| !answers.is_empty())).await;
            match ANSWERS.take().as_slice() {
                [Ok(5)] => assert!(!broken),
                [Err(error)] => assert!(broken && error.kind() == ErrorKind::ConnectionReset),
                answers => panic!("{answers:?}"),
            }
        }
    });
}

// Seen to fail when `fetch_piece` took a large block whatever the budget said.
#[test]
fn bulk_that_is_kept_beyond_the_budget_goes_on_in_small_pieces() {
    const BUDGET: u64 = 4 << 20;
    on_each_backend(|builder| {
        build(builder.buffer_budget(BUDGET)).block_on(async {
            const LEN: usize = 10 << 20;
            let (mut ours, theirs) = with_std().await;
            let peer = send_bulk(theirs, LEN);
            let (mut kept, mut position, mut large) = (Vec::new(), 0, 0);
            loop {
                let over = metrics().buffered > BUDGET;
                let Some(chunk) = ours.read_chunk().await.unwrap() else { break };
                position = check(&chunk, position);
                large += usize::from(chunk.len() > 16 << 10);
                assert!(!over || chunk.len() <= 16 << 10, "{} bytes beyond it", chunk.len());
                kept.push(chunk);
            }
            assert_eq!(position, LEN);
            assert!(large > 0, "it was never bulk");
            join(peer).await;
        });
    });
}

// Seen to fail when a call was as long as the slice.
#[test]
fn a_call_moves_a_bounded_number_of_bytes() {
    run_on_each(|| async {
        let (mut ours, theirs) = with_std().await;
        let peer = send_bulk(theirs, 64 << 20);
        let (mut position, mut buf) = (0, vec![0; 8 << 20]);
        loop {
            // So that much stands behind the next.
            turns(20).await;
            let before = metrics().direct_calls;
            match ours.read(&mut buf).await.unwrap() {
                0 => break,
                n => {
                    let called = metrics().direct_calls > before;
                    assert!(!called || n <= 1 << 20, "{n} bytes in one call");
                    position = check_long(&buf[..n], position);
                }
            }
        }
        assert_eq!(position, 64 << 20);
        join(peer).await;
    });
}

/// As [`check`], of any length.
fn check_long(bytes: &[u8], position: usize) -> usize {
    bytes.chunks(1 << 19).fold(position, |position, some| check(some, position))
}

// Seen to fail when `poll_take` armed the receive whenever the inbox was empty.
#[test]
fn while_bytes_flow_nothing_is_watched_for() {
    const BUDGET: u64 = 1 << 20;
    on_each_backend(|builder| {
        build(builder.buffer_budget(BUDGET)).block_on(async {
            let (mut ours, mut theirs) = with_std().await;
            let mut position = amid_bulk(&mut ours, &theirs).await;
            // Another one hoards, so that a fetch takes little: there is more behind it.
            let (mut hoard, peer) = with_std().await;
            let peer = send_pattern(peer, 2 << 20);
            let mut kept = Vec::new();
            while let Some(chunk) = hoard.read_chunk().await.unwrap() {
                kept.push(chunk);
            }
            join(peer).await;
            assert!(metrics().buffered > BUDGET);
            theirs.write_all(pattern(position, 10_000)).unwrap();
            // The watch has ended.
            until(|| metrics().in_flight == 0).await;
            for (len, in_flight) in [(4096, 0), (4096, 0), (1808, 1)] {
                let chunk = ours.read_chunk().await.unwrap().unwrap();
                position = check(&chunk, position);
                assert_eq!((chunk.len(), metrics().in_flight), (len, in_flight));
            }
        });
    });
}
