//! From std and back: no byte is lost on the way, and options are the socket's.

use std::io::{Read, Write};
use std::time::Duration;

use super::*;
use crate::support::run_on_each;

#[test]
fn parked_bytes_are_handed_back_and_unsent_ones_sent() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        theirs.write_all(pattern(0, 5000)).unwrap();
        let mut first = [0; 100];
        read_exact(&mut ours, &mut first).await.unwrap();
        let mut position = check(&first, 0);
        theirs.write_all(pattern(5000, 5000)).unwrap();
        turns(100).await;
        ours.write_all(pattern(0, 30_000)).await.unwrap();
        let (mut back, parked) = ours.into_std().await.unwrap();
        position = check(&parked, position);
        assert!(!parked.is_empty(), "4900 bytes at least had come with the first 100");
        let mut rest = vec![0; 10_000 - position];
        // Blocking again, or this fails with WouldBlock.
        back.read_exact(&mut rest).unwrap();
        check(&rest, position);
        drop(back);
        // The runtime's own descriptor goes in its turn.
        until(|| ringloop::metrics().in_flight == 0).await;
        assert_eq!(drain_pattern(&mut theirs).unwrap(), 30_000);
    });
}

#[test]
fn five_hundred_switches_in_the_middle_of_a_stream_lose_no_byte() {
    const LEN: usize = 40_000;
    run_on_each(|| async {
        let listener = std::net::TcpListener::bind(LOCAL).unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            for round in 0..500 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut numbers = Numbers::new(round);
                let mut sent = 0;
                while sent < LEN {
                    let some = (1 + numbers.below(4000)).min(LEN - sent);
                    stream.write_all(pattern(sent, some)).unwrap();
                    sent += some;
                }
            }
        });
        let mut numbers = Numbers::new(77);
        let mut switched_early = 0;
        for _ in 0..500 {
            let mut ours = TcpStream::connect(address).await.unwrap();
            let (mut position, mut buf) = (0, vec![0; 3000]);
            // There: some reads, one of them dropped in the middle.
            for _ in 0..numbers.below(4) {
                let n = ours.read(&mut buf).await.unwrap();
                position = check(&buf[..n], position);
            }
            if let Poll::Ready(chunk) = poll_once(&mut Box::pin(ours.read_chunk())).await {
                position = check(chunk.unwrap().as_deref().unwrap_or_default(), position);
            }
            let (std, parked) = ours.into_std().await.unwrap();
            position = check(&parked, position);
            switched_early += u32::from(position < LEN);
            // And back.
            let mut ours = TcpStream::from_std(std).unwrap();
            loop {
                match ours.read(&mut buf).await.unwrap() {
                    0 => break,
                    n => position = check(&buf[..n], position),
                }
            }
            assert_eq!(position, LEN);
        }
        assert!(switched_early > 0, "no switch met a stream in flow");
        join(peer).await;
    });
}

#[test]
fn a_stream_that_starved_for_buffers_can_be_handed_over() {
    crate::support::on_each_backend(|builder| {
        crate::support::build(builder.buffers(2, 256)).block_on(async {
            let mut streams = Vec::new();
            for _ in 0..30 {
                let (mut ours, mut theirs) = with_std().await;
                theirs.write_all(pattern(0, 2000)).unwrap();
                assert!(poll_once(&mut Box::pin(ours.read(&mut [0; 16]))).await.is_pending());
                streams.push((ours, theirs));
            }
            yield_now().await;
            for (ours, theirs) in streams {
                let (mut std, parked) = ours.into_std().await.unwrap();
                drop(theirs);
                let position = check(&parked, 0);
                let mut rest = Vec::new();
                std.read_to_end(&mut rest).unwrap();
                assert_eq!(check(&rest, position), 2000);
            }
        });
    });
}

#[test]
fn a_listener_of_std_is_taken_over_with_who_had_dialled() {
    run_on_each(|| async {
        let listener = std::net::TcpListener::bind(LOCAL).unwrap();
        let address = listener.local_addr().unwrap();
        let mut early = std::net::TcpStream::connect(address).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        let (mut ours, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, early.local_addr().unwrap());
        early.write_all(b"here").unwrap();
        let mut four = [0; 4];
        read_exact(&mut ours, &mut four).await.unwrap();
        assert_eq!(&four, b"here");
    });
}

#[test]
fn options_that_are_set_are_read_back() {
    run_on_each(|| async {
        let (ours, _theirs) = with_std().await;
        assert!(!ours.nodelay().unwrap(), "off by default");
        ours.set_nodelay(true).unwrap();
        assert!(ours.nodelay().unwrap());
        ours.set_nodelay(false).unwrap();
        assert!(!ours.nodelay().unwrap());

        assert_eq!(ours.keepalive().unwrap(), None);
        // Rounded up to whole seconds, at least one.
        for (set, read) in [(30_000, 30), (1500, 2), (0, 1)] {
            ours.set_keepalive(Some(Duration::from_millis(set))).unwrap();
            assert_eq!(ours.keepalive().unwrap(), Some(Duration::from_secs(read)), "{set} ms");
        }
        ours.set_keepalive(None).unwrap();
        assert_eq!(ours.keepalive().unwrap(), None);
        // The kernel takes no more than 32767 s; it must not be cut to something short.
        assert!(ours.set_keepalive(Some(Duration::MAX)).is_err());

        assert_eq!(ours.linger().unwrap(), None);
        for (set, read) in [(2000, 2), (100, 1), (0, 0)] {
            ours.set_linger(Some(Duration::from_millis(set))).unwrap();
            assert_eq!(ours.linger().unwrap(), Some(Duration::from_secs(read)), "{set} ms");
        }
        ours.set_linger(None).unwrap();
        assert_eq!(ours.linger().unwrap(), None);

        ours.set_ttl(7).unwrap();
        assert_eq!(ours.ttl().unwrap(), 7);
        for bad in [0, 256, u32::MAX] {
            let error = ours.set_ttl(bad).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "a ttl of {bad}");
        }
        ours.set_recv_buffer_size(40_000).unwrap();
        assert_eq!(ours.recv_buffer_size().unwrap(), 80_000, "the kernel says twice what was set");
        ours.set_send_buffer_size(50_000).unwrap();
        assert_eq!(ours.send_buffer_size().unwrap(), 100_000);
        ours.set_recv_buffer_size(usize::MAX).unwrap();

        // They go with the socket.
        ours.set_nodelay(true).unwrap();
        let (std, _) = ours.into_std().await.unwrap();
        assert!(std.nodelay().unwrap());
        assert_eq!(std.ttl().unwrap(), 7);
    });
}

#[test]
fn a_linger_does_not_stop_the_loop_when_the_stream_is_dropped() {
    run_on_each(|| async {
        let limit = Duration::from_secs(20);
        let (ours, mut theirs) = with_std().await;
        ours.set_linger(Some(limit)).unwrap();
        // It goes along to std and comes back.
        let (ours, _) = ours.into_std().await.unwrap();
        let mut ours = TcpStream::from_std(ours).unwrap();
        assert_eq!(ours.linger().unwrap(), Some(limit));
        // All of it is the kernel's, and the peer has not read: a close would wait.
        ours.write_all(pattern(0, 1 << 20)).await.unwrap();
        ours.flush().await.unwrap();
        let start = std::time::Instant::now();
        drop(ours);
        turns(100).await;
        assert!(start.elapsed() < limit / 2, "the loop stood still for {:?}", start.elapsed());
        let peer = std::thread::spawn(move || drain_pattern(&mut theirs).unwrap());
        assert_eq!(join(peer).await, 1 << 20);
    });
}

#[test]
fn a_linger_of_zero_makes_the_close_a_reset() {
    run_on_each(|| async {
        let (ours, mut theirs) = with_std().await;
        ours.set_linger(Some(Duration::ZERO)).unwrap();
        drop(ours);
        until(|| ringloop::metrics().in_flight == 0).await;
        let error = theirs.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}
