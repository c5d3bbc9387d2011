//! Connecting by name (L-18 to L-24, L-45, L-48, and the sockets of L-27; checks 127 and 128).

mod by_name;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ringloop::net::{
    ConnectError, Family, TcpConnector, TcpListener, TcpListenerOptions, TcpStream,
};
use ringloop::task::yield_now;

use crate::support::run_on_each;

const HOUR: Duration = Duration::from_secs(3600);

/// Where nobody listens.
fn deserted(host: u8) -> SocketAddr {
    (Ipv4Addr::new(127, 83, 0, host), 1).into()
}

fn somebody(address: impl std::net::ToSocketAddrs) -> std::net::TcpListener {
    std::net::TcpListener::bind(address).unwrap()
}

/// Whether this machine speaks IPv6 to itself.
fn has_ipv6() -> bool {
    let has = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("skipped: this machine has no [::1]");
    }
    has
}

/// A listener whose backlog is full, so that dials go unanswered, and who fills it.
async fn silent(address: SocketAddr) -> (TcpListener, Vec<std::net::TcpStream>) {
    let listener = TcpListenerOptions::new().backlog(0).bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(peer) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
        queued.push(peer);
    }
    (listener, queued)
}

// L-18, check 128. Seen to fail when only the last one was told.
#[test]
fn of_several_addresses_that_fail_each_is_told_with_its_reason_and_one_is_told_as_it_is() {
    run_on_each(|| async {
        let one = TcpStream::connect(deserted(1)).await.unwrap_err();
        assert_eq!(one.raw_os_error(), Some(111), "{one}");

        let same = [deserted(1), deserted(2)];
        let error = TcpStream::connect(&same[..]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(
            error.to_string(),
            "no connection: 127.83.0.1:1: Connection refused (os error 111); \
             127.83.0.2:1: Connection refused (os error 111)"
        );

        // The kind is that of the one that was nearest to a connection.
        let (silent, _queued) = silent("127.0.0.1:0".parse().unwrap()).await;
        let unlike =
            [silent.local_addr().unwrap(), deserted(2), "255.255.255.255:1".parse().unwrap()];
        let mut connector = TcpConnector::new();
        connector.timeout(Duration::from_millis(20));
        let error = connector.connect(&unlike[..]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let inner = error.into_inner().unwrap().downcast::<ConnectError>().unwrap();
        let told = inner.attempts().iter().map(|(address, _)| *address);
        assert!(told.eq(unlike), "{inner}");
        assert_eq!(inner.attempts()[0].1.kind(), ErrorKind::TimedOut);
    });
}

// L-19, check 128.
#[test]
fn a_list_is_tried_in_its_order_unless_happy_eyeballs_are_asked_for() {
    if !has_ipv6() {
        return;
    }
    run_on_each(|| async {
        let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 1);
        let list = [deserted(1), deserted(2), deserted(3), v6];
        let order = async |connector: &TcpConnector| {
            let error = connector.connect(&list[..]).await.unwrap_err();
            let inner = error.into_inner().unwrap().downcast::<ConnectError>().unwrap();
            inner.attempts().iter().map(|(address, _)| *address).collect::<Vec<_>>()
        };
        let [a, b, c, _] = list;
        let mut connector = TcpConnector::new();
        assert_eq!(order(&connector).await, [a, b, c, v6]);
        assert_eq!(order(connector.interleave(2)).await, [a, b, v6, c]);
        assert_eq!(order(connector.interleave(0).happy_eyeballs_delay(HOUR)).await, [a, b, c, v6]);
        let mut connector = TcpConnector::new();
        assert_eq!(order(connector.happy_eyeballs_delay(HOUR)).await, [a, v6, b, c]);
    });
}

// L-20, check 128. Seen to fail when the first local address was taken for every peer.
#[test]
fn each_peer_is_connected_to_from_a_local_address_of_its_family_that_can_be_bound() {
    if !has_ipv6() {
        return;
    }
    run_on_each(|| async {
        let (v4, v6) = (somebody("127.0.0.1:0"), somebody("[::1]:0"));
        let (to_v4, to_v6) = (v4.local_addr().unwrap(), v6.local_addr().unwrap());
        let local = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut connector = TcpConnector::new();
        connector.local_addrs([local("[::1]:0"), local("127.0.0.9:0")]);
        let stream = connector.connect(to_v4).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), local("127.0.0.9:0").ip());
        let stream = connector.connect(to_v6).await.unwrap();
        assert!(stream.local_addr().unwrap().is_ipv6());

        // None of its family: the next address is tried, and if there is none, the error says so.
        connector.local_addr(local("127.0.0.9:0"));
        let stream = connector.connect(&[to_v6, to_v4][..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), to_v4);
        let error = connector.connect(to_v6).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        let text = format!("there is no local IPv6 address to connect to {to_v6} from");
        assert_eq!(error.to_string(), text);

        // One that is in use, or not of this machine, is passed over.
        connector.local_addrs([to_v4, local("192.0.2.1:0"), local("127.0.0.8:0")]);
        let stream = connector.connect(to_v4).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), local("127.0.0.8:0").ip());
        let error = connector.local_addrs([to_v4]).connect(to_v4).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let text = format!("cannot connect from the local address {to_v4}: ");
        assert!(error.to_string().starts_with(&text), "{error}");
        // No local address is any.
        assert!(connector.local_addrs([]).connect(to_v4).await.is_ok());
    });
}

// L-17, L-23: the family, and the options that a connection begins with.
#[test]
fn a_family_leaves_out_the_other_and_options_are_set_when_it_begins() {
    if !has_ipv6() {
        return;
    }
    run_on_each(|| async {
        let (v4, v6) = (somebody("127.0.0.1:0"), somebody("[::1]:0"));
        let both = [v4.local_addr().unwrap(), v6.local_addr().unwrap()];
        let mut connector = TcpConnector::new();
        connector.family(Family::V6).nodelay(true).keepalive(Duration::from_secs(7));
        let stream = connector.connect(&both[..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), both[1]);
        assert!(stream.nodelay().unwrap());
        assert_eq!(stream.keepalive().unwrap(), Some(Duration::from_secs(7)));
        let error = connector.connect(both[0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "none of the addresses is an IPv6 address");

        let stream = TcpStream::connect(both[0]).await.unwrap();
        assert!(!stream.nodelay().unwrap());
        assert_eq!(stream.keepalive().unwrap(), None);
    });
}

// L-27, check 127.
#[test]
fn a_list_of_addresses_is_listened_on_each_once_and_those_that_are_not_here_are_left_out() {
    run_on_each(|| async {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let [a, b, foreign] = ["127.83.1.1:0", "127.83.1.2:0", "192.0.2.1:0"].map(address);
        let listeners = TcpListener::bind_each(&[foreign, a, b, a][..]).await.unwrap();
        let bound: Vec<_> = listeners.iter().map(|one| one.local_addr().unwrap()).collect();
        assert_eq!(bound.len(), 2);
        assert_eq!((bound[0].ip(), bound[1].ip()), (a.ip(), b.ip()));
        for listener in &listeners {
            let dialled = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, dialled.local_addr().unwrap());
        }

        let error = TcpListener::bind_each(foreign).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        assert!(error.to_string().starts_with("cannot listen on 192.0.2.1:0: "), "{error}");
        // One that is taken is an error of all, which names it, and all others are free again: at once,
        // but for a process that another test has just started and that has a copy for a moment.
        let free = bound[0];
        drop(listeners);
        let somebody = somebody("127.0.0.3:0");
        let taken = somebody.local_addr().unwrap();
        let error = loop {
            let error = TcpListener::bind_each(&[free, taken][..]).await.unwrap_err();
            if !error.to_string().contains(&free.to_string()) {
                break error;
            }
            yield_now().await;
        };
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("cannot listen on {taken}: ")), "{error}");
        while TcpListener::bind_each(free).await.is_err() {
            yield_now().await;
        }
    });
}

// L-27, check 127. Seen to fail when IPv6 took IPv4's port along.
#[test]
fn without_a_host_both_families_are_listened_on_at_one_port() {
    if !has_ipv6() {
        return;
    }
    run_on_each(|| async {
        // Its own port for each.
        let listeners = TcpListener::bind_each(("", 0)).await.unwrap();
        let bound: Vec<_> = listeners.iter().map(|one| one.local_addr().unwrap()).collect();
        assert_eq!(bound.len(), 2);
        assert!(bound.iter().all(|address| address.ip().is_unspecified() && address.port() != 0));
        drop(listeners);
        // The same for both, where it is said; somebody else may take the second one meanwhile.
        let mut tries = 0;
        let listeners = loop {
            tries += 1;
            assert!(tries < 100, "one of them keeps the other out");
            let port = somebody("0.0.0.0:0").local_addr().unwrap().port();
            match TcpListener::bind_each(format!(":{port}")).await {
                Ok(listeners) => break listeners,
                Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}"),
            }
        };
        for (listener, host) in listeners.iter().zip(["::1", "127.0.0.1"]) {
            let port = listener.local_addr().unwrap().port();
            let dialled = TcpStream::connect((host, port)).await.unwrap();
            assert_eq!(listener.accept().await.unwrap().1, dialled.local_addr().unwrap());
        }
        // Alone, text without a host stays an error.
        let error = TcpListener::bind(":0").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}
