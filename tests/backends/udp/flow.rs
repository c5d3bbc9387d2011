//! A full inbox holds up the receive; the kernel drops, and says how many.

use ringloop::metrics;
use ringloop::net::{UdpSocket, UdpSocketOptions};

use super::{LOCAL, with_std};
use crate::support::run_on_each;
use crate::tcp::{poll_once, turns};

// Seen to fail when a full inbox does not end the receive: nothing is dropped then, and memory fills.
#[test]
fn what_nobody_takes_is_bounded_and_what_is_dropped_is_counted() {
    run_on_each(|| async {
        let mut options = UdpSocketOptions::new();
        options.parked(64).recv_buffer_size(4096);
        let ours = options.bind(LOCAL).await.unwrap();
        let theirs = std::net::UdpSocket::bind(LOCAL).unwrap();
        theirs.connect(ours.local_addr().unwrap()).unwrap();
        // The receive begins, and nobody takes what comes.
        assert!(poll_once(&mut Box::pin(ours.recv_chunk())).await.is_pending());
        let sent = 5000u32;
        for number in 0..sent {
            theirs.send(&number.to_ne_bytes()).unwrap();
            if number % 8 == 0 {
                turns(1).await;
            }
        }
        turns(5).await;
        let mut got = Vec::new();
        let mut all = Vec::new();
        let mut sent = sent;
        while all.last() != Some(&u32::MAX) {
            got.clear();
            if ours.try_recv_chunk().map(|datagram| got.push(datagram)).is_err() {
                // Nothing is left: one that comes behind all others, if there is room for it, says how
                // many are missing.
                theirs.send(&u32::MAX.to_ne_bytes()).unwrap();
                sent += 1;
                ours.recv_batch(&mut got, 100).await.unwrap();
            }
            all.extend(got.iter().map(|d| u32::from_ne_bytes(d[..].try_into().unwrap())));
        }
        assert!(all.is_sorted(), "out of order: {all:?}");
        assert!(all.len() < 1000, "{} were kept for nobody", all.len());
        assert_eq!(all.len() as u64 + ours.dropped(), u64::from(sent));
    });
}

#[test]
fn a_flood_of_many_sockets_that_nobody_reads_holds_up_no_other() {
    run_on_each(|| async {
        let mut flooded = Vec::new();
        let theirs = std::net::UdpSocket::bind(LOCAL).unwrap();
        for _ in 0..8 {
            let socket = UdpSocket::bind(LOCAL).await.unwrap();
            assert!(poll_once(&mut Box::pin(socket.recv_chunk())).await.is_pending());
            let to = socket.local_addr().unwrap();
            for _ in 0..40 {
                theirs.send_to(&[7; 1000], to).unwrap();
            }
            turns(2).await;
            flooded.push(socket);
        }
        let (ours, theirs) = with_std().await;
        for number in 0..200u32 {
            theirs.send(&number.to_ne_bytes()).unwrap();
            assert_eq!(ours.recv_chunk().await.unwrap()[..], number.to_ne_bytes());
        }
        for socket in flooded {
            for _ in 0..40 {
                assert_eq!(socket.recv_chunk().await.unwrap()[..], [7; 1000]);
            }
        }
    });
}

// Seen to fail when leases are not copied out of the last buffers.
#[test]
fn datagrams_that_are_kept_for_long_hold_up_nobody() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        let mut kept = Vec::new();
        for number in 0..1000u32 {
            theirs.send(&number.to_ne_bytes()).unwrap();
            kept.push(ours.recv_chunk().await.unwrap());
        }
        for (number, datagram) in (0..1000u32).zip(&kept) {
            assert_eq!(datagram[..], number.to_ne_bytes());
        }
        let travels = kept.pop().unwrap().into_lease().into_bytes();
        assert_eq!(travels[..], 999u32.to_ne_bytes());
    });
}

#[test]
fn an_idle_socket_asks_for_nothing_before_its_first_receive_and_leaves_nothing() {
    run_on_each(|| async {
        let before = metrics().in_flight;
        let ours = UdpSocket::bind(LOCAL).await.unwrap();
        ours.send_to(b"x", super::nobody()).await.unwrap();
        turns(2).await;
        assert_eq!(metrics().in_flight, before);
        assert!(poll_once(&mut Box::pin(ours.recv_chunk())).await.is_pending());
        assert_eq!(metrics().in_flight, before + 1);
        drop(ours);
        crate::tcp::until(|| metrics().in_flight == before).await;
    });
}
