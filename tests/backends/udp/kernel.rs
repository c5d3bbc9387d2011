//! What the kernel is told of a socket, and what it tells of packets.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ringloop::net::{Ecn, Transmit, UdpSocket, UdpSocketOptions};

use ringloop::time::timeout;

use super::LOCAL;
use crate::support::run_on_each;

// Seen to fail when control messages are not asked for.
#[test]
fn marks_of_congestion_come_as_they_were_sent() {
    run_on_each(|| async {
        for local in [LOCAL, "[::1]:0"] {
            let Ok(ours) = UdpSocket::bind(local).await else { continue };
            let theirs = UdpSocket::bind(local).await.unwrap();
            let to = ours.local_addr().unwrap();
            theirs.send_to(b"x", to).await.unwrap();
            assert_eq!(ours.recv_chunk().await.unwrap().ecn(), None, "nobody has asked");
            ours.set_recv_ecn(true).unwrap();
            for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
                theirs.set_ecn(ecn).unwrap();
                assert_eq!(theirs.ecn().unwrap(), ecn);
                theirs.send_to(b"x", to).await.unwrap();
                assert_eq!(ours.recv_chunk().await.unwrap().ecn(), Some(ecn));
            }
            theirs.set_ecn(Ecn::NotEct).unwrap();
            for ecn in [Ecn::Ect0, Ecn::Ce] {
                theirs.send_batch(&[Transmit::new(b"y").to(to).ecn(ecn)]).await.unwrap();
                assert_eq!(ours.recv_chunk().await.unwrap().ecn(), Some(ecn), "of {local}");
            }
        }
    });
}

#[test]
fn a_socket_of_both_families_tells_the_marks_of_both() {
    run_on_each(|| async {
        let mut options = UdpSocketOptions::new();
        let Ok(ours) = options.only_v6(false).bind("[::]:0").await else { return };
        ours.set_recv_ecn(true).unwrap();
        let theirs = UdpSocket::bind(LOCAL).await.unwrap();
        theirs.set_ecn(Ecn::Ect0).unwrap();
        let port = ours.local_addr().unwrap().port();
        theirs.send_to(b"x", (Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let datagram = ours.recv_chunk().await.unwrap();
        assert_eq!(datagram.ecn(), Some(Ecn::Ect0));
        // And answers in IPv4, with a mark of its own.
        theirs.set_recv_ecn(true).unwrap();
        let answer = Transmit::new(b"y").to(datagram.addr()).ecn(Ecn::Ce);
        ours.send_batch(&[answer]).await.unwrap();
        assert_eq!(theirs.recv_chunk().await.unwrap().ecn(), Some(Ecn::Ce));
    });
}

#[test]
fn options_are_kept() {
    run_on_each(|| async {
        let ours = UdpSocket::bind(LOCAL).await.unwrap();
        assert!(!ours.broadcast().unwrap());
        ours.set_broadcast(true).unwrap();
        assert!(ours.broadcast().unwrap());
        ours.set_ttl(7).unwrap();
        assert_eq!(ours.ttl().unwrap(), 7);
        assert!(ours.set_ttl(256).is_err());
        ours.set_multicast_ttl(3).unwrap();
        assert_eq!(ours.multicast_ttl().unwrap(), 3);
        assert!(ours.multicast_loop().unwrap());
        ours.set_multicast_loop(false).unwrap();
        assert!(!ours.multicast_loop().unwrap());
        ours.set_recv_buffer_size(20_000).unwrap();
        assert_eq!(ours.recv_buffer_size().unwrap(), 40_000);
        ours.set_send_buffer_size(20_000).unwrap();
        assert_eq!(ours.send_buffer_size().unwrap(), 40_000);
        let mut options = UdpSocketOptions::default();
        options.broadcast(true).recv_buffer_size(30_000).send_buffer_size(30_000);
        let ours = options.bind(LOCAL).await.unwrap();
        assert!(ours.broadcast().unwrap());
        assert_eq!(ours.recv_buffer_size().unwrap(), 60_000);
        assert_eq!(ours.send_buffer_size().unwrap(), 60_000);
    });
}

#[test]
fn a_group_is_joined_and_left() {
    run_on_each(|| async {
        let ours = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let group = Ipv4Addr::new(239, 255, 77, 7);
        let here = Ipv4Addr::LOCALHOST;
        if ours.join_multicast_v4(&group, &here).is_err() {
            // No multicast in this place.
            return;
        }
        assert!(ours.join_multicast_v4(&group, &here).is_err(), "it is in the group");
        let to = (group, ours.local_addr().unwrap().port());
        let theirs = UdpSocket::bind(LOCAL).await.unwrap();
        if theirs.send_to(b"to all", to).await.is_ok() {
            // Unless the way to the group is another interface's.
            let came = timeout(Duration::from_secs(2), ours.recv_chunk()).await;
            assert!(came.is_err() || came.is_ok_and(|came| came.unwrap()[..] == *b"to all"));
        }
        ours.leave_multicast_v4(&group, &here).unwrap();
        assert!(ours.leave_multicast_v4(&group, &here).is_err());
        let Ok(six) = UdpSocket::bind("[::]:0").await else { return };
        let group = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 0x77);
        // Interface 1 is the loopback.
        if six.join_multicast_v6(&group, 1).is_ok() {
            assert!(six.join_multicast_v6(&group, 1).is_err());
            six.leave_multicast_v6(&group, 1).unwrap();
        }
    });
}
