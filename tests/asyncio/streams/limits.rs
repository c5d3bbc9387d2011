//! How much may wait to be read.

use std::future::poll_fn;
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use ringloop::Builder;
use ringloop::stream::Reader;

use super::{pair, pattern, poll_once, turns, until, with_std};
use crate::support::{build, on_each_backend, run_on_each};

// S-04, check 97.
#[test]
fn a_limit_of_nothing_is_refused_and_the_default_is_64_kib() {
    run_on_each(|| async {
        let ((mut reader, _writer), _peer) = pair().await;
        assert_eq!(reader.limit(), 64 * 1024);
        assert_eq!(reader.set_limit(0).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(reader.limit(), 64 * 1024);
        reader.set_limit(1).unwrap();
        assert_eq!(reader.limit(), 1);
    });
}

/// A peer that writes all of `bytes`, and how many it has written.
fn sending(mut stream: std::net::TcpStream, bytes: Vec<u8>) -> Arc<AtomicUsize> {
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    std::thread::spawn(move || {
        for piece in bytes.chunks(10_000) {
            stream.write_all(piece).unwrap();
            count.fetch_add(piece.len(), Relaxed);
        }
    });
    written
}

/// Turns the loop until a counter stands still for long.
async fn until_still(count: &AtomicUsize) {
    let (mut before, mut still) = (0, 0);
    while still < 1000 || before == 0 {
        turns(1).await;
        let now = count.load(Relaxed);
        still = if now == before { still + 1 } else { 0 };
        before = now;
    }
}

/// Reads what has come, without turning the loop.
async fn parked(reader: &mut Reader, most: usize) -> usize {
    let mut count = 0;
    while count < most {
        let mut buf = vec![0; (most - count).min(8192)];
        let mut reading = Box::pin(reader.read(&mut buf));
        match poll_once(&mut reading).await {
            Poll::Ready(n) => count += n.unwrap(),
            Poll::Pending => break,
        }
    }
    count
}

// S-04, check 97. Seen to fail when the total of an arming does not go by the limit.
#[test]
fn receiving_pauses_above_twice_the_limit_and_goes_on_below_it() {
    on_each_backend(|builder| {
        let mut runtime = build(builder.direct(false));
        let totals = !runtime.backend().to_string().contains("without receive totals");
        runtime.block_on(async {
            for limit in [1000, 20_000, 64 * 1024, 300_000] {
                let all = pattern(20 << 20);
                let ((mut reader, _writer), theirs) = with_std().await;
                reader.set_limit(limit).unwrap();
                let written = sending(theirs, all);
                assert_eq!(reader.read(&mut [0]).await.unwrap(), 1);
                // However slow the peer is: it goes on until that is passed.
                until(|| ringloop::metrics().buffered > limit as u64).await;
                until_still(&written).await;
                assert!(written.load(Relaxed) < 20 << 20, "it is not held back");
                // Above the limit it was not armed again; one arming brings twice that.
                let came = parked(&mut reader, usize::MAX).await;
                assert!(came > limit, "{came} of {limit}");
                // Of older kernels: what the ring has room for, the first time.
                let most = if totals { 3 * limit + 16 * 1024 } else { 3 * limit + (3 << 20) };
                assert!(came <= most, "{came} of {limit}");
                // It goes on when so much has been read that no more than the limit is left.
                let mut again = 0;
                while again == 0 {
                    turns(1).await;
                    again = parked(&mut reader, 1).await;
                }
            }
        });
    });
}

// S-04, S-07: a reader who needs more than what may be parked gets it.
#[test]
fn a_line_of_single_bytes_comes_whole_however_many_they_are() {
    run_on_each(|| async {
        let ((mut reader, _writer), mut theirs) = with_std().await;
        theirs.set_nodelay(true).unwrap();
        let reading = ringloop::spawn(async move {
            let mut line = String::new();
            reader.read_line(&mut line).await.map(|_| line)
        });
        for i in 0..5000u32 {
            theirs.write_all(&[b'a' + (i % 26) as u8]).unwrap();
            turns(1).await;
        }
        theirs.write_all(b"\n").unwrap();
        let line = reading.await.unwrap().unwrap();
        assert_eq!(line.len(), 5001);
        assert!(line.bytes().take(5000).enumerate().all(|(i, b)| b == b'a' + (i % 26) as u8));
    });
}

// Seen to hang when nothing is received over the budget while something is parked.
#[test]
fn a_line_comes_whole_where_others_have_used_up_all_memory() {
    on_each_backend(|builder: &mut Builder| {
        build(builder.buffer_budget(1 << 20)).block_on(async {
            // Kept leases: more than the budget.
            let ((mut hoarder, _w), (_r, source)) = pair().await;
            let mut kept = Vec::new();
            let mut bytes = 0;
            while bytes < 3 << 20 {
                source.write(&[1; 256 * 1024]).unwrap();
                let lease = hoarder.read_chunk().await.unwrap().unwrap();
                bytes += lease.len();
                kept.push(lease);
            }
            let ((mut reader, _writer), mut theirs) = with_std().await;
            let reading = ringloop::spawn(async move {
                let mut line = String::new();
                reader.read_line(&mut line).await.map(|_| line)
            });
            let text = "x".repeat(60_000);
            for piece in text.as_bytes().chunks(7000) {
                theirs.write_all(piece).unwrap();
                turns(3).await;
            }
            theirs.write_all(b"\n").unwrap();
            assert_eq!(reading.await.unwrap().unwrap().len(), 60_001);
            drop(kept);
        });
    });
}

// Seen to hang when nothing more was fetched, and when it was not watched for, behind what is parked.
// Bulk: lines and records of a stream that is fetched by calls, over the borders of its pieces.
#[test]
fn lines_of_bulk_are_whole_and_in_order() {
    run_on_each(|| async {
        let ((mut reader, _writer), mut theirs) = with_std().await;
        let sending = std::thread::spawn(move || {
            let mut text = String::new();
            for i in 0..100_000u32 {
                text += &format!("{i} {}\n", "-".repeat((i * 7919 % 97) as usize));
            }
            theirs.write_all(text.as_bytes()).unwrap();
        });
        let (mut lines, mut count) = (reader.lines(), 0u32);
        while let Some(line) = lines.next_line().await.unwrap() {
            let (number, rest) = line.split_once(' ').unwrap();
            assert_eq!(number.parse(), Ok(count));
            assert_eq!(rest.len(), (count * 7919 % 97) as usize);
            count += 1;
        }
        assert_eq!(count, 100_000);
        until(|| sending.is_finished()).await;
        sending.join().unwrap();
    });
}

// Bulk: exact reads of every size, those above the limit among them, dropped now and then.
#[test]
fn exact_reads_of_bulk_are_whole_and_in_order_also_when_some_are_dropped() {
    run_on_each(|| async {
        let all = pattern(24 << 20);
        let ((mut reader, _writer), theirs) = with_std().await;
        let written = sending(theirs, all.clone());
        let (mut at, mut size) = (0, 1);
        while at < all.len() {
            size = (size * 31 + 7) % 200_000 + 1;
            let n = size.min(all.len() - at);
            let mut buf = vec![0; n];
            if size % 3 == 0 {
                let mut reading = Box::pin(reader.read_exact(&mut buf));
                let mut polls = 0;
                let done = poll_fn(|cx| {
                    polls += 1;
                    match reading.as_mut().poll(cx) {
                        Poll::Ready(read) => Poll::Ready(read.map(|()| true)),
                        Poll::Pending if polls == 2 => Poll::Ready(Ok(false)),
                        Poll::Pending => Poll::Pending,
                    }
                });
                let done = done.await.unwrap();
                drop(reading);
                if done {
                    assert!(buf == all[at..at + n], "at {at}");
                    at += n;
                }
                continue;
            }
            reader.read_exact(&mut buf).await.unwrap();
            assert!(buf == all[at..at + n], "at {at}");
            at += n;
        }
        until(|| written.load(Relaxed) == all.len()).await;
    });
}
