//! Datagram endpoints: <https://docs.python.org/3/library/asyncio-eventloop.html#creating-network-connections>.
//!
//! What is a transport's or a protocol's of them stands with those.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::rc::Rc;

use ringloop::net::{UdpSocket, UdpSocketOptions, UnixDatagram};
use ringloop::spawn;
use ringloop::task::yield_now;

use crate::support::run_on_each;

const LOCAL: &str = "127.0.0.1:0";

fn peer() -> (std::net::UdpSocket, SocketAddr) {
    let peer = std::net::UdpSocket::bind(LOCAL).unwrap();
    peer.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let address = peer.local_addr().unwrap();
    (peer, address)
}

/// Polls a future once and drops it.
async fn begun<F: Future>(future: F) {
    let mut future = Box::pin(future);
    std::future::poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        std::task::Poll::Ready(())
    })
    .await;
}

/// Enough turns for either backend to look for news.
async fn looks() {
    for _ in 0..130 {
        yield_now().await;
    }
}

// L-25, check 119.
#[test]
fn an_endpoint_is_bound_or_connected_or_both() {
    run_on_each(|| async {
        let (peer, address) = peer();
        let bound = UdpSocket::bind(LOCAL).await.unwrap();
        assert_ne!(bound.local_addr().unwrap().port(), 0);
        assert_eq!(bound.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        bound.send_to(b"bound", address).await.unwrap();
        let mut buf = [0; 16];
        assert_eq!(peer.recv_from(&mut buf).unwrap(), (5, bound.local_addr().unwrap()));
        bound.connect(address).await.unwrap();
        assert_eq!(bound.peer_addr().unwrap(), address);
        bound.send(b"connected").await.unwrap();
        assert_eq!(peer.recv_from(&mut buf).unwrap(), (9, bound.local_addr().unwrap()));
        // A stranger is not heard any more.
        let stranger = std::net::UdpSocket::bind(LOCAL).unwrap();
        stranger.send_to(b"hello?", bound.local_addr().unwrap()).unwrap();
        peer.send_to(b"hello", bound.local_addr().unwrap()).unwrap();
        assert_eq!(bound.recv_from(&mut buf).await.unwrap(), (5, address));
    });
}

// L-25, check 127.
#[test]
fn the_first_address_that_can_be_bound_is_and_of_none_the_error_is_told() {
    run_on_each(|| async {
        let nowhere: SocketAddr = "192.0.2.1:0".parse().unwrap();
        let here: SocketAddr = LOCAL.parse().unwrap();
        let bound = UdpSocket::bind(&[nowhere, here][..]).await.unwrap();
        assert_eq!(bound.local_addr().unwrap().ip(), here.ip());
        let error = UdpSocket::bind(nowhere).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        assert_eq!(UdpSocket::bind(&[][..]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        let taken = UdpSocket::bind(bound.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    });
}

// L-25, check 127.
#[test]
fn endpoints_share_a_port_only_when_all_of_them_say_so() {
    run_on_each(|| async {
        let mut shares = UdpSocketOptions::new();
        shares.reuse_port(true);
        let first = shares.bind(LOCAL).await.unwrap();
        let address = first.local_addr().unwrap();
        let second = shares.bind(address).await.unwrap();
        assert_eq!(UdpSocket::bind(address).await.unwrap_err().kind(), ErrorKind::AddrInUse);
        let (peer, _) = peer();
        peer.send_to(b"whose?", address).unwrap();
        // The kernel chooses one of them.
        ringloop::future::race((first.readable(), second.readable())).await.unwrap();
        let got = [&first, &second].map(|socket| socket.try_recv(&mut [0; 16]).is_ok());
        assert_eq!(got.into_iter().filter(|got| *got).count(), 1);
    });
}

// L-25.
#[test]
fn an_endpoint_of_unix_has_a_path_or_a_name() {
    run_on_each(|| async {
        let text = format!("ringloop-asyncio-{}", std::process::id());
        let name = UnixAddr::from_abstract_name(&text).unwrap();
        let path = std::env::temp_dir().join(format!("{text}.socket"));
        let _ = std::fs::remove_file(&path);
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name = UnixDatagram::bind_addr(&name).unwrap();
        by_path.connect_addr(&name).await.unwrap();
        by_path.send(b"ping").await.unwrap();
        let (ping, from) = by_name.recv_chunk().await.unwrap();
        assert_eq!((&ping[..], from.as_pathname()), (&b"ping"[..], Some(path.as_path())));
        by_name.send_to(b"", &path).await.unwrap();
        assert_eq!(by_path.recv(&mut [0; 4]).await.unwrap(), 0, "an empty one is one, too");
        std::fs::remove_file(&path).unwrap();
    });
}

// L-25. Seen to fail when the option is not set.
#[test]
fn who_may_broadcast_has_said_so() {
    run_on_each(|| async {
        let everybody: SocketAddr = "127.255.255.255:9".parse().unwrap();
        let plain = UdpSocket::bind(LOCAL).await.unwrap();
        let error = plain.send_to(b"x", everybody).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        plain.set_broadcast(true).unwrap();
        plain.send_to(b"x", everybody).await.unwrap();
        let allowed = UdpSocketOptions::new().broadcast(true).bind(LOCAL).await.unwrap();
        allowed.send_to(b"x", everybody).await.unwrap();
    });
}

// L-43, check 129.
#[test]
fn a_receive_fills_the_slice_and_no_more_and_says_how_much() {
    run_on_each(|| async {
        let ours = UdpSocket::bind(LOCAL).await.unwrap();
        let (peer, address) = peer();
        for text in ["hello, world", "hello, world", "hi", ""] {
            peer.send_to(text.as_bytes(), ours.local_addr().unwrap()).unwrap();
        }
        let mut buf = [b'.'; 8];
        assert_eq!(ours.recv_from(&mut buf[..5]).await.unwrap(), (5, address));
        assert_eq!(&buf, b"hello...");
        assert_eq!(ours.recv_from(&mut []).await.unwrap(), (0, address), "all of it is cut off");
        assert_eq!(ours.recv_from(&mut buf).await.unwrap(), (2, address));
        assert_eq!(&buf, b"hillo...");
        assert_eq!(ours.recv_from(&mut buf).await.unwrap(), (0, address));
        assert_eq!(&buf, b"hillo...");
    });
}

// L-44, C-35.
#[test]
fn a_send_that_has_failed_or_was_dropped_has_sent_nothing() {
    run_on_each(|| async {
        let ours = UdpSocket::bind(LOCAL).await.unwrap();
        let (peer, address) = peer();
        assert!(ours.send_to(&vec![0; 70_000], address).await.is_err());
        drop(ours.send_to(b"never polled", address));
        ours.send_to(b"whole", address).await.unwrap();
        assert_eq!(peer.recv_from(&mut [0; 16]).unwrap().0, 5);
    });
}

// L-47, check 129.
#[test]
fn a_receive_that_is_cancelled_leaves_its_datagram_to_the_next() {
    run_on_each(|| async {
        let ours = Rc::new(UdpSocket::bind(LOCAL).await.unwrap());
        let (peer, _) = peer();
        for round in 0..20u8 {
            let task = spawn({
                let ours = ours.clone();
                async move { ours.recv_chunk().await }
            });
            yield_now().await;
            if round % 2 == 0 {
                peer.send_to(&[round], ours.local_addr().unwrap()).unwrap();
                task.cancel();
            } else {
                task.cancel();
                peer.send_to(&[round], ours.local_addr().unwrap()).unwrap();
            }
            // At once again, on the same socket.
            match task.await {
                Ok(taken) => assert_eq!(taken.unwrap()[..], [round]),
                Err(_) => assert_eq!(ours.recv_chunk().await.unwrap()[..], [round]),
            }
        }
        begun(ours.recv_chunk()).await;
        peer.send_to(b"last", ours.local_addr().unwrap()).unwrap();
        looks().await;
        assert_eq!(&ours.recv_chunk().await.unwrap()[..], b"last");
    });
}

// TR-22, PR-09, check 119.
#[test]
fn empty_datagrams_are_sent_and_received() {
    run_on_each(|| async {
        let one = UdpSocket::bind(LOCAL).await.unwrap();
        let other = UdpSocket::bind(LOCAL).await.unwrap();
        for round in 0..3 {
            assert_eq!(one.send_to(b"", other.local_addr().unwrap()).await.unwrap(), 0);
            let datagram = other.recv_chunk().await.unwrap();
            assert!(datagram.is_empty(), "in round {round}");
            assert_eq!(datagram.addr(), one.local_addr().unwrap());
        }
    });
}

// TR-23, check 119.
#[test]
fn errors_of_sends_and_of_receives_are_told_and_the_endpoint_stays_open() {
    run_on_each(|| async {
        let ours = UdpSocket::bind(LOCAL).await.unwrap();
        let (gone, address) = peer();
        drop(gone);
        ours.connect(address).await.unwrap();
        // The receive hears of the first, the second send of the second.
        ours.send(b"anybody?").await.unwrap();
        let error = ours.recv_chunk().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let too_long = ours.send(&vec![0; 70_000]).await.unwrap_err();
        assert_eq!(too_long.raw_os_error(), Some(nix::libc::EMSGSIZE));
        let back = std::net::UdpSocket::bind(address).unwrap();
        back.connect(ours.local_addr().unwrap()).unwrap();
        ours.send(b"anybody?").await.unwrap();
        assert_eq!(back.recv(&mut [0; 16]).unwrap(), 8);
        back.send(b"yes").unwrap();
        assert_eq!(&ours.recv_chunk().await.unwrap()[..], b"yes");
    });
}

// TR-24.
#[test]
fn what_was_sent_before_the_socket_was_dropped_arrives() {
    run_on_each(|| async {
        let (peer, address) = peer();
        let ours = UdpSocket::bind(LOCAL).await.unwrap();
        for number in 0..50u8 {
            ours.send_to(&[number], address).await.unwrap();
        }
        drop(ours);
        for number in 0..50u8 {
            let mut buf = [0; 4];
            assert_eq!(peer.recv(&mut buf).unwrap(), 1);
            assert_eq!(buf[0], number);
        }
    });
}
