//! Descriptors that somebody else has too: closing ours shuts nothing down.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

use super::*;
use crate::support::{build, on_each_backend, run_on_each};

/// A stream of ours, a duplicate of it, and the peer.
fn shared() -> (TcpStream, std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind(LOCAL).unwrap();
    let one = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let copy = one.try_clone().unwrap();
    (TcpStream::from_std(one).unwrap(), copy, peer)
}

/// Both directions of the duplicate work; the peer has seen no end.
fn still_talks(mut copy: std::net::TcpStream, mut peer: std::net::TcpStream, before: usize) {
    let mut got = vec![0; before];
    peer.read_exact(&mut got).unwrap();
    check(&got, 0);
    // The open description is shared, and so is what ringloop made of it.
    copy.set_nonblocking(false).unwrap();
    copy.write_all(b"from the duplicate").unwrap();
    let mut text = [0; 18];
    peer.read_exact(&mut text).expect("closing ours shut the duplicate down");
    assert_eq!(&text, b"from the duplicate");
    peer.write_all(b"and back").unwrap();
    let mut text = [0; 8];
    copy.read_exact(&mut text).expect("closing ours shut the duplicate down");
    assert_eq!(&text, b"and back");
}

// Seen to fail when Fd's drop calls shutdown(2) before it closes.
#[test]
fn a_duplicate_goes_on_after_ours_is_dropped_with_operations_in_flight() {
    run_on_each(|| async {
        for written in [0, 1000] {
            let (mut ours, copy, peer) = shared();
            assert!(poll_once(&mut Box::pin(ours.read(&mut [0]))).await.is_pending());
            ours.write_all(pattern(0, written)).await.unwrap();
            turns(if written == 0 { 5 } else { 0 }).await;
            drop(ours);
            until(|| ringloop::metrics().in_flight == 0).await;
            still_talks(copy, peer, written);
        }
    });
}

// Seen to fail when Fd's drop calls shutdown(2) before it closes.
#[test]
fn a_duplicate_goes_on_after_the_runtime_has_ended() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let (copy, peer) = runtime.block_on(async {
            let (mut ours, copy, peer) = shared();
            ringloop::spawn(async move { ours.read(&mut [0]).await });
            turns(5).await;
            (copy, peer)
        });
        drop(runtime);
        still_talks(copy, peer, 0);
    });
}

// Seen to fail when Fd's drop calls shutdown(2) before it closes.
#[test]
fn a_child_that_inherited_a_stream_goes_on_after_ours_is_dropped() {
    run_on_each(|| async {
        let (mut ours, copy, mut peer) = shared();
        assert!(poll_once(&mut Box::pin(ours.read(&mut [0]))).await.is_pending());
        turns(5).await;
        drop(ours);
        until(|| ringloop::metrics().in_flight == 0).await;
        copy.set_nonblocking(false).unwrap();
        let output = OwnedFd::from(copy.try_clone().unwrap());
        let mut child =
            Command::new("cat").stdin(OwnedFd::from(copy)).stdout(output).spawn().unwrap();
        peer.write_all(b"through the child").unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        let mut back = String::new();
        peer.read_to_string(&mut back).unwrap();
        assert_eq!(back, "through the child");
        assert!(child.wait().unwrap().success());
    });
}

// Seen to fail when Fd's drop calls shutdown(2) before it closes.
#[test]
fn a_duplicate_of_a_listener_goes_on_after_ours_is_dropped_or_closed() {
    run_on_each(|| async {
        for close in [false, true] {
            let one = std::net::TcpListener::bind(LOCAL).unwrap();
            let copy = one.try_clone().unwrap();
            let address = one.local_addr().unwrap();
            let ours = TcpListener::from_std(one).unwrap();
            assert!(poll_once(&mut Box::pin(ours.accept())).await.is_pending());
            turns(5).await;
            if close {
                ours.close();
            }
            drop(ours);
            until(|| ringloop::metrics().in_flight == 0).await;
            copy.set_nonblocking(false).unwrap();
            let mut peer = std::net::TcpStream::connect(address).unwrap();
            peer.write_all(b"here").unwrap();
            let mut four = [0; 4];
            copy.accept().unwrap().0.read_exact(&mut four).unwrap();
            assert_eq!(&four, b"here");
        }
    });
}
