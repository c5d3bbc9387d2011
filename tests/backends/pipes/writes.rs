//! The end that is written.

use std::io::{ErrorKind, IoSlice, Read};
use std::time::Duration;

use bytes::Bytes;
use ringloop::net::{PipeWriter, pipe};
use ringloop::time::{sleep, timeout};
use ringloop::{Builder, metrics, spawn};

use super::{is_nonblocking, read_pattern};
use crate::support::{build, on_each_backend, run_on_each};
use crate::tcp::{check, pattern, poll_once, turns, until};

/// Fills the pipe, and the outbox behind it.
async fn fill(writer: &mut PipeWriter) {
    let mut write = Box::pin(writer.write_all(pattern(0, 1 << 20)));
    for _ in 0..8 {
        assert!(poll_once(&mut write).await.is_pending(), "the pipe has no end");
        turns(1).await;
    }
}

// Seen to fail when each write was a call of its own.
#[test]
fn what_gathers_in_a_turn_leaves_by_one_call() {
    run_on_each(|| async {
        let (mut reader, mut writer) = pipe().unwrap();
        // The first call finds out what the kernel can.
        writer.write_all(pattern(0, 10)).await.unwrap();
        writer.flush().await.unwrap();
        let before = metrics().direct_calls;
        for i in 1..100 {
            writer.write_all(pattern(i * 10, 10)).await.unwrap();
        }
        writer.write_bytes(Bytes::from(pattern(1000, 10).to_vec())).await.unwrap();
        writer.flush().await.unwrap();
        assert_eq!(metrics().direct_calls - before, 1);
        drop(writer);
        assert_eq!(read_pattern(&mut reader).await.unwrap(), 1010);
    });
}

#[test]
fn a_write_that_is_dropped_sends_a_prefix_and_the_next_comes_behind_it() {
    run_on_each(|| async {
        for polls in 0..6 {
            let (mut reader, mut writer) = pipe().unwrap();
            let bytes = pattern(0, 1 << 20).to_vec();
            let mut write = Box::pin(writer.write_all(&bytes));
            for _ in 0..polls {
                assert!(poll_once(&mut write).await.is_pending());
                turns(1).await;
            }
            drop(write);
            drop(bytes);
            let last = spawn(async move {
                writer.write_all(b"the end").await.unwrap();
                writer.close().await.unwrap();
            });
            let mut all = Vec::new();
            while let Some(chunk) = reader.read_chunk().await.unwrap() {
                all.extend_from_slice(&chunk);
            }
            last.await.unwrap();
            let all = all.strip_suffix(b"the end").expect("what was written last comes last");
            check(all, 0);
        }
    });
}

#[test]
fn a_dropped_writer_flushes_in_the_background_and_an_aborted_one_does_not() {
    run_on_each(|| async {
        let (mut reader, mut writer) = pipe().unwrap();
        fill(&mut writer).await;
        let buffered = metrics().buffered;
        drop(writer);
        let all = read_pattern(&mut reader).await.unwrap();
        assert!(all > 64 << 10, "{all} of {buffered} bytes and more");

        let (mut reader, mut writer) = pipe().unwrap();
        fill(&mut writer).await;
        writer.abort();
        let some = read_pattern(&mut reader).await.unwrap();
        assert!(some < all, "what was discarded went all the same");
    });
}

#[test]
fn a_dropped_writer_whose_reader_stalls_is_given_up_after_its_time() {
    on_each_backend(|builder| {
        build(builder.linger(Duration::from_millis(20))).block_on(async {
            let (mut reader, mut writer) = pipe().unwrap();
            fill(&mut writer).await;
            drop(writer);
            until(|| metrics().in_flight == 0).await;
            read_pattern(&mut reader).await.unwrap();
        });
    });
}

#[test]
fn the_end_of_the_runtime_flushes_and_then_gives_up() {
    on_each_backend(|builder: &mut Builder| {
        for stalls in [false, true] {
            let (mut reader, writer) = std::io::pipe().unwrap();
            let mut runtime =
                build(builder.grace(Duration::from_millis(if stalls { 20 } else { 20_000 })));
            runtime.block_on(async {
                let mut writer = PipeWriter::from_std(writer).unwrap();
                fill(&mut writer).await;
            });
            let peer = (!stalls).then(|| {
                let reader = reader.try_clone().unwrap();
                std::thread::spawn(move || read_all(reader))
            });
            drop(runtime);
            match peer {
                Some(peer) => assert!(peer.join().unwrap() > 64 << 10),
                None => {
                    let mut some = vec![0; 1 << 16];
                    let n = reader.read(&mut some).unwrap();
                    check(&some[..n], 0);
                }
            }
        }
    });
}

fn read_all(mut from: impl Read) -> usize {
    let mut all = Vec::new();
    from.read_to_end(&mut all).unwrap();
    check(&all, 0)
}

#[test]
fn a_writer_learns_that_its_reader_has_gone_without_writing() {
    run_on_each(|| async {
        for full in [false, true] {
            let (reader, mut writer) = pipe().unwrap();
            if full {
                fill(&mut writer).await;
            }
            assert!(poll_once(&mut Box::pin(writer.closed())).await.is_pending());
            let early = timeout(Duration::from_millis(2), writer.closed()).await;
            assert!(early.is_err(), "the reader is there");
            drop(reader);
            writer.closed().await.unwrap();
            writer.closed().await.unwrap();
        }
    });
}

#[test]
fn a_pipe_without_a_reader_is_broken_for_every_kind_of_write() {
    run_on_each(|| async {
        let broken = |result: std::io::Result<()>| {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::BrokenPipe);
        };
        let (reader, mut writer) = pipe().unwrap();
        drop(reader);
        writer.closed().await.unwrap();
        writer.write_all(b"small").await.unwrap();
        broken(writer.flush().await);
        broken(writer.write_all(b"x").await);
        broken(writer.write_bytes(Bytes::from_static(b"x")).await);
        broken(writer.write_vectored(&[IoSlice::new(b"x")]).await.map(drop));
        broken(writer.flush().await);
        broken(writer.close().await);
        let (reader, mut writer) = pipe().unwrap();
        drop(reader);
        writer.closed().await.unwrap();
        broken(writer.write_all(pattern(0, 100_000)).await);
    });
}

#[test]
fn a_writer_that_waits_for_room_learns_that_its_reader_has_gone() {
    run_on_each(|| async {
        let (reader, mut writer) = pipe().unwrap();
        let task = spawn(async move { writer.write_all(pattern(0, 1 << 20)).await });
        turns(20).await;
        assert!(!task.is_finished());
        drop(reader);
        assert_eq!(task.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

// Seen to fail when a blocking pipe was written as it is: the timer came when the reader did.
#[test]
fn a_descriptor_that_blocks_and_is_full_does_not_hold_up_the_loop_and_stays_as_it_is() {
    run_on_each(|| async {
        let (reader, writer) = std::io::pipe().unwrap();
        let other = writer.try_clone().unwrap();
        let mut writer = PipeWriter::from_std(writer).unwrap();
        let task = spawn(async move {
            writer.write_all(pattern(0, 1 << 20)).await.unwrap();
            writer.close().await.unwrap();
        });
        for _ in 0..5 {
            sleep(Duration::from_millis(1)).await;
            assert!(!task.is_finished());
        }
        assert!(!is_nonblocking(&other));
        drop(other);
        let peer = std::thread::spawn(move || read_all(reader));
        task.await.unwrap();
        // The close has been handed over, or the peer waits for it, and we for the peer.
        until(|| metrics().in_flight == 0).await;
        assert_eq!(peer.join().unwrap(), 1 << 20);
    });
}

#[test]
fn slices_go_in_order_as_far_as_there_is_room() {
    run_on_each(|| async {
        let (mut reader, mut writer) = pipe().unwrap();
        let slices = [pattern(0, 10), pattern(10, 0), pattern(10, 90_000), pattern(90_010, 10)];
        let slices = slices.map(IoSlice::new);
        let n = writer.write_vectored(&slices).await.unwrap();
        assert!((10_000..=90_020).contains(&n), "{n}");
        assert_eq!(writer.write_vectored(&[]).await.unwrap(), 0);
        drop(writer);
        assert_eq!(read_pattern(&mut reader).await.unwrap(), n);
    });
}

#[test]
fn a_socket_and_a_device_are_written_as_well() {
    run_on_each(|| async {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut writer = PipeWriter::from_std(ours).unwrap();
        writer.write_all(b"hello").await.unwrap();
        writer.close().await.unwrap();
        until(|| metrics().in_flight == 0).await;
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"hello");
        let null = std::fs::File::create("/dev/null").unwrap();
        let mut writer = PipeWriter::from_std(null).unwrap();
        writer.write_all(pattern(0, 1 << 20)).await.unwrap();
        let full = std::fs::File::create("/dev/full").unwrap();
        let mut full = PipeWriter::from_std(full).unwrap();
        full.write_all(b"x").await.unwrap();
        assert_eq!(full.flush().await.unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    });
}
