//! The end that is read.

use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use ringloop::net::{PipeReader, pipe};
use ringloop::time::timeout;
use ringloop::{metrics, spawn};

use super::{is_nonblocking, read_pattern};
use crate::support::run_on_each;
use crate::tcp::{check, pattern, poll_once, turns};

#[test]
fn bytes_come_in_order_and_then_the_end() {
    run_on_each(|| async {
        let (mut reader, mut writer) = pipe().unwrap();
        let task = spawn(async move { read_pattern(&mut reader).await.unwrap() });
        let mut position = 0;
        for len in (0..200).map(|i| i * 37 % 5000).chain([65_536, 1 << 20, 1, 300_000]) {
            writer.write_all(pattern(position, len)).await.unwrap();
            position += len;
        }
        drop(writer);
        assert_eq!(task.await.unwrap(), position, "what a dropped writer had taken is lost");
    });
}

#[test]
fn a_read_that_is_dropped_at_every_await_loses_no_byte() {
    run_on_each(|| async {
        let (mut reader, mut writer) = pipe().unwrap();
        let (mut position, mut written) = (0, 0);
        let mut buf = [0; 100];
        for round in 0..300 {
            for _ in 0..round % 4 {
                assert!(poll_once(&mut Box::pin(reader.read(&mut buf))).await.is_pending());
                turns(round % 3).await;
            }
            writer.write_all(pattern(written, 70)).await.unwrap();
            written += 70;
            if round % 2 == 0 {
                writer.flush().await.unwrap();
            }
            turns(round % 3).await;
            while position < written {
                let mut read = Box::pin(reader.read(&mut buf));
                // Polled a few times, then dropped; an answer is an answer.
                for _ in 0..round % 5 {
                    if let std::task::Poll::Ready(n) = poll_once(&mut read).await {
                        drop(read);
                        position = check(&buf[..n.unwrap()], position);
                        read = Box::pin(reader.read(&mut buf));
                        break;
                    }
                    turns(1).await;
                }
                drop(read);
                if position < written {
                    let n = reader.read(&mut buf).await.unwrap();
                    position = check(&buf[..n], position);
                }
            }
        }
        drop(writer);
        assert_eq!(reader.read(&mut buf).await.unwrap(), 0);
        assert_eq!(reader.read(&mut buf).await.unwrap(), 0, "the end stays");
    });
}

#[test]
fn a_reader_that_does_not_read_holds_the_writer_back() {
    run_on_each(|| async {
        let (mut reader, mut writer) = pipe().unwrap();
        // Armed, and dropped.
        assert!(poll_once(&mut Box::pin(reader.read(&mut [0]))).await.is_pending());
        let task = spawn(async move {
            writer.write_all(pattern(0, 1 << 20)).await.unwrap();
            writer.flush().await.unwrap();
        });
        turns(200).await;
        assert!(!task.is_finished(), "a mebibyte went into a pipe that nobody reads");
        assert!(metrics().buffered < 300 << 10, "{} bytes are buffered", metrics().buffered);
        assert_eq!(read_pattern(&mut reader).await.unwrap(), 1 << 20);
        task.await.unwrap();
    });
}

// Seen to fail when a peek looked at what was in hand only.
#[test]
fn a_peek_sees_what_comes_behind_what_is_in_hand_and_takes_nothing() {
    run_on_each(|| async {
        let (mut reader, mut writer) = pipe().unwrap();
        let mut buf = [0; 64];
        for len in 1..=20 {
            writer.write_all(&pattern(0, 20)[len - 1..len]).await.unwrap();
            writer.flush().await.unwrap();
            while reader.peek(&mut buf).await.unwrap() < len {
                ringloop::task::yield_now().await;
            }
            check(&buf[..len], 0);
        }
        assert_eq!(reader.peek(&mut []).await.unwrap(), 0);
        drop(writer);
        assert_eq!(reader.read(&mut buf).await.unwrap(), 20);
        assert_eq!(reader.peek(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn a_chunk_is_lent_and_may_go_into_another_pipe_as_it_is() {
    run_on_each(|| async {
        let (mut reader, mut writer) = pipe().unwrap();
        let (mut second, mut onward) = pipe().unwrap();
        let forward = spawn(async move {
            while let Some(chunk) = reader.read_chunk().await.unwrap() {
                onward.write_chunk(chunk).await.unwrap();
            }
        });
        let count = spawn(async move { read_pattern(&mut second).await.unwrap() });
        for position in (0..1 << 20).step_by(10_007) {
            let len = ((1 << 20) - position).min(10_007);
            writer.write_all(pattern(position, len)).await.unwrap();
        }
        drop(writer);
        forward.await.unwrap();
        assert_eq!(count.await.unwrap(), 1 << 20);
    });
}

#[test]
fn what_was_fetched_goes_along_to_std_and_the_rest_is_still_there() {
    run_on_each(|| async {
        use std::io::Read;
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut reader = PipeReader::from_std(reader).unwrap();
        writer.write_all(b"hello, ").unwrap();
        assert_eq!(reader.read(&mut [0; 2]).await.unwrap(), 2);
        assert!(poll_once(&mut Box::pin(reader.read(&mut [0; 0]))).await.is_ready());
        writer.write_all(b"world").unwrap();
        drop(writer);
        let (mut std, parked) = reader.into_std().await.unwrap();
        let mut all = parked.to_vec();
        std.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"llo, world");
    });
}

#[test]
fn a_pipe_of_ours_blocks_when_std_has_it_and_one_of_somebodys_is_as_it_was() {
    run_on_each(|| async {
        let (reader, writer) = pipe().unwrap();
        let (std, _) = reader.into_std().await.unwrap();
        assert!(!is_nonblocking(&std));
        assert!(!is_nonblocking(&writer.into_std().await.unwrap()));
        for nonblocking in [false, true] {
            let (reader, _writer) = std::os::unix::net::UnixStream::pair().unwrap();
            reader.set_nonblocking(nonblocking).unwrap();
            let other = reader.try_clone().unwrap();
            let mut reader = PipeReader::from_std(reader).unwrap();
            assert!(poll_once(&mut Box::pin(reader.read(&mut [0]))).await.is_pending());
            assert_eq!(is_nonblocking(&other), nonblocking);
            drop(reader.into_std().await.unwrap());
            assert_eq!(is_nonblocking(&other), nonblocking);
        }
    });
}

// Seen to fail when the flags of what was handed over were set.
#[test]
fn a_descriptor_that_blocks_is_read_without_holding_up_the_loop_and_stays_as_it_is() {
    run_on_each(|| async {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let other = reader.try_clone().unwrap();
        let mut reader = PipeReader::from_std(reader).unwrap();
        let nothing = timeout(Duration::from_millis(5), reader.read(&mut [0; 8])).await;
        assert!(nothing.is_err(), "there is nothing to read");
        writer.write_all(b"x").unwrap();
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 1);
        assert!(!is_nonblocking(&other));
    });
}

#[test]
fn a_writer_that_std_holds_may_send_while_nobody_reads() {
    run_on_each(|| async {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut reader = PipeReader::from_std(reader).unwrap();
        let peer = std::thread::spawn(move || {
            for position in (0..1 << 20).step_by(1 << 12) {
                writer.write_all(pattern(position, 1 << 12)).unwrap();
            }
        });
        assert_eq!(read_pattern(&mut reader).await.unwrap(), 1 << 20);
        peer.join().unwrap();
    });
}

#[test]
fn what_is_neither_pipe_nor_socket_nor_character_device_is_refused_in_a_sentence() {
    run_on_each(|| async {
        for (path, what) in [("/proc/self/exe", "a regular file"), ("/", "a directory")] {
            let file = std::fs::File::open(path).unwrap();
            let error = PipeReader::from_std(file).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(what), "{error}");
        }
        let (reader, writer) = std::io::pipe().unwrap();
        let error = PipeReader::from_std(writer).unwrap_err();
        assert!(error.to_string().contains("for writing only"), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = ringloop::net::PipeWriter::from_std(reader).unwrap_err();
        assert!(error.to_string().contains("for reading only"), "{error}");
    });
}

#[test]
fn a_socket_and_a_device_are_read_as_well() {
    run_on_each(|| async {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut reader = PipeReader::from_std(ours).unwrap();
        theirs.write_all(b"hello").unwrap();
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 5);
        drop(theirs);
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
        let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let mut reader = PipeReader::from_std(null).unwrap();
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
        let zero = std::fs::File::open("/dev/zero").unwrap();
        let mut reader = PipeReader::from_std(zero).unwrap();
        let mut buf = [1; 100_000];
        let n = reader.read(&mut buf).await.unwrap();
        assert!(n > 0 && buf[..n].iter().all(|&byte| byte == 0));
    });
}

// Seen to fail when a read did not count as work that was done.
#[test]
fn a_device_that_never_ends_starves_nobody() {
    run_on_each(|| async {
        let zero = std::fs::File::open("/dev/zero").unwrap();
        let mut reader = PipeReader::from_std(zero).unwrap();
        let other = spawn(async {
            for _ in 0..10 {
                ringloop::time::sleep(Duration::from_micros(100)).await;
            }
        });
        let mut buf = vec![0; 1000];
        while !other.is_finished() {
            assert!(reader.read(&mut buf).await.unwrap() > 0);
        }
    });
}
