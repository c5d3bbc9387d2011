//! What is special of datagram endpoints on Unix sockets: a peer that does not read holds them up, a peer may have no
//! name, and there are files (TR-13, TR-18 to TR-24, PR-05, PR-09, PR-10, L-25; check 119).

use std::io::{self, ErrorKind};
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringloop::net::UnixDatagram;
use ringloop::protocol::{DatagramProtocol, DatagramTransport, create_datagram_endpoint};
use ringloop::time::timeout;
use ringloop::{metrics, spawn_blocking};

use super::kinds::{Kind, Noting, text};
use super::peers::python;
use super::{Log, some_turns};
use crate::support::{Folder, build, on_each_backend, run_on_each};

type Transport = DatagramTransport<UnixDatagram>;

async fn endpoint(log: &Log, socket: UnixDatagram) -> Transport {
    create_datagram_endpoint(|| Noting::quiet(log), socket).await.unwrap()
}

/// Sends numbers by `send` until one waits: how many that were.
fn fill(transport: &Transport, send: impl Fn(&[u8]) -> io::Result<bool>) -> u32 {
    let mut sent = 0u32;
    while transport.get_write_buffer_size() == 0 {
        send(&sent.to_ne_bytes()).unwrap();
        sent += 1;
        assert!(sent < 100_000, "there is always room");
    }
    assert!(sent > 1, "there was room for some");
    sent
}

// TR-13, TR-18, TR-19, TR-22, TR-24, PR-05, check 119.
// Seen to fail when what finds no room is told as an error, and when a close does not wait for the queue.
#[test]
fn a_peer_that_reads_late_gets_all_in_order_also_after_a_close() {
    run_on_each(|| async {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let log = Log::default();
        let transport = endpoint(&log, ours).await;
        transport.set_write_buffer_limits(200, 50).unwrap();
        let mut sent = fill(&transport, |bytes| transport.send(bytes));
        assert_eq!(transport.get_write_buffer_size(), 4 + 8);
        transport.send(b"").unwrap();
        assert_eq!(transport.get_write_buffer_size(), 4 + 8 + 8, "an empty one counts");
        let before_it = sent;
        while !transport.send(&sent.to_ne_bytes()).unwrap() {
            assert!(transport.get_write_buffer_size() <= 200);
            sent += 1;
        }
        sent += 1;
        some_turns().await;
        let waits = transport.get_write_buffer_size();
        assert!(waits > 200 && log.all() == "made pause", "{waits} bytes, {}", log.all());
        transport.close();
        some_turns().await;
        assert_eq!(log.all(), "made pause", "nobody has read");
        for number in 0..sent {
            if number == before_it {
                assert_eq!(theirs.hear().await, b"");
            }
            assert_eq!(theirs.hear().await, number.to_ne_bytes());
        }
        transport.wait_closed().await;
        assert_eq!(log.all(), "made pause resume lost");
        assert!(theirs.hears_nothing());
    });
}

// TR-12, TR-24, check 119.
#[test]
fn an_abort_discards_what_a_full_peer_has_not_taken() {
    run_on_each(|| async {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let log = Log::default();
        let transport = endpoint(&log, ours).await;
        let sent = fill(&transport, |bytes| transport.send(bytes));
        some_turns().await;
        transport.abort();
        assert_eq!(transport.get_write_buffer_size(), 0);
        transport.wait_closed().await;
        assert_eq!(log.all(), "made lost");
        for number in 0..sent - 1 {
            assert_eq!(theirs.hear().await, number.to_ne_bytes());
        }
        some_turns().await;
        assert!(theirs.hears_nothing());
    });
}

// TR-22, PR-09, check 119. The kernel does not tell when there is room at one that is not the socket's peer.
// Seen to fail when it is tried again at each turn.
#[test]
fn a_full_receiver_is_waited_for_without_a_spin_and_holds_up_no_receiving() {
    run_on_each(|| async {
        let (full, to_full) = UnixDatagram::bound().await;
        let (other, to_other) = UnixDatagram::bound().await;
        let (ours, here) = UnixDatagram::bound().await;
        let log = Log::default();
        let transport = endpoint(&log, ours).await;
        let sent = fill(&transport, |bytes| transport.send_to(bytes, to_full.clone()));
        transport.send_to(b"behind", to_other).unwrap();
        let before = metrics().turns;
        let _ = timeout(Duration::from_millis(300), std::future::pending::<()>()).await;
        let turns = metrics().turns - before;
        assert!(turns < 1000, "{turns} turns for nothing");
        other.tell(b"meanwhile", &here).await;
        log.until_said("<meanwhile>").await;
        assert!(other.hears_nothing() && transport.get_write_buffer_size() == 4 + 8 + 6 + 8);
        for number in 0..sent {
            assert_eq!(full.hear().await, number.to_ne_bytes());
        }
        assert_eq!(other.hear().await, b"behind");
        assert_eq!(log.all(), "made <meanwhile>");
    });
}

// TR-23, PR-10, check 119: whoever waits for a peer hears that it has gone.
#[test]
fn a_peer_that_goes_while_datagrams_wait_for_it_is_told_for_each_and_the_endpoint_lives() {
    run_on_each(|| async {
        for connected in [true, false] {
            let (full, to_full) = UnixDatagram::bound().await;
            let (mut ours, here) = UnixDatagram::bound().await;
            if connected {
                ours = ours.connected(&to_full).await;
            }
            let log = Log::default();
            let transport = endpoint(&log, ours).await;
            let send = |bytes: &[u8]| transport.send_to(bytes, to_full.clone());
            fill(&transport, send);
            send(b"").unwrap();
            send(b"x").unwrap();
            some_turns().await;
            assert_eq!(log.all(), "made");
            drop(full);
            log.until(|log| log.all().matches("error").count() == 3).await;
            // A socket that has lost its peer has none.
            let then = if connected { "NotConnected" } else { "ConnectionRefused" };
            let wanted = format!("made error:ConnectionRefused error:{then} error:{then}");
            assert_eq!(log.all(), wanted);
            assert_eq!(transport.get_write_buffer_size(), 0);
            let (other, _) = UnixDatagram::bound().await;
            other.tell(b"here!", &here).await;
            log.until_said("<here!>").await;
            transport.close();
            transport.wait_closed().await;
            assert!(log.all().ends_with("<here!> lost"));
        }
    });
}

// TR-23, PR-10. Seen to hang when the error of a receive ends the endpoint.
#[test]
fn a_peer_that_turns_to_another_is_an_error_and_the_endpoint_lives() {
    run_on_each(|| async {
        let (ours, here) = UnixDatagram::bound().await;
        let (peer, there) = UnixDatagram::bound().await;
        let peer = peer.connected(&here).await;
        let log = Log::default();
        let transport = endpoint(&log, ours.connected(&there).await).await;
        peer.tell(b"before", &here).await;
        log.until_said("<before>").await;
        transport.send(b"never read").unwrap();
        let (other, elsewhere) = UnixDatagram::bound().await;
        let peer = peer.connected(&elsewhere).await;
        log.until_said("error:ConnectionReset").await;
        peer.tell(b"after", &here).await;
        log.until_said("<after>").await;
        assert_eq!(log.all(), "made <before> error:ConnectionReset <after>");
        // Whom it has turned to is the only one it hears.
        transport.send(b"hello?").unwrap();
        log.until_said("error:PermissionDenied").await;
        drop(other);
    });
}

// PR-09, TR-22, check 119.
// Seen to fail when the kernel is asked to send to no address.
#[test]
fn who_is_bound_to_nothing_has_no_address_and_is_answered_only_where_it_is_the_peer() {
    run_on_each(|| async {
        let (ours, here) = UnixDatagram::bound().await;
        let log = Log::default();
        let noting = Noting::quiet(&log);
        let from = noting.from.clone();
        let transport = create_datagram_endpoint(|| noting, ours).await.unwrap();
        let unbound = UnixDatagram::unbound().unwrap();
        unbound.tell(b"guess who", &here).await;
        unbound.tell(b"", &here).await;
        log.until_said("<>").await;
        let nobody = unbound.local_addr().unwrap();
        assert!(nobody.is_unnamed());
        assert_eq!(*from.borrow(), [text(&nobody), text(&nobody)]);
        let error = transport.send_to(b"who?", nobody.clone()).unwrap_err();
        assert!(
            error.kind() == ErrorKind::InvalidInput
                && error.to_string().contains("bound to nothing")
        );
        some_turns().await;
        assert_eq!(log.all(), "made <guess who> <>");

        // Of a pair neither has a name, and each is the other's peer.
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let answering = Noting::new(&log, move |what, transport: &Transport| {
            if what == "datagram" {
                assert!(!transport.send_to(b"you", nobody.clone()).unwrap());
            }
        });
        let transport = create_datagram_endpoint(|| answering, ours).await.unwrap();
        assert!(transport.local_addr().unwrap().is_unnamed());
        assert!(transport.peer_addr().unwrap().is_unnamed());
        theirs.send(b"who?").await.unwrap();
        assert_eq!(theirs.hear().await, b"you");
    });
}

#[test]
fn a_datagram_longer_than_any_buffer_comes_whole() {
    run_on_each(|| async {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let log = Log::default();
        let transport = endpoint(&log, ours).await;
        let long: Vec<u8> = (0..150_000).map(|n| b'a' + (n % 23) as u8).collect();
        theirs.send(&long).await.unwrap();
        log.until(|log| log.all().len() > long.len()).await;
        assert!(log.all() == format!("made <{}>", long.escape_ascii()));
        transport.send(&long).unwrap();
        assert!(theirs.hear().await == long);
    });
}

/// Notes whether its file is still there when it hears of the end.
struct Watching(PathBuf, Log);

impl DatagramProtocol<UnixDatagram> for Watching {
    fn datagram_received(&mut self, _: &Transport, _: &[u8], _: SocketAddr) {}

    fn connection_lost(&mut self, _: Option<io::Error>) {
        self.1.note(if self.0.exists() { "there" } else { "gone" });
    }
}

// L-25, TR-31. asyncio leaves the file.
// Seen to fail when the socket was let go before the end was told.
#[test]
fn the_file_goes_with_its_endpoint_after_the_end_was_told_unless_it_is_anothers_by_then() {
    on_each_backend(|builder| {
        let folder = Folder::new();
        let path = folder.join("socket");
        let log = Log::default();
        let watching = || Watching(path.clone(), log.clone());
        let mut runtime = build(builder);
        runtime.block_on(async {
            for end in [Transport::close, Transport::abort] {
                let socket = UnixDatagram::bind(&path).unwrap();
                let transport = create_datagram_endpoint(watching, socket).await.unwrap();
                end(&transport);
                transport.wait_closed().await;
                assert!(!path.exists());
                assert_eq!(transport.local_addr().unwrap().as_pathname(), Some(&*path));
            }
            // Never begun.
            let socket = UnixDatagram::bind(&path).unwrap();
            drop(create_datagram_endpoint(watching, socket));
            assert!(!path.exists());
            // Another has taken its place.
            let socket = UnixDatagram::bind(&path).unwrap();
            let transport = create_datagram_endpoint(watching, socket).await.unwrap();
            let second = UnixDatagram::bind(&path).unwrap();
            transport.close();
            transport.wait_closed().await;
            assert!(path.exists());
            create_datagram_endpoint(watching, second).await.unwrap();
        });
        drop(runtime);
        assert!(!path.exists(), "it goes with the runtime");
        assert_eq!(log.all(), "there there there there");
    });
}

// Seen to hang when the shutdown is not looked for.
#[test]
fn an_endpoint_whose_receiving_was_shut_down_is_lost() {
    run_on_each(|| async {
        let (ours, theirs) = StdDatagram::pair().unwrap();
        theirs.send(b"before").unwrap();
        ours.shutdown(std::net::Shutdown::Read).unwrap();
        let log = Log::default();
        let transport = endpoint(&log, UnixDatagram::from_std(ours).unwrap()).await;
        transport.wait_closed().await;
        assert_eq!(log.all(), "made <before> lost:NotConnected");
    });
}

struct Echo;

impl DatagramProtocol<UnixDatagram> for Echo {
    fn datagram_received(&mut self, transport: &Transport, data: &[u8], from: SocketAddr) {
        transport.send_to(data, from).unwrap();
    }
}

// L-25, PR-09, TR-22, check 119: asyncio at the other end, of a path and of an abstract name.
#[test]
fn asyncios_unix_endpoints_get_every_datagram_back_and_give_ours_back() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = |name: &str| folder.join(name);
        let named = format!("\0ringloop-endpoint-peers-{}", std::process::id());
        for ours in [path("ours"), PathBuf::from(&named)] {
            let (theirs, echoing) = (path("theirs"), path("echo"));
            let socket = UnixDatagram::bind(&ours).unwrap();
            let serving = create_datagram_endpoint(|| Echo, socket).await.unwrap();
            let to = ours.to_str().unwrap().replace('\0', "@");
            let [theirs, echo] = [&theirs, &echoing].map(|path| path.to_str().unwrap());
            let Some(mut python) = python(&["datagrams", &to, theirs, echo]) else { return };
            let status = spawn_blocking(move || python.status().unwrap());
            ours_are_given_back(&path("client"), &echoing).await;
            assert!(status.await.unwrap().success(), "its words are above");
            serving.close();
            serving.wait_closed().await;
        }
    });
}

/// Sends datagrams of many lengths to asyncio's echo, which ends at an empty one.
async fn ours_are_given_back(here: &Path, echo: &Path) {
    let socket = UnixDatagram::bind(here).unwrap();
    // Until it is there.
    while socket.connect(echo).await.is_err() {
        ringloop::time::sleep(Duration::from_millis(2)).await;
    }
    let log = Log::default();
    let transport = endpoint(&log, socket).await;
    let mut wanted = "made".to_owned();
    for len in [1, 1473, 65_507, 150_000].into_iter().chain(1..200) {
        transport.send(&vec![b'y'; len]).unwrap();
        wanted += &format!(" <{}>", "y".repeat(len));
    }
    log.until(|log| log.all().len() >= wanted.len()).await;
    assert!(log.all() == wanted, "something else came back");
    transport.send(b"end").unwrap();
    transport.close();
    transport.wait_closed().await;
}
