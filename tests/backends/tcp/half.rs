//! The two directions of a stream, held apart.

use std::io::{Read, Write};
use std::time::Duration;

use super::*;
use crate::support::{build, on_each_backend, run_on_each};

#[test]
fn a_dropped_write_half_sends_all_and_the_end_while_the_other_half_reads_on() {
    run_on_each(|| async {
        let (ours, mut theirs) = with_std().await;
        ours.set_send_buffer_size(256 << 10).unwrap();
        let (mut read, mut write) = ours.into_split();
        // Far more than the kernel takes: most of it leaves after the drop.
        let much = pattern(0, 1 << 20).repeat(8);
        write.write_bytes(bytes::Bytes::from(much.clone())).await.unwrap();
        drop(write);
        let peer = std::thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).unwrap();
            theirs.write_all(b"heard you").unwrap();
            all
        });
        let mut buf = [0; 16];
        let n = read.read(&mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"heard you");
        assert!(join(peer).await == much, "not all of it, or not in order");
        assert_eq!(read.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn a_write_half_whose_time_ran_out_sends_no_end_that_is_none() {
    on_each_backend(|builder| {
        build(builder.linger(Duration::from_millis(30))).block_on(async {
            let (ours, mut theirs) = with_std().await;
            ours.set_send_buffer_size(256 << 10).unwrap();
            let (mut read, mut write) = ours.into_split();
            let much = pattern(0, 1 << 20).repeat(16);
            write.write_bytes(bytes::Bytes::from(much)).await.unwrap();
            drop(write);
            until(|| ringloop::metrics().in_flight == 0 && ringloop::metrics().timers == 0).await;
            // The other half is still of use.
            theirs.write_all(b"still there").unwrap();
            let n = read.read(&mut [0; 16]).await.unwrap();
            assert_eq!(n, 11);
            let peer = std::thread::spawn(move || drain_pattern(&mut theirs));
            drop(read);
            let error = join(peer).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        });
    });
}

#[test]
fn both_halves_dropped_with_bytes_on_their_way_leave_no_timer_behind() {
    run_on_each(|| async {
        let (ours, mut theirs) = pair().await;
        let (read, mut write) = ours.into_split();
        write.write_all(pattern(0, 1000)).await.unwrap();
        drop(write);
        drop(read);
        assert_eq!(read_pattern(&mut theirs).await.unwrap(), 1000);
        turns(100).await;
        assert_eq!(ringloop::metrics().timers, 0);
    });
}

#[test]
fn a_dropped_read_half_leaves_writing_alone() {
    run_on_each(|| async {
        let (ours, mut theirs) = pair().await;
        let (mut read, mut write) = ours.into_split();
        // A receive is in flight when it goes.
        assert!(poll_once(&mut std::pin::pin!(read.read(&mut [0]))).await.is_pending());
        drop(read);
        write.write_all(pattern(0, 100_000)).await.unwrap();
        theirs.write_all(b"nobody reads this").await.unwrap();
        drop(write);
        assert_eq!(read_pattern(&mut theirs).await.unwrap(), 100_000);
    });
}

#[test]
fn halves_of_one_stream_are_put_together_and_others_come_back() {
    run_on_each(|| async {
        let (one, mut peer_of_one) = pair().await;
        let (other, mut peer_of_other) = pair().await;
        let (read_one, mut write_one) = one.into_split();
        let (read_other, write_other) = other.into_split();
        write_one.write_all(b"before ").await.unwrap();
        let error = read_one.reunite(write_other).unwrap_err();
        assert_eq!(error.to_string(), "the halves are not of one stream");
        let (read_one, write_other) = (error.0, error.1);
        let error = write_one.reunite(read_other).unwrap_err();
        let (read_other, write_one) = (error.0, error.1);

        let mut one = write_one.reunite(read_one).unwrap();
        let mut other = read_other.reunite(write_other).unwrap();
        one.write_all(b"and after").await.unwrap();
        let mut buf = [0; 16];
        read_exact(&mut peer_of_one, &mut buf).await.unwrap();
        assert_eq!(&buf, b"before and after", "a half that came back had shut down");
        peer_of_other.write_all(b"there").await.unwrap();
        let n = other.read(&mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"there");
        drop((one, other));
        assert_eq!(peer_of_one.read(&mut buf).await.unwrap(), 0);
        assert_eq!(peer_of_other.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn both_directions_run_at_once() {
    const LEN: usize = 8 << 20;
    run_on_each(|| async {
        let (ours, theirs) = pair().await;
        let mut ends = Vec::new();
        for stream in [ours, theirs] {
            let (mut read, mut write) = stream.into_split();
            ends.push(ringloop::spawn(async move {
                let mut position = 0;
                while position < LEN {
                    write.write_all(pattern(position, 1 << 16)).await.unwrap();
                    position += 1 << 16;
                }
                position
            }));
            ends.push(ringloop::spawn(async move {
                let mut position = 0;
                while let Some(chunk) = read.read_chunk().await.unwrap() {
                    position = check(&chunk, position);
                }
                position
            }));
        }
        for end in ends {
            assert_eq!(end.await.unwrap(), LEN);
        }
    });
}

#[test]
fn borrowed_halves_give_the_stream_back_whole() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = pair().await;
        {
            let (mut read, mut write) = ours.split();
            let mut buf = [0; 4];
            assert!(poll_once(&mut std::pin::pin!(read.read(&mut buf))).await.is_pending());
            write.write_all(b"ping").await.unwrap();
            write.flush().await.unwrap();
            read_exact(&mut theirs, &mut buf).await.unwrap();
            theirs.write_all(b"pong").await.unwrap();
            assert_eq!(read.peek(&mut buf).await.unwrap(), 4);
            assert_eq!(read.peer_addr().unwrap(), theirs.local_addr().unwrap());
            assert_eq!(write.local_addr().unwrap(), theirs.peer_addr().unwrap());
        }
        let mut buf = [0; 4];
        read_exact(&mut ours, &mut buf).await.unwrap();
        assert_eq!(&buf, b"pong");
    });
}
