//! Connecting: each way to fail says what it is, and keeps no descriptor.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ringloop::net::{TcpConnector, TcpListenerOptions, UdpSocket, UnixStream};

use super::*;
use crate::support::{build, on_each_backend, run_on_each};

/// Where nobody listens.
pub(crate) const DESERTED: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::new(127, 83, 0, 1), 1));

/// A listener whose backlog is full, so that dials go unanswered; with those who fill it.
pub(crate) async fn full() -> (TcpListener, Vec<std::net::TcpStream>) {
    let listener = TcpListenerOptions::new().backlog(0).bind(LOCAL).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(peer) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
        queued.push(peer);
    }
    (listener, queued)
}

#[test]
fn nobody_there_is_connection_refused() {
    run_on_each(|| async {
        let error = TcpStream::connect(DESERTED).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

// Seen to fail when a refusal without a wait counted for nothing.
#[test]
fn one_that_is_refused_at_once_again_and_again_holds_up_nobody() {
    run_on_each(|| async {
        let mut connector = TcpConnector::new();
        // 192.0.2.0/24 is nobody's.
        connector.local_addr("192.0.2.1:0".parse().unwrap());
        let other = ringloop::spawn(async {});
        let mut asked = 0;
        while !other.is_finished() && asked < 10_000 {
            asked += 1;
            let error = connector.connect(DESERTED).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        }
        assert!(asked < 10_000, "it was asked for ever");
    });
}

// Seen to fail, in each way, when an error without a wait counted for nothing.
#[test]
fn one_that_finds_no_descriptor_again_and_again_holds_up_nobody() {
    alone("connect::one_that_finds_no_descriptor_again_and_again_holds_up_nobody", || {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        run_on_each(|| async {
            for way in 0..4 {
                let other = ringloop::spawn(async {});
                setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
                let mut asked = 0;
                while !other.is_finished() && asked < 10_000 {
                    asked += 1;
                    let error = match way {
                        0 => TcpStream::connect(DESERTED).await.unwrap_err(),
                        1 => UnixStream::connect("\0nobody").await.unwrap_err(),
                        2 => UdpSocket::bind(LOCAL).await.unwrap_err(),
                        _ => TcpListener::bind(LOCAL).await.unwrap_err(),
                    };
                    assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "in way {way}: {error}");
                }
                setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
                assert!(asked < 10_000, "in way {way} it was asked for ever");
            }
        });
    });
}

#[test]
fn a_peer_that_does_not_answer_is_given_up_after_the_timeout() {
    alone("connect::a_peer_that_does_not_answer_is_given_up_after_the_timeout", || {
        run_on_each(|| async {
            let (listener, _queued) = full().await;
            let before = descriptors();
            let started = ringloop::time::now();
            let error = TcpConnector::new()
                .timeout(Duration::from_millis(60))
                .connect(listener.local_addr().unwrap())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            let text = error.to_string();
            assert!(text.contains("did not answer within 60ms"), "{text}");
            assert!(ringloop::time::now() - started >= Duration::from_millis(60));
            until(|| ringloop::metrics().in_flight == 0).await;
            assert_eq!(descriptors(), before);
        });
    });
}

#[test]
fn a_dropped_connect_closes_its_socket() {
    alone("connect::a_dropped_connect_closes_its_socket", || {
        run_on_each(|| async {
            let (listener, _queued) = full().await;
            let address = listener.local_addr().unwrap();
            let before = descriptors();
            for polls in [0, 1, 2, 5] {
                let mut connect = Box::pin(TcpStream::connect(address));
                for _ in 0..polls {
                    assert!(poll_once(&mut connect).await.is_pending());
                    yield_now().await;
                }
                assert_eq!(descriptors(), before + usize::from(polls > 0));
                drop(connect);
                until(|| ringloop::metrics().in_flight == 0).await;
                assert_eq!(descriptors(), before, "after {polls} polls");
            }
            assert_eq!(ringloop::metrics().strays, 0);
        });
    });
}

#[test]
fn the_local_address_is_the_one_asked_for() {
    run_on_each(|| async {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let local: SocketAddr = "127.0.0.77:0".parse().unwrap();
        let stream = TcpConnector::new()
            .local_addr(local)
            .nodelay(true)
            .connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (accepted, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip(), local.ip());
        assert_eq!(stream.local_addr().unwrap(), peer);
        assert_eq!(accepted.peer_addr().unwrap(), peer);
        assert_eq!(stream.peer_addr().unwrap(), accepted.local_addr().unwrap());
        assert!(stream.nodelay().unwrap());
        // A port that is taken, and an address that is not ours.
        let taken = listener.local_addr().unwrap();
        let error = TcpConnector::new().local_addr(taken).connect(taken).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let foreign = "192.0.2.1:0".parse().unwrap();
        let error = TcpConnector::new().local_addr(foreign).connect(taken).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn names_are_looked_up_and_addresses_taken_in_every_form() {
    run_on_each(|| async {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let text = format!("localhost:{port}");
        let forms = [
            TcpStream::connect(&*text).await,
            TcpStream::connect(&text).await,
            TcpStream::connect(text).await,
            TcpStream::connect(("localhost", port)).await,
            TcpStream::connect(("127.0.0.1", port)).await,
            TcpStream::connect((String::from("127.0.0.1"), port)).await,
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await,
            TcpStream::connect(format!("127.0.0.1:{port}")).await,
        ];
        for (i, stream) in forms.into_iter().enumerate() {
            let stream = stream.unwrap_or_else(|error| panic!("form {i}: {error}"));
            assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap(), "form {i}");
        }
    });
}

#[test]
fn text_that_is_no_address_is_invalid_input_and_says_what_to_write() {
    run_on_each(|| async {
        for text in
            ["", "nonsense", "127.0.0.1", "::1", "[::1]", "host:", "host:http", "host:65536", ":80"]
        {
            for error in [
                TcpStream::connect(text).await.unwrap_err(),
                TcpListener::bind(text).await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "'{text}': {error}");
                assert!(error.to_string().contains("write host:port"), "'{text}': {error}");
            }
        }
        let none: &[SocketAddr] = &[];
        let error = TcpStream::connect(none).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        // A name that no resolver knows (RFC 2606), and one that cannot be a name.
        assert!(TcpStream::connect("nobody.invalid:80").await.is_err());
        assert!(TcpStream::connect("nul\0:80").await.is_err());
        let error = TcpStream::connect(("a:b", 80)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn the_second_address_is_tried_when_the_first_refuses() {
    run_on_each(|| async {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let good = listener.local_addr().unwrap();
        let addresses = [DESERTED, DESERTED, good];
        let stream = TcpStream::connect(&addresses[..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let error = TcpStream::connect(&addresses[..2]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // Binding too.
        let second = TcpListener::bind(&[good, "127.0.0.1:0".parse().unwrap()][..]).await.unwrap();
        assert_ne!(second.local_addr().unwrap(), good);
    });
}

#[test]
fn ipv6_speaks_like_ipv4() {
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no [::1]");
        return;
    }
    run_on_each(|| async {
        let listener = TcpListenerOptions::new().only_v6(true).bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(address.is_ipv6());
        let mut ours = TcpStream::connect(address.to_string()).await.unwrap();
        let (mut theirs, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, ours.local_addr().unwrap());
        ours.set_ttl(9).unwrap();
        assert_eq!(ours.ttl().unwrap(), 9);
        ours.write_all(pattern(0, 3000)).await.unwrap();
        drop(ours);
        assert_eq!(read_pattern(&mut theirs).await.unwrap(), 3000);
    });
}

#[test]
fn outside_a_runtime_it_is_an_error_and_no_panic() {
    on_each_backend(|builder| {
        let runtime = build(builder);
        let mut connect = Box::pin(TcpStream::connect("127.0.0.1:1"));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match connect.as_mut().poll(&mut cx) {
            Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::NotConnected),
            other => panic!("{other:?}"),
        }
        drop(runtime);
    });
}
