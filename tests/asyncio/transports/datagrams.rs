//! Datagrams by callbacks (TR-22 to TR-24, PR-09, PR-10, L-25; check 119): of UDP, and of Unix sockets.
//!
//! What waits for room is tested where it can be made to wait: beside the pump, and of Unix sockets.

use std::io::ErrorKind;

use ringloop::Builder;
use ringloop::net::{UdpSocket, UnixDatagram};
use ringloop::protocol::{DatagramTransport, create_datagram_endpoint};

use super::kinds::{Kind, Noting, TOO_LONG, text};
use super::panics::telling;
use super::{Log, some_turns};
use crate::support::{build, on_each_backend, run_on_each};

// PR-01, PR-09, TR-22, L-25, check 119.
#[test]
fn datagrams_come_whole_with_their_senders_and_empty_ones_are_some() {
    run_on_each(whole::<UdpSocket>);
    run_on_each(whole::<UnixDatagram>);
}

async fn whole<S: Kind>() {
    let (socket, here) = S::bound().await;
    let (peer, there) = S::bound().await;
    // It is there before the protocol.
    peer.tell(b"early", &here).await;
    let log = Log::default();
    let noting = Noting::quiet(&log);
    let from = noting.from.clone();
    let transport = create_datagram_endpoint(|| noting, socket).await.unwrap();
    assert!(log.all().starts_with("made"));
    for data in [&b"one"[..], b"", b"three"] {
        peer.tell(data, &here).await;
    }
    log.until_said("<three>").await;
    assert_eq!(log.all(), "made <early> <one> <> <three>");
    let wanted = text(&there);
    assert!(from.borrow().len() == 4 && from.borrow().iter().all(|from| *from == wanted));
    assert_eq!(text(transport.local_addr().unwrap()), text(&here));
    assert_eq!(transport.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    for data in [&b"uno"[..], b"", b"tre"] {
        assert!(!transport.send_to(data, there.clone()).unwrap());
    }
    for wanted in [&b"uno"[..], b"", b"tre"] {
        assert_eq!(peer.hear().await, wanted);
    }
    let error = transport.send(b"to whom?").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    transport.close();
    assert!(transport.is_closing());
    assert!(!log.all().contains("lost"), "nothing is called inline");
    transport.wait_closed().await;
    assert!(log.all().ends_with("<three> lost"));
    assert_eq!(text(transport.local_addr().unwrap()), text(&here));
}

// TR-22, L-25, check 119.
#[test]
fn a_connected_endpoint_refuses_other_addresses_also_when_it_is_closed() {
    run_on_each(refusing::<UdpSocket>);
    run_on_each(refusing::<UnixDatagram>);
}

async fn refusing<S: Kind>() {
    let (socket, here) = S::bound().await;
    let (peer, there) = S::bound().await;
    let socket = socket.connected(&there).await;
    let log = Log::default();
    let transport = create_datagram_endpoint(|| Noting::quiet(&log), socket).await.unwrap();
    assert_eq!(text(transport.peer_addr().unwrap()), text(&there));
    transport.send(b"one").unwrap();
    transport.send_to(b"two", there.clone()).unwrap();
    assert_eq!(peer.hear().await, b"one");
    assert_eq!(peer.hear().await, b"two");
    for _ in 0..2 {
        let error = transport.send_to(b"three", here.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        transport.abort();
    }
    transport.wait_closed().await;
    assert_eq!(log.all(), "made lost");
}

// TR-23, PR-10, check 119.
// Seen to fail when an error of a receive ended the endpoint.
#[test]
fn errors_are_told_and_the_endpoint_lives() {
    run_on_each(erring::<UdpSocket>);
    run_on_each(erring::<UnixDatagram>);
}

async fn erring<S: Kind>() {
    let (socket, here) = S::bound().await;
    let (peer, there) = S::bound().await;
    let socket = socket.connected(&there).await;
    drop(peer);
    let log = Log::default();
    let transport = create_datagram_endpoint(|| Noting::quiet(&log), socket).await.unwrap();
    // Nobody listens, and the network says so.
    loop {
        transport.send(b"anybody?").unwrap();
        assert!(!log.all().contains("lost"));
        some_turns().await;
        if log.all().contains("error:ConnectionRefused") {
            break;
        }
    }
    // Too long for a datagram: an error of the send, told in the pump.
    let before = log.all().matches("error").count();
    transport.send(TOO_LONG).unwrap();
    assert_eq!(log.all().matches("error").count(), before, "nothing is called inline");
    log.until(|log| log.all().matches("error").count() > before).await;
    // Somebody comes.
    let peer = S::bound_to(&there).await;
    peer.tell(b"here!", &here).await;
    log.until_said("<here!>").await;
    transport.close();
    transport.wait_closed().await;
    assert!(log.all().ends_with("<here!> lost"), "{}", log.all());
}

// TR-24, PR-03, check 119: nothing comes after a close or an abort, wherever it is called.
#[test]
fn nothing_is_delivered_after_a_close_within_a_callback_and_nothing_is_sent() {
    on_each_backend(closing::<UdpSocket>);
    on_each_backend(closing::<UnixDatagram>);
}

fn closing<S: Kind>(builder: &mut Builder) {
    let (mut runtime, told) = telling(builder);
    runtime.block_on(async {
        for end in [DatagramTransport::<S>::close, DatagramTransport::abort] {
            let (socket, here) = S::bound().await;
            let (peer, there) = S::bound().await;
            for data in ["one", "two", "three"] {
                peer.tell(data.as_bytes(), &here).await;
            }
            let log = Log::default();
            let ending = Noting::new(&log, move |what, transport| {
                if what == "datagram" {
                    end(transport);
                    end(transport);
                }
            });
            let transport = create_datagram_endpoint(|| ending, socket).await.unwrap();
            transport.wait_closed().await;
            assert_eq!(log.all(), "made <one> lost");
            for _ in 0..4 {
                assert!(!transport.send_to(b"late", there.clone()).unwrap());
            }
            assert!(told.try_recv().is_err(), "four are dropped in silence");
            transport.send_to(b"late", there.clone()).unwrap();
            assert!(told.try_recv().unwrap().contains("5 writes were dropped"));
            assert!(peer.hears_nothing());
        }
    });
}

// PR-03, PR-10, check 119: a panic ends the endpoint, and no other.
#[test]
fn a_panic_in_a_callback_ends_its_endpoint_with_an_error() {
    on_each_backend(panicking::<UdpSocket>);
    on_each_backend(panicking::<UnixDatagram>);
}

fn panicking<S: Kind>(builder: &mut Builder) {
    let (mut runtime, told) = telling(builder);
    let callbacks = [
        ("made", "connection_made"),
        ("datagram", "datagram_received"),
        ("error", "error_received"),
    ];
    for (within, name) in callbacks {
        runtime.block_on(async {
            let (socket, here) = S::bound().await;
            let log = Log::default();
            let panicking = Noting::new(&log, move |what, transport| {
                if what == within {
                    std::panic::resume_unwind(Box::new("boom"));
                }
                if what == "made" {
                    let _ = transport.send_to(b"hello", here.clone());
                } else {
                    let _ = transport.send_to(TOO_LONG, here.clone());
                }
            });
            let transport = create_datagram_endpoint(|| panicking, socket).await.unwrap();
            transport.wait_closed().await;
            assert!(log.all().ends_with(&format!("lost:{name} panicked: boom")));
            assert!(told.try_recv().unwrap().starts_with(&format!("{name} panicked: boom;")));
            assert!(told.try_recv().is_err());
        });
    }
}

// PR-18: another protocol; and the end of the runtime.
#[test]
fn another_protocol_takes_over_and_the_end_of_the_runtime_is_told() {
    on_each_backend(taking_over::<UdpSocket>);
    on_each_backend(taking_over::<UnixDatagram>);
}

fn taking_over<S: Kind>(builder: &mut Builder) {
    let mut runtime = build(builder);
    let (log, second) = (Log::default(), Log::default());
    runtime.block_on(async {
        let (socket, here) = S::bound().await;
        let (peer, _) = S::bound().await;
        let transport = create_datagram_endpoint(|| Noting::quiet(&log), socket).await.unwrap();
        peer.tell(b"one", &here).await;
        log.until_said("<one>").await;
        transport.set_protocol(Noting::quiet(&second));
        peer.tell(b"two", &here).await;
        second.until_said("<two>").await;
    });
    drop(runtime);
    assert_eq!((log.all(), second.all()), ("made <one>".into(), "<two> lost:NotConnected".into()));
}

// PR-18: also within what the kernel has put together.
// Seen to fail when the first protocol got all the datagrams of such a piece.
#[test]
fn another_protocol_gets_the_very_next_datagram() {
    run_on_each(|| async {
        let (socket, here) = UdpSocket::bound().await;
        socket.set_gro(true).unwrap();
        let (peer, _) = UdpSocket::bound().await;
        let (log, second) = (Log::default(), Log::default());
        let next = second.clone();
        let giving = Noting::new(&log, move |what, transport| {
            if what == "datagram" {
                transport.set_protocol(Noting::quiet(&next));
            }
        });
        let transport = create_datagram_endpoint(|| giving, socket).await.unwrap();
        peer.send_segments(b"abcdefgh", 1, here).await.unwrap();
        second.until_said("<h>").await;
        assert_eq!(log.all(), "made <a>");
        assert_eq!(second.all(), "<b> <c> <d> <e> <f> <g> <h>");
        transport.abort();
        transport.wait_closed().await;
    });
}

// Seen to hold up the loop for ever.
#[test]
fn an_answer_to_each_error_that_fails_itself_lets_others_run() {
    run_on_each(erring_again::<UdpSocket>);
    run_on_each(erring_again::<UnixDatagram>);
}

async fn erring_again<S: Kind>() {
    let (socket, here) = S::bound().await;
    let log = Log::default();
    let again = Noting::new(&log, move |_, transport| {
        let _ = transport.send_to(TOO_LONG, here.clone());
    });
    let transport = create_datagram_endpoint(|| again, socket).await.unwrap();
    some_turns().await;
    transport.close();
    transport.wait_closed().await;
    assert!(log.all().matches("error").count() > 100, "it was told of each");
    assert!(log.all().ends_with(" lost"));
}
