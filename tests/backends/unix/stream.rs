//! Bytes between two ends.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;

use bytes::Bytes;
use ringloop::net::UnixStream;
use ringloop::{metrics, spawn};

use super::with_std;
use crate::support::{on_each_backend, run_on_each};
use crate::tcp::{check, join, pattern, poll_once, races, turns};

async fn read_to_end(stream: &mut UnixStream) -> Vec<u8> {
    let (mut all, mut buf) = (Vec::new(), vec![0; 1 << 14]);
    loop {
        match stream.read(&mut buf).await.unwrap() {
            0 => return all,
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

#[test]
fn large_transfers_both_ways_at_once_keep_every_byte() {
    const LEN: usize = 5_000_000;
    run_on_each(|| async {
        let (one, other) = UnixStream::pair().unwrap();
        let end = |stream: UnixStream| async move {
            let (mut reader, mut writer) = stream.into_split();
            let writes = spawn(async move {
                let mut at = 0;
                while at < LEN {
                    let some = pattern(at, (LEN - at).min(10_000 + at % 70_000));
                    writer.write_all(some).await.unwrap();
                    at += some.len();
                }
                writer.shutdown().await.unwrap();
            });
            let (mut at, mut chunks) = (0, 0);
            while let Some(chunk) = reader.read_chunk().await.unwrap() {
                at = check(&chunk, at);
                chunks += 1;
            }
            writes.await.unwrap();
            (at, chunks)
        };
        let (one, other) = (spawn(end(one)), spawn(end(other)));
        for end in [one, other] {
            let (len, chunks) = end.await.unwrap();
            assert_eq!(len, LEN);
            assert!(chunks > 0);
        }
    });
}

// liburing #1549: a multishot receive loses the end where the bytes and the shutdown come at once.
#[test]
fn the_end_that_follows_the_bytes_at_once_is_not_lost() {
    run_on_each(|| async {
        for round in 0..races(300) {
            let (mut ours, mut theirs) = with_std();
            // The receive is armed.
            let mut buf = [0; 200];
            assert!(poll_once(&mut Box::pin(ours.read(&mut buf))).await.is_pending());
            turns(round % 3).await;
            let peer = std::thread::spawn(move || {
                theirs.write_all(&[7; 123]).unwrap();
                theirs.shutdown(Shutdown::Write).unwrap();
                theirs
            });
            assert_eq!(read_to_end(&mut ours).await, [7; 123]);
            drop(join(peer).await);
        }
    });
}

#[test]
fn every_way_to_write_keeps_the_order() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std();
        theirs.write_all(b"lent ").unwrap();
        let lease = ours.read_chunk().await.unwrap().unwrap();
        ours.write_all(b"copied ").await.unwrap();
        ours.write_bytes(Bytes::from_static(b"owned ")).await.unwrap();
        ours.write_chunk(lease).await.unwrap();
        let slices = [IoSlice::new(b"in "), IoSlice::new(b""), IoSlice::new(b"pieces")];
        assert_eq!(ours.write_vectored(&slices).await.unwrap(), 9);
        ours.flush().await.unwrap();
        let mut got = [0; 27];
        theirs.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"copied owned lent in pieces");
    });
}

#[test]
fn a_peek_leaves_the_bytes_and_a_dropped_read_loses_none() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std();
        let mut buf = [0; 8];
        assert!(poll_once(&mut Box::pin(ours.read(&mut buf))).await.is_pending());
        theirs.write_all(b"hello").unwrap();
        assert_eq!(ours.peek(&mut buf).await.unwrap(), 5);
        assert_eq!(ours.read(&mut buf).await.unwrap(), 5);
        assert_eq!(&buf[..5], b"hello");
    });
}

#[test]
fn half_a_close_lets_the_other_way_go_on() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std();
        ours.write_all(b"question").await.unwrap();
        ours.shutdown(Shutdown::Write).await.unwrap();
        assert_eq!(
            ours.write_all(b"x").await.and(ours.flush().await).unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"question");
        theirs.write_all(b"answer").unwrap();
        drop(theirs);
        assert_eq!(read_to_end(&mut ours).await, b"answer");
    });
}

#[test]
fn what_was_written_leaves_although_the_stream_is_dropped() {
    const LEN: usize = 1 << 20;
    on_each_backend(|builder| {
        let mut runtime = builder.build().unwrap();
        runtime.block_on(async {
            let (mut ours, mut theirs) = with_std();
            let peer = std::thread::spawn(move || {
                let mut all = Vec::new();
                theirs.read_to_end(&mut all).unwrap();
                all
            });
            ours.write_all(&pattern(0, LEN)[..LEN]).await.unwrap();
            drop(ours);
            let all = join(peer).await;
            assert_eq!(check(&all, 0), LEN);
        });
    });
}

#[test]
fn a_peer_that_closes_over_unread_bytes_is_a_reset_behind_what_it_wrote() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std();
        theirs.write_all(b"the last words").unwrap();
        ours.write_all(b"unread").await.unwrap();
        ours.flush().await.unwrap();
        drop(theirs);
        let mut buf = [0; 64];
        assert_eq!(ours.read(&mut buf).await.unwrap(), 14);
        assert_eq!(ours.read(&mut buf).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(ours.write_all(b"x").await.and(ours.flush().await).is_err());
    });
}

#[test]
fn an_abort_discards_and_leaves_nothing() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std();
        let mut write = Box::pin(ours.write_all(pattern(0, 1 << 20)));
        while poll_once(&mut write).await.is_ready() {}
        turns(2).await;
        drop(write);
        ours.abort();
        let mut all = Vec::new();
        let ended = std::thread::spawn(move || theirs.read_to_end(&mut all).map(|_| all));
        let all = join(ended).await.unwrap_or_default();
        check(&all, 0);
        assert!(all.len() < 1 << 20);
        while metrics().in_flight > 0 {
            turns(1).await;
        }
    });
}

#[test]
fn a_stream_goes_back_to_std_with_what_nobody_had_read() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std();
        theirs.write_all(b"hello").unwrap();
        let mut buf = [0; 2];
        assert_eq!(ours.read(&mut buf).await.unwrap(), 2);
        ours.write_all(b"bye").await.unwrap();
        let (mut std, parked) = ours.into_std().await.unwrap();
        let mut rest = parked.to_vec();
        theirs.write_all(b" world").unwrap();
        drop(theirs.try_clone());
        let mut buf = [0; 16];
        while rest.len() < 9 {
            let n = std.read(&mut buf).unwrap();
            rest.extend_from_slice(&buf[..n]);
        }
        assert_eq!(rest, b"llo world");
        theirs.read_exact(&mut buf[..3]).unwrap();
        assert_eq!(&buf[..3], b"bye");
    });
}

#[test]
fn the_peers_credentials_are_those_of_the_process_at_the_other_end() {
    run_on_each(|| async {
        use std::os::unix::fs::MetadataExt;
        let (ours, _theirs) = with_std();
        let cred = ours.peer_cred().unwrap();
        let me = std::fs::metadata("/proc/self").unwrap();
        assert_eq!((cred.uid, cred.gid), (me.uid(), me.gid()));
        assert_eq!(cred.pid, Some(std::process::id() as i32));
    });
}

#[test]
fn buffers_have_the_sizes_that_were_asked_for() {
    run_on_each(|| async {
        let (ours, theirs) = with_std();
        ours.set_send_buffer_size(10_000).unwrap();
        ours.set_recv_buffer_size(20_000).unwrap();
        assert_eq!(ours.send_buffer_size().unwrap(), 20_000);
        assert_eq!(ours.recv_buffer_size().unwrap(), 40_000);
        assert!(theirs.as_raw_fd() > 2);
    });
}
