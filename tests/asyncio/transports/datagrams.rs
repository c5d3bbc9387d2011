//! Datagrams by callbacks (TR-22 to TR-24, PR-09, PR-10, L-25; check 119).
//!
//! What waits for room is tested where it can be made to wait, beside the pump.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

use ringloop::net::UdpSocket;
use ringloop::protocol::{DatagramProtocol, DatagramTransport, create_datagram_endpoint};

use super::panics::telling;
use super::{Log, named, some_turns};
use crate::support::{build, on_each_backend, run_on_each};

type Doing = Box<dyn FnMut(&str, &DatagramTransport)>;

/// Notes its callbacks, after doing in each what the test says.
struct Noting {
    log: Log,
    doing: Doing,
    from: Rc<RefCell<Vec<SocketAddr>>>,
}

impl Noting {
    fn new(log: &Log, doing: impl FnMut(&str, &DatagramTransport) + 'static) -> Self {
        Self { log: log.clone(), doing: Box::new(doing), from: Rc::default() }
    }

    fn quiet(log: &Log) -> Self {
        Self::new(log, |_, _| {})
    }
}

impl DatagramProtocol for Noting {
    fn connection_made(&mut self, transport: &DatagramTransport) {
        self.log.note("made");
        (self.doing)("made", transport);
    }

    fn datagram_received(&mut self, transport: &DatagramTransport, data: &[u8], from: SocketAddr) {
        self.log.note(format!("<{}>", data.escape_ascii()));
        self.from.borrow_mut().push(from);
        (self.doing)("datagram", transport);
    }

    fn error_received(&mut self, transport: &DatagramTransport, error: io::Error) {
        self.log.note(format!("error:{}", named(&error)));
        (self.doing)("error", transport);
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        let error = error.map_or_else(String::new, |error| format!(":{}", named(&error)));
        self.log.note(format!("lost{error}"));
    }
}

async fn bound() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

// PR-01, PR-09, TR-22, L-25, check 119.
#[test]
fn datagrams_come_whole_with_their_senders_and_empty_ones_are_some() {
    run_on_each(|| async {
        let (socket, here) = bound().await;
        let (peer, there) = bound().await;
        // It is there before the protocol.
        peer.send_to(b"early", here).await.unwrap();
        let log = Log::default();
        let noting = Noting::quiet(&log);
        let from = noting.from.clone();
        let transport = create_datagram_endpoint(|| noting, socket).await.unwrap();
        assert!(log.all().starts_with("made"));
        for data in [&b"one"[..], b"", b"three"] {
            peer.send_to(data, here).await.unwrap();
        }
        log.until_said("<three>").await;
        assert_eq!(log.all(), "made <early> <one> <> <three>");
        assert_eq!(*from.borrow(), [there; 4]);
        assert_eq!(transport.local_addr().unwrap(), here);
        assert_eq!(transport.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        for data in [&b"uno"[..], b"", b"tre"] {
            assert!(!transport.send_to(data, there).unwrap());
        }
        for wanted in [&b"uno"[..], b"", b"tre"] {
            assert_eq!(&peer.recv_chunk().await.unwrap()[..], wanted);
        }
        let error = transport.send(b"to whom?").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        transport.close();
        assert!(transport.is_closing());
        assert!(!log.all().contains("lost"), "nothing is called inline");
        transport.wait_closed().await;
        assert!(log.all().ends_with("<three> lost"));
        assert_eq!(transport.local_addr().unwrap(), here);
    });
}

// TR-22, L-25, check 119.
#[test]
fn a_connected_endpoint_refuses_other_addresses_also_when_it_is_closed() {
    run_on_each(|| async {
        let (socket, here) = bound().await;
        let (peer, there) = bound().await;
        socket.connect(there).await.unwrap();
        let log = Log::default();
        let transport = create_datagram_endpoint(|| Noting::quiet(&log), socket).await.unwrap();
        assert_eq!(transport.peer_addr().unwrap(), there);
        transport.send(b"one").unwrap();
        transport.send_to(b"two", there).unwrap();
        assert_eq!(&peer.recv_chunk().await.unwrap()[..], b"one");
        assert_eq!(&peer.recv_chunk().await.unwrap()[..], b"two");
        for _ in 0..2 {
            let error = transport.send_to(b"three", here).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            transport.abort();
        }
        transport.wait_closed().await;
        assert_eq!(log.all(), "made lost");
    });
}

// TR-23, PR-10, check 119.
// Seen to fail when an error of a receive ended the endpoint.
#[test]
fn errors_are_told_and_the_endpoint_lives() {
    run_on_each(|| async {
        let (socket, here) = bound().await;
        let (peer, there) = bound().await;
        socket.connect(there).await.unwrap();
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
        transport.send(&[0; 70_000]).unwrap();
        assert_eq!(log.all().matches("error").count(), before, "nothing is called inline");
        log.until(|log| log.all().matches("error").count() > before).await;
        // Somebody comes.
        let peer = UdpSocket::bind(there).await.unwrap();
        peer.send_to(b"here!", here).await.unwrap();
        log.until_said("<here!>").await;
        transport.close();
        transport.wait_closed().await;
        assert!(log.all().ends_with("<here!> lost"), "{}", log.all());
    });
}

// TR-24, PR-03, check 119: nothing comes after a close or an abort, wherever it is called.
#[test]
fn nothing_is_delivered_after_a_close_within_a_callback_and_nothing_is_sent() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        runtime.block_on(async {
            for end in [DatagramTransport::close, DatagramTransport::abort] {
                let (socket, here) = bound().await;
                let (peer, there) = bound().await;
                for data in ["one", "two", "three"] {
                    peer.send_to(data.as_bytes(), here).await.unwrap();
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
                    assert!(!transport.send_to(b"late", there).unwrap());
                }
                assert!(told.try_recv().is_err(), "four are dropped in silence");
                transport.send_to(b"late", there).unwrap();
                assert!(told.try_recv().unwrap().contains("5 writes were dropped"));
                assert_eq!(peer.try_recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
            }
        });
    });
}

// PR-03, PR-10, check 119: a panic ends the endpoint, and no other.
#[test]
fn a_panic_in_a_callback_ends_its_endpoint_with_an_error() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        let callbacks = [
            ("made", "connection_made"),
            ("datagram", "datagram_received"),
            ("error", "error_received"),
        ];
        for (within, name) in callbacks {
            runtime.block_on(async {
                let (socket, here) = bound().await;
                let log = Log::default();
                let panicking = Noting::new(&log, move |what, transport| {
                    if what == within {
                        std::panic::resume_unwind(Box::new("boom"));
                    }
                    if what == "made" {
                        let _ = transport.send_to(b"hello", here);
                    } else {
                        let _ = transport.send_to(&[0; 70_000], here);
                    }
                });
                let transport = create_datagram_endpoint(|| panicking, socket).await.unwrap();
                transport.wait_closed().await;
                assert!(log.all().ends_with(&format!("lost:{name} panicked: boom")));
                assert!(told.try_recv().unwrap().starts_with(&format!("{name} panicked: boom;")));
                assert!(told.try_recv().is_err());
            });
        }
    });
}

// PR-18: another protocol; and the end of the runtime.
#[test]
fn another_protocol_takes_over_and_the_end_of_the_runtime_is_told() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let (log, second) = (Log::default(), Log::default());
        runtime.block_on(async {
            let (socket, here) = bound().await;
            let (peer, _) = bound().await;
            let transport = create_datagram_endpoint(|| Noting::quiet(&log), socket).await.unwrap();
            peer.send_to(b"one", here).await.unwrap();
            log.until_said("<one>").await;
            transport.set_protocol(Noting::quiet(&second));
            peer.send_to(b"two", here).await.unwrap();
            second.until_said("<two>").await;
        });
        drop(runtime);
        assert_eq!(
            (log.all(), second.all()),
            ("made <one>".into(), "<two> lost:NotConnected".into())
        );
    });
}

// PR-18: also within what the kernel has put together.
// Seen to fail when the first protocol got all the datagrams of such a piece.
#[test]
fn another_protocol_gets_the_very_next_datagram() {
    run_on_each(|| async {
        let (socket, here) = bound().await;
        socket.set_gro(true).unwrap();
        let (peer, _) = bound().await;
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
    run_on_each(|| async {
        let (socket, here) = bound().await;
        let log = Log::default();
        let again = Noting::new(&log, move |_, transport| {
            let _ = transport.send_to(&[0; 70_000], here);
        });
        let transport = create_datagram_endpoint(|| again, socket).await.unwrap();
        some_turns().await;
        transport.close();
        transport.wait_closed().await;
        assert!(log.all().matches("error").count() > 100, "it was told of each");
        assert!(log.all().ends_with(" lost"));
    });
}
