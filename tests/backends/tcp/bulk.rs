//! Bulk: large pieces go by calls of their own, and nobody sees a difference.

use std::io::Write;
use std::time::Duration;

use ringloop::metrics;
use ringloop::time::timeout;

use super::*;
use crate::support::{build, on_each_backend, run_on_each};

const LEN: usize = 24 << 20;

/// As [`send_pattern`], and from the start the kernel has all that it takes: there is more behind every
/// piece, however slow the peer.
pub(crate) fn send_bulk(
    mut stream: std::net::TcpStream,
    len: usize,
) -> std::thread::JoinHandle<()> {
    stream.set_nonblocking(true).unwrap();
    let mut position = 0;
    while position < len {
        match stream.write(pattern(position, (len - position).min(64 << 10))) {
            Ok(n) => position += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_nonblocking(false).unwrap();
    send_pattern_from(stream, position, len)
}

/// Reads `stream` by the call that `way` names, in turn, and checks each byte; how many there were.
async fn read_by(stream: &mut TcpStream, way: impl Fn(usize) -> usize) -> usize {
    let (mut position, mut buf) = (0, vec![0; 300_000]);
    for turn in 0.. {
        let n = match way(turn) {
            0 => match stream.read_chunk().await.unwrap() {
                Some(chunk) => {
                    position = check(&chunk, position);
                    continue;
                }
                None => 0,
            },
            1 => {
                let n = stream.peek(&mut buf[..100]).await.unwrap();
                check(&buf[..n], position);
                continue;
            }
            size => stream.read(&mut buf[..size]).await.unwrap(),
        };
        if n == 0 {
            return position;
        }
        position = check(&buf[..n], position);
    }
    unreachable!("it ends with the stream")
}

// Seen to fail when `fetch_into` does not ask whether the inbox is empty.
#[test]
fn bulk_is_read_in_order_by_every_kind_of_read_and_the_kinds_may_change() {
    run_on_each(|| async {
        let small = |_| 100;
        let large = |_| 300_000;
        let lent = |_| 0;
        let mixed = |turn: usize| [0, 300_000, 1, 20_000, 5000, 0, 1, 16 << 10, 64 << 10][turn % 9];
        let ways: [&dyn Fn(usize) -> usize; 4] = [&small, &large, &lent, &mixed];
        for (number, way) in ways.into_iter().enumerate() {
            let len = if number == 0 { LEN / 8 } else { LEN };
            let (mut ours, theirs) = with_std().await;
            let peer = send_bulk(theirs, len);
            let before = metrics().direct_calls;
            assert_eq!(read_by(&mut ours, way).await, len);
            join(peer).await;
            // Small reads have the sender wait, and a peek ends bulk: there it may never be.
            let called = metrics().direct_calls > before;
            assert!(![1, 2].contains(&number) || called, "way {number} was no bulk");
        }
    });
}

// Seen to fail when `note` never says that a piece was full.
#[test]
fn bulk_goes_by_calls_of_its_own_and_without_the_option_by_none() {
    on_each_backend(|builder| {
        for direct in [true, false] {
            let mut runtime = build(builder.clone().direct(direct));
            let calls = runtime.block_on(async {
                let (mut ours, theirs) = with_std().await;
                let peer = send_bulk(theirs, LEN);
                assert_eq!(read_by(&mut ours, |_| 64 << 10).await, LEN);
                join(peer).await;
                let fetched = metrics().direct_calls;
                let (mut ours, mut theirs) = with_std().await;
                let peer = std::thread::spawn(move || drain_pattern(&mut theirs).unwrap());
                let mut position = 0;
                while position < LEN {
                    ours.write_all(pattern(position, 100_000)).await.unwrap();
                    // What did not go at once is gone: the next goes by a call again.
                    ours.flush().await.unwrap();
                    position += 100_000;
                }
                drop(ours);
                assert_eq!(join(peer).await, position);
                [fetched, metrics().direct_calls - fetched]
            });
            for calls in calls {
                assert!(if direct { calls > 100 } else { calls == 0 }, "{calls} direct calls");
            }
        }
    });
}

#[test]
fn small_messages_after_bulk_come_by_themselves_again() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        let peer = send_bulk(theirs.try_clone().unwrap(), LEN);
        let (mut position, mut buf) = (0, vec![0; 64 << 10]);
        while position < LEN {
            let n = ours.read(&mut buf).await.unwrap();
            position = check(&buf[..n], position);
        }
        join(peer).await;
        assert!(metrics().direct_calls > 0, "it was no bulk");
        for _ in 0..20 {
            theirs.write_all(b"small").unwrap();
            assert_eq!(ours.read(&mut buf).await.unwrap(), 5);
        }
        let before = metrics().direct_calls;
        for _ in 0..20 {
            theirs.write_all(b"small").unwrap();
            assert_eq!(ours.read(&mut buf).await.unwrap(), 5);
        }
        assert_eq!(metrics().direct_calls, before);
    });
}

// Seen to fail when `fetch_piece` drops what it fetched.
#[test]
fn reads_that_are_dropped_or_forgotten_amid_bulk_lose_no_byte() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        let peer = std::thread::spawn(move || {
            let mut position = 0;
            for burst in 0..600 {
                let some = pattern(position, 1 + burst * 997 % 50_000);
                theirs.write_all(some).unwrap();
                position += some.len();
            }
            position
        });
        let (mut position, mut buf) = (0, vec![0; 40_000]);
        let mut turn = 0;
        loop {
            turn += 1;
            if turn % 3 == 0 {
                let mut read = Box::pin(ours.read(&mut buf));
                match poll_once(&mut read).await {
                    Poll::Ready(Ok(0)) => break,
                    Poll::Ready(n) => {
                        drop(read);
                        position = check(&buf[..n.unwrap()], position);
                    }
                    // Only the box is forgotten; what it borrows is used again.
                    Poll::Pending if turn % 2 == 0 => std::mem::forget(read),
                    Poll::Pending => drop(read),
                }
            } else if turn % 3 == 1 {
                match timeout(Duration::ZERO, ours.read_chunk()).await {
                    Ok(Ok(Some(chunk))) => position = check(&chunk, position),
                    Ok(end) => {
                        assert!(end.unwrap().is_none());
                        break;
                    }
                    Err(_) => {}
                }
            } else {
                match ours.read(&mut buf).await.unwrap() {
                    0 => break,
                    n => position = check(&buf[..n], position),
                }
            }
        }
        assert_eq!(position, join(peer).await);
    });
}

/// A stream that is amid bulk: what it has read.
pub(crate) async fn amid_bulk(ours: &mut TcpStream, theirs: &std::net::TcpStream) -> usize {
    let peer = send_bulk(theirs.try_clone().unwrap(), 4 << 20);
    let (mut position, mut buf, before) = (0, vec![0; 64 << 10], metrics().direct_calls);
    while position < 4 << 20 {
        let n = ours.read(&mut buf).await.unwrap();
        position = check(&buf[..n], position);
    }
    join(peer).await;
    assert!(poll_once(&mut Box::pin(ours.read(&mut buf))).await.is_pending());
    assert!(metrics().direct_calls > before, "it is not bulk");
    position
}

#[test]
fn the_end_of_a_bulk_stream_reaches_a_reader_that_waits() {
    run_on_each(|| async {
        for abrupt in [false, true] {
            let (mut ours, theirs) = with_std().await;
            amid_bulk(&mut ours, &theirs).await;
            let (mut reader, mut writer) = ours.into_split();
            let reader = ringloop::spawn(async move { reader.read(&mut [0; 20_000]).await });
            turns(3).await;
            if abrupt {
                writer.write_all(b"unread").await.unwrap();
                writer.flush().await.unwrap();
                theirs.peek(&mut [0]).unwrap();
            }
            drop(theirs);
            match reader.await.unwrap() {
                Ok(n) => assert!(n == 0 && !abrupt),
                Err(error) => assert!(abrupt && error.kind() == io::ErrorKind::ConnectionReset),
            }
        }
    });
}

#[test]
fn a_bulk_stream_given_to_std_has_every_byte_that_nobody_read() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        let position = amid_bulk(&mut ours, &theirs).await;
        theirs.write_all(pattern(position, 1000)).unwrap();
        ours.peek(&mut [0; 10]).await.unwrap();
        theirs.write_all(pattern(position + 1000, 30_000)).unwrap();
        drop(theirs);
        let (mut std, parked) = ours.into_std().await.unwrap();
        let mut rest = parked.to_vec();
        std.read_to_end(&mut rest).unwrap();
        check(&rest, position);
        assert_eq!(rest.len(), 31_000);
    });
}

#[test]
fn large_writes_to_a_peer_that_does_not_read_wait_for_it_and_keep_their_order() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        let writer = ringloop::spawn(async move {
            let mut position = 0;
            for turn in 0..2000 {
                let some = pattern(position, [50_000, 10, 16 << 10, 3000][turn % 4]);
                ours.write_all(some).await.unwrap();
                position += some.len();
            }
            position
        });
        turns(100).await;
        assert!(!writer.is_finished(), "nobody reads");
        let peer = std::thread::spawn(move || drain_pattern(&mut theirs).unwrap());
        assert_eq!(writer.await.unwrap(), join(peer).await);
    });
}

#[test]
fn bulk_readers_give_each_other_their_turns() {
    run_on_each(|| async {
        let mut peers = Vec::new();
        let mut readers = Vec::new();
        for _ in 0..4 {
            let (mut ours, theirs) = with_std().await;
            peers.push(send_bulk(theirs, LEN));
            readers.push(ringloop::spawn(async move {
                let (mut position, mut buf, mut most) = (0, vec![0; 64 << 10], 0);
                let mut turn = (metrics().turns, 0);
                loop {
                    let n = ours.read(&mut buf).await.unwrap();
                    if n == 0 {
                        return (position, most);
                    }
                    position = check(&buf[..n], position);
                    let now = metrics().turns;
                    turn = if turn.0 == now { (now, turn.1 + n) } else { (now, n) };
                    most = most.max(turn.1);
                }
            }));
        }
        for reader in readers {
            let (position, most) = reader.await.unwrap();
            assert_eq!(position, LEN);
            assert!(most <= 5 << 20, "{most} bytes in one turn");
        }
        for peer in peers {
            join(peer).await;
        }
    });
}
