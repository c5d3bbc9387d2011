//! Descriptors that travel with the bytes.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use ringloop::net::UnixStream;
use ringloop::spawn;

use super::Folder;
use crate::support::run_on_each;
use crate::tcp::{check, pattern, poll_once, turns};

/// Files that know their number.
pub(super) fn numbered(n: u8) -> Vec<File> {
    let folder = Folder::new();
    let one = |number: u8| {
        let path = folder.join(&number.to_string());
        std::fs::write(&path, [number]).unwrap();
        File::open(path).unwrap()
    };
    (0..n).map(one).collect()
}

pub(super) fn borrowed(files: &[File]) -> Vec<BorrowedFd<'_>> {
    files.iter().map(AsFd::as_fd).collect()
}

/// Which files they are.
pub(super) fn numbers(fds: Vec<OwnedFd>) -> Vec<u8> {
    let number = |fd| {
        let (mut file, mut byte) = (File::from(fd), [0]);
        file.rewind().unwrap();
        file.read_exact(&mut byte).unwrap();
        byte[0]
    };
    fds.into_iter().map(number).collect()
}

/// Whether it is closed when another program is run.
fn is_cloexec(fd: &OwnedFd) -> bool {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    i32::from_str_radix(flags.trim(), 8).unwrap() & 0o2000000 != 0
}

// Seen to fail without MSG_CMSG_CLOEXEC.
#[test]
fn descriptors_arrive_in_order_owned_and_close_on_exec() {
    run_on_each(|| async {
        let files = numbered(5);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.send_fds(b"three", &borrowed(&files[..3])).await.unwrap();
        one.send_fds(b"two", &borrowed(&files[3..])).await.unwrap();
        one.send_fds(b"none", &[]).await.unwrap();
        let mut buf = [0; 64];
        let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"three");
        assert!(fds.iter().all(is_cloexec));
        assert_eq!(numbers(fds), [0, 1, 2]);
        let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
        assert_eq!((&buf[..n], numbers(fds)), (&b"two"[..], vec![3, 4]));
        let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
        assert_eq!((&buf[..n], numbers(fds)), (&b"none"[..], vec![]));
        drop(one);
        let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
        assert_eq!((n, fds.len()), (0, 0));
    });
}

// Seen to fail when the outbox was not flushed first.
#[test]
fn descriptors_overtake_no_byte_that_was_written_before_and_none_overtakes_them() {
    const BEFORE: usize = 300_000;
    run_on_each(|| async {
        let files = numbered(1);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let sender = spawn(async move {
            one.write_all(pattern(0, BEFORE)).await.unwrap();
            one.send_fds(pattern(BEFORE, 10), &borrowed(&files)).await.unwrap();
            one.write_all(pattern(BEFORE + 10, 10)).await.unwrap();
        });
        let (mut at, mut came, mut buf) = (0, None, vec![0; 4096]);
        loop {
            let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
            if n == 0 {
                break;
            }
            if !fds.is_empty() {
                assert_eq!(numbers(fds), [0]);
                assert!(came.replace(at..at + n).is_none());
            }
            at = check(&buf[..n], at);
        }
        assert_eq!(at, BEFORE + 20);
        let came = came.unwrap();
        assert!(came.start <= BEFORE && came.end > BEFORE - 4096, "with the bytes at {came:?}");
        sender.await.unwrap();
    });
}

#[test]
fn a_small_slice_gets_the_descriptors_with_the_first_byte() {
    run_on_each(|| async {
        let files = numbered(2);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.send_fds(b"header and body", &borrowed(&files)).await.unwrap();
        let mut buf = [0; 6];
        let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
        assert_eq!((&buf[..n], numbers(fds)), (&b"header"[..], vec![0, 1]));
        let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
        assert_eq!((&buf[..n], fds.len()), (&b" and b"[..], 0));
    });
}

#[test]
fn plain_reads_between_keep_the_descriptors_in_order() {
    run_on_each(|| async {
        let files = numbered(4);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        other.accept_fds().unwrap();
        for (index, word) in ["one", "two", "thr", "fou"].iter().enumerate() {
            let file = &files[index..=index];
            one.send_fds(word.as_bytes(), &borrowed(file)).await.unwrap();
        }
        let mut buf = [0; 3];
        assert_eq!(other.peek(&mut buf).await.unwrap(), 3);
        assert_eq!(&buf, b"one");
        assert_eq!(other.read(&mut buf).await.unwrap(), 3);
        let chunk = other.read_chunk().await.unwrap().unwrap();
        assert_eq!(&chunk[..], b"two");
        let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
        assert_eq!((&buf[..n], numbers(fds)), (&b"thr"[..], vec![0, 1, 2]));
        let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
        assert_eq!((&buf[..n], numbers(fds)), (&b"fou"[..], vec![3]));
        // Nothing is there to read, and an empty slice does not wait.
        let (n, fds) = other.recv_fds(&mut []).await.unwrap();
        assert_eq!((n, fds.len()), (0, 0));
    });
}

#[test]
fn a_peek_grows_and_takes_no_descriptors() {
    run_on_each(|| async {
        let files = numbered(2);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        other.accept_fds().unwrap();
        let mut buf = [0; 16];
        one.send_fds(b"ab", &borrowed(&files[..1])).await.unwrap();
        assert_eq!(other.peek(&mut buf).await.unwrap(), 2);
        one.send_fds(b"cd", &borrowed(&files[1..])).await.unwrap();
        while other.peek(&mut buf).await.unwrap() < 4 {
            turns(1).await;
        }
        assert_eq!(&buf[..4], b"abcd");
        let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
        assert_eq!((&buf[..n], numbers(fds)), (&b"ab"[..], vec![0]));
        let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
        assert_eq!((&buf[..n], numbers(fds)), (&b"cd"[..], vec![1]));
    });
}

#[test]
fn a_dropped_recv_loses_neither_bytes_nor_descriptors() {
    run_on_each(|| async {
        let files = numbered(1);
        for dropped in 0..4 {
            let (mut one, mut other) = UnixStream::pair().unwrap();
            let mut buf = [0; 8];
            let mut recv = Box::pin(other.recv_fds(&mut buf));
            for polls in 0..3 {
                if polls == dropped {
                    break;
                }
                assert!(poll_once(&mut recv).await.is_pending());
                turns(1).await;
            }
            one.send_fds(b"hello", &borrowed(&files)).await.unwrap();
            turns(2).await;
            drop(recv);
            let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
            assert_eq!((&buf[..n], numbers(fds)), (&b"hello"[..], vec![0]));
        }
    });
}

#[test]
fn a_stream_that_takes_descriptors_goes_back_to_std_with_its_bytes() {
    run_on_each(|| async {
        let files = numbered(1);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        other.accept_fds().unwrap();
        one.send_fds(b"first", &borrowed(&files)).await.unwrap();
        let mut buf = [0; 8];
        assert_eq!(other.peek(&mut buf).await.unwrap(), 5);
        // It waits for more, which has to end.
        assert_eq!(other.read(&mut buf[..5]).await.unwrap(), 5);
        assert!(poll_once(&mut Box::pin(other.read(&mut buf))).await.is_pending());
        let (mut std, parked) = other.into_std().await.unwrap();
        assert!(parked.is_empty());
        one.write_all(b"second").await.unwrap();
        one.flush().await.unwrap();
        assert_eq!(std.read(&mut buf).unwrap(), 6);
    });
}

#[test]
fn halves_pass_descriptors_too() {
    run_on_each(|| async {
        let files = numbered(2);
        let (mut one, other) = UnixStream::pair().unwrap();
        let (mut reader, _writer) = other.into_split();
        reader.accept_fds().unwrap();
        let mut buf = [0; 8];
        {
            let (_reader, mut writer) = one.split();
            writer.send_fds(b"a", &borrowed(&files[..1])).await.unwrap();
        }
        let (_reader, mut writer) = one.into_split();
        writer.send_fds(b"b", &borrowed(&files[1..])).await.unwrap();
        for number in [0, 1] {
            let (n, fds) = reader.recv_fds(&mut buf).await.unwrap();
            assert_eq!((n, numbers(fds)), (1, vec![number]));
        }
    });
}

#[test]
fn a_peer_of_plain_bytes_is_read_at_full_speed_and_to_its_end() {
    const LEN: usize = 3_000_000;
    run_on_each(|| async {
        let (mut ours, mut theirs) = super::with_std();
        ours.accept_fds().unwrap();
        let peer = std::thread::spawn(move || {
            for at in (0..LEN).step_by(100_000) {
                theirs.write_all(pattern(at, 100_000)).unwrap();
            }
        });
        let (mut at, mut buf) = (0, vec![0; 20_000]);
        for round in 0.. {
            let n = match round % 3 {
                0 => ours.read(&mut buf).await.unwrap(),
                1 => ours.recv_fds(&mut buf[..5000]).await.unwrap().0,
                _ => {
                    let Some(chunk) = ours.read_chunk().await.unwrap() else { break };
                    at = check(&chunk, at);
                    continue;
                }
            };
            if n == 0 {
                break;
            }
            at = check(&buf[..n], at);
        }
        assert_eq!(at, LEN);
        crate::tcp::join(peer).await;
    });
}
