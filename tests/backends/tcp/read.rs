//! Reading: what arrives belongs to the stream, not to the call.

use std::io::Write;
use std::pin::pin;

use super::*;
use crate::support::run_on_each;

#[test]
fn bytes_that_came_while_nobody_read_are_read_later() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        theirs.write_all(pattern(0, 1000)).unwrap();
        let mut some = [0; 10];
        read_exact(&mut ours, &mut some).await.unwrap();
        check(&some, 0);
        // The rest, and what comes now, is parked.
        theirs.write_all(pattern(1000, 1000)).unwrap();
        turns(200).await;
        drop(theirs);
        turns(200).await;
        let mut rest = vec![0; 1990];
        read_exact(&mut ours, &mut rest).await.unwrap();
        check(&rest, 10);
        assert_eq!(ours.read(&mut some).await.unwrap(), 0);
    });
}

#[test]
fn a_dropped_read_loses_no_byte() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        let mut buf = [0; 64];
        {
            let mut read = pin!(ours.read(&mut buf));
            assert!(poll_once(&mut read).await.is_pending());
        }
        {
            let mut read = pin!(ours.read_chunk());
            assert!(poll_once(&mut read).await.is_pending());
        }
        {
            let mut peek = pin!(ours.peek(&mut buf));
            assert!(poll_once(&mut peek).await.is_pending());
            // It arrives, and wakes the peek, which is dropped before it looks.
            theirs.write_all(pattern(0, 40)).unwrap();
            until(|| ringloop::metrics().buffered > 0).await;
        }
        let n = ours.read(&mut buf).await.unwrap();
        assert_eq!(check(&buf[..n], 0), 40);
    });
}

#[test]
fn a_thousand_dropped_reads_lose_and_repeat_no_byte() {
    const LEN: usize = 60_000_000;
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        let peer = std::thread::spawn(move || {
            let (mut sent, mut numbers) = (0, Numbers::new(7));
            while sent < LEN {
                let some = pattern(sent, (1 + numbers.below(6000)).min(LEN - sent));
                theirs.write_all(some).unwrap();
                sent += some.len();
            }
        });
        let (mut position, mut dropped, mut numbers) = (0, 0, Numbers::new(3));
        let mut buf = vec![0; 8192];
        loop {
            let into = numbers.below(8191) + 1;
            let polls = numbers.below(3);
            let got = match numbers.below(3) {
                0 => some_polls(polls, pin!(ours.read(&mut buf[..into]))).await,
                1 => match some_polls(polls, pin!(ours.read_chunk())).await {
                    Some(chunk) => {
                        let chunk = chunk.unwrap();
                        let chunk = chunk.as_deref().unwrap_or_default();
                        buf.resize(buf.len().max(chunk.len()), 0);
                        buf[..chunk.len()].copy_from_slice(chunk);
                        Some(Ok(chunk.len()))
                    }
                    None => None,
                },
                _ => {
                    let peeked = some_polls(polls, pin!(ours.peek(&mut buf[..into]))).await;
                    if let Some(peeked) = peeked {
                        check(&buf[..peeked.unwrap()], position);
                        continue;
                    }
                    None
                }
            };
            match got.transpose().unwrap() {
                None => dropped += 1,
                Some(0) => break,
                Some(n) => position = check(&buf[..n], position),
            }
        }
        assert_eq!(position, LEN);
        assert!(dropped >= 1000, "only {dropped} reads were dropped");
        join(peer).await;
    });
}

/// Polls at most `polls` times, a turn apart; then the caller drops it.
async fn some_polls<F: Future>(polls: usize, mut future: Pin<&mut F>) -> Option<F::Output> {
    for _ in 0..polls {
        if let Poll::Ready(output) = poll_once(&mut future).await {
            return Some(output);
        }
        yield_now().await;
    }
    None
}

#[test]
fn the_end_is_told_again_and_again() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        theirs.write_all(b"last").unwrap();
        drop(theirs);
        let mut buf = [0; 16];
        assert_eq!(ours.read(&mut buf).await.unwrap(), 4);
        for _ in 0..3 {
            assert_eq!(ours.read(&mut buf).await.unwrap(), 0);
            assert_eq!(ours.peek(&mut buf).await.unwrap(), 0);
            assert!(ours.read_chunk().await.unwrap().is_none());
        }
    });
}

#[test]
fn an_empty_buffer_reads_nothing_and_does_not_wait() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        assert_eq!(ours.read(&mut []).await.unwrap(), 0, "before anything came");
        assert_eq!(ours.peek(&mut []).await.unwrap(), 0);
        theirs.write_all(b"x").unwrap();
        assert_eq!(ours.peek(&mut [0]).await.unwrap(), 1);
        assert_eq!(ours.read(&mut []).await.unwrap(), 0, "beside a parked byte");
        assert_eq!(ours.read(&mut [0]).await.unwrap(), 1);
    });
}

#[test]
fn peeked_bytes_stay_to_be_read_also_across_pieces() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        let mut buf = vec![0; 5000];
        // Small pieces, each in a lease of its own.
        let mut seen = 0;
        for piece in 0..5 {
            theirs.write_all(pattern(piece * 1000, 1000)).unwrap();
            while seen < (piece + 1) * 1000 {
                seen = ours.peek(&mut buf).await.unwrap();
                check(&buf[..seen], 0);
                yield_now().await;
            }
        }
        let mut at_1500 = vec![0; 1500];
        read_exact(&mut ours, &mut at_1500).await.unwrap();
        check(&at_1500, 0);
        assert_eq!(ours.peek(&mut buf).await.unwrap(), 3500);
        check(&buf[..3500], 1500);
        let chunk = ours.read_chunk().await.unwrap().unwrap();
        let position = check(&chunk, 1500);
        assert_eq!(position, 2000, "the rest of the second piece");
        let n = ours.read(&mut buf).await.unwrap();
        assert_eq!(check(&buf[..n], position), 5000);
    });
}

#[test]
fn one_byte_at_a_time_out_of_many_leases() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        let mut buf = vec![0; 4000];
        for piece in 0..100 {
            theirs.write_all(pattern(piece * 40, 40)).unwrap();
            while ours.peek(&mut buf).await.unwrap() < (piece + 1) * 40 {
                yield_now().await;
            }
        }
        for position in 0..4000 {
            let mut one = [0];
            assert_eq!(ours.read(&mut one).await.unwrap(), 1);
            check(&one, position);
        }
        assert_eq!(ringloop::metrics().buffered, 0, "empty leases are held on to");
    });
}

#[test]
fn a_stream_of_leases_that_are_split_and_kept_stays_whole() {
    const LEN: usize = 1_000_000;
    run_on_each(|| async {
        let (mut ours, theirs) = with_std().await;
        let peer = send_pattern(theirs, LEN);
        let (mut kept, mut numbers) = (Vec::new(), Numbers::new(5));
        while let Some(mut chunk) = ours.read_chunk().await.unwrap() {
            while !chunk.is_empty() {
                kept.push(chunk.split_to((1 + numbers.below(5000)).min(chunk.len())));
            }
        }
        let mut position = 0;
        for lease in &kept {
            position = check(lease, position);
        }
        assert_eq!(position, LEN);
        drop(kept);
        assert_eq!(ringloop::metrics().buffered, 0);
        join(peer).await;
    });
}
