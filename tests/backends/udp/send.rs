//! Sends go at once, whole or not at all.

use std::io::ErrorKind;

use ringloop::net::{Transmit, UdpSocket};

use super::{LOCAL, address, pair, with_std};
use crate::support::run_on_each;

#[test]
fn both_ends_talk_bound_and_connected() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        assert_eq!(ours.send_to(b"to", address(&theirs)).await.unwrap(), 2);
        assert_eq!(ours.try_send_to(b"try", address(&theirs)).unwrap(), 3);
        ours.connect(address(&theirs)).await.unwrap();
        assert_eq!(ours.peer_addr().unwrap(), address(&theirs));
        assert_eq!(ours.send(b"send").await.unwrap(), 4);
        assert_eq!(ours.try_send(b"").unwrap(), 0);
        for expected in [&b"to"[..], b"try", b"send", b""] {
            let mut buf = [0; 8];
            assert_eq!(theirs.recv(&mut buf).unwrap(), expected.len());
            assert_eq!(&buf[..expected.len()], expected);
        }
        let (one, other) = pair().await;
        one.send(b"ping").await.unwrap();
        assert_eq!(&other.recv_chunk().await.unwrap()[..], b"ping");
    });
}

#[test]
fn names_and_texts_are_addresses_and_nonsense_is_an_error() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        let port = address(&theirs).port();
        ours.send_to(b"one", ("127.0.0.1", port)).await.unwrap();
        ours.send_to(b"two", format!("127.0.0.1:{port}")).await.unwrap();
        for _ in 0..2 {
            assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 3);
        }
        for nonsense in ["", "nowhere", "::1:5", "127.0.0.1"] {
            let error = ours.send_to(b"x", nonsense).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{nonsense:?}: {error}");
            assert!(UdpSocket::bind(nonsense).await.is_err());
            assert!(ours.connect(nonsense).await.is_err());
        }
        let other_family = ours.send_to(b"x", "[::1]:9").await.unwrap_err();
        assert_eq!(other_family.raw_os_error(), Some(nix::libc::EAFNOSUPPORT));
    });
}

#[test]
fn a_datagram_that_is_too_long_is_one_callers_error_and_the_socket_goes_on() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        let to = address(&theirs);
        let long = vec![0; 65_508];
        let error = ours.send_to(&long, to).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::EMSGSIZE));
        assert!(ours.try_send_to(&long, to).is_err());
        let batch = [Transmit::new(&long).to(to), Transmit::new(b"x").to(to)];
        let error = ours.send_batch(&batch).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::EMSGSIZE));
        ours.send_to(b"fine", to).await.unwrap();
        theirs.send(b"fine, too").unwrap();
        assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 4);
        assert_eq!(&ours.recv_chunk().await.unwrap()[..], b"fine, too");
    });
}

#[test]
fn without_a_peer_a_send_says_so() {
    run_on_each(|| async {
        let ours = UdpSocket::bind(LOCAL).await.unwrap();
        let error = ours.send(b"x").await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::EDESTADDRREQ));
        assert_eq!(ours.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    });
}
