//! Connecting by name (L-18 to L-24, L-45, L-48, and the sockets of L-27; checks 127 and 128).

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use ringloop::net::{
    ConnectError, Family, NameLookup, TcpConnector, TcpListener, TcpListenerOptions, TcpStream,
    lookup_addr, lookup_host,
};

use crate::support::{OnDrop, run_on_each, this_test};

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

/// What the file of hosts says where a test needs names of its own.
const HOSTS: &str = "\
127.0.0.1 localhost
127.83.0.1 both.test
::1 both.test
127.0.0.1 both.test twice.test
127.0.0.1 twice.test
127.83.0.1 nobody.test
127.83.0.2 nobody.test
::1 six.test
";

/// Runs `body` in a process of its own in which names are those of [`HOSTS`]. `name` is the test's own.
fn with_hosts(name: &str, body: impl FnOnce()) {
    const INSIDE: &str = "RINGLOOP_TEST_HOSTS";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let file = std::env::temp_dir().join(format!("ringloop-hosts-{}", std::process::id()));
    let file = file.with_extension(name.rsplit("::").next().unwrap());
    std::fs::write(&file, HOSTS).unwrap();
    let _file = OnDrop(|| std::fs::remove_file(&file).unwrap());
    let inside = |script: &str| {
        let mut command = Command::new("unshare");
        let script = format!("mount --bind \"$0\" /etc/hosts && {script}");
        command.args(["--mount", "sh", "-c", &script]).arg(&file);
        command
    };
    let may = inside("true").output();
    if !may.is_ok_and(|may| may.status.success()) || !has_ipv6() {
        eprintln!("skipped: {name} needs unshare(1), the right to mount, and [::1]");
        return;
    }
    let test = this_test(name);
    let mut command = inside("exec \"$@\"");
    command.arg(test.get_program()).args(test.get_args()).env(INSIDE, "1");
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{name}, with hosts of its own: {}\n{out}\n{err}",
        output.status
    );
    assert!(out.contains("1 passed"), "no test is named {name}:\n{out}");
}

// L-48, L-45. Each address comes once, whatever the file of hosts says.
#[test]
fn a_name_is_looked_up_in_both_directions_and_each_address_comes_once() {
    let name = "connecting::a_name_is_looked_up_in_both_directions_and_each_address_comes_once";
    with_hosts(name, || {
        run_on_each(|| async {
            let twice: Vec<_> = lookup_host("twice.test:80").await.unwrap().collect();
            assert_eq!(twice, ["127.0.0.1:80".parse().unwrap()]);
            let mut both: Vec<_> = lookup_host(("both.test", 80)).await.unwrap().collect();
            both.sort();
            let wanted = ["127.0.0.1:80", "127.83.0.1:80", "[::1]:80"];
            assert_eq!(both, wanted.map(|text| text.parse().unwrap()));
            let (host, service) = lookup_addr("127.83.0.2:6789".parse().unwrap()).await.unwrap();
            assert_eq!((&*host, &*service), ("nobody.test", "6789"));
            let known = NameLookup::new().name_required(true).clone();
            let known = known.look_up("[::1]:0".parse().unwrap()).await.unwrap();
            assert!(["both.test", "six.test"].contains(&&*known.0), "{known:?}");

            let listener = somebody("127.0.0.1:0");
            let port = listener.local_addr().unwrap().port();
            let stream = TcpStream::connect(("twice.test", port)).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        });
    });
}

// L-24, check 128: the port may be a service's name.
#[test]
fn a_service_is_the_port_that_it_has() {
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    if !services.contains("22/tcp") {
        eprintln!("skipped: this machine knows no services");
        return;
    }
    run_on_each(|| async {
        let found = lookup_host(("::1", "ssh")).await.unwrap();
        assert!(found.eq(["[::1]:22".parse().unwrap()]));
        let found = lookup_host(("127.0.0.1", "22")).await.unwrap();
        assert!(found.eq(["127.0.0.1:22".parse().unwrap()]));
        let names = NameLookup::new().numeric_host(true).clone();
        let names = names.look_up("127.0.0.1:22".parse().unwrap()).await.unwrap();
        assert_eq!(names, ("127.0.0.1".into(), "ssh".into()));
    });
}

// L-19, G-12, check 128. Seen to hang when the delay of a name was none.
#[test]
fn a_name_whose_first_address_hangs_is_connected_by_its_other_family() {
    let name = "connecting::a_name_whose_first_address_hangs_is_connected_by_its_other_family";
    with_hosts(name, || {
        run_on_each(|| async {
            let first = lookup_host("both.test:1").await.unwrap().next().unwrap();
            let v4 = (Ipv4Addr::LOCALHOST, 0).into();
            let v6 = (Ipv6Addr::LOCALHOST, 0).into();
            let (hangs, answers) = if first.is_ipv6() { (v6, v4) } else { (v4, v6) };
            // The same port of both.
            let (silent, _queued, listener) = loop {
                let (silent, queued) = silent(hangs).await;
                let port = silent.local_addr().unwrap().port();
                let address = SocketAddr::new(SocketAddr::ip(&answers), port);
                if let Ok(listener) = std::net::TcpListener::bind(address) {
                    break (silent, queued, listener);
                }
            };
            let port = silent.local_addr().unwrap().port();
            let started = ringloop::time::now();
            let stream = TcpStream::connect(("both.test", port)).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
            assert!(ringloop::time::now() - started >= Duration::from_millis(250), "early");
        });
    });
}

// L-18, check 128.
#[test]
fn when_no_address_of_a_name_answers_the_error_names_it_and_each_of_them() {
    let name = "connecting::when_no_address_of_a_name_answers_the_error_names_it_and_each_of_them";
    with_hosts(name, || {
        run_on_each(|| async {
            let error = TcpStream::connect("nobody.test:1").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            let text = error.to_string();
            assert!(text.starts_with("no connection to nobody.test:1: 127.83.0."), "{text}");
            for host in [1, 2] {
                let told = format!("{}: Connection refused (os error 111)", deserted(host));
                assert!(text.contains(&told), "{text}");
            }
        });
    });
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

// L-17: the resolver is asked for one family only.
#[test]
fn a_family_that_a_name_has_no_address_of_is_not_found() {
    let name = "connecting::a_family_that_a_name_has_no_address_of_is_not_found";
    with_hosts(name, || {
        run_on_each(|| async {
            let v6 = somebody("[::1]:0");
            let port = v6.local_addr().unwrap().port();
            let mut connector = TcpConnector::new();
            let stream = connector.family(Family::V6).connect(("both.test", port)).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), v6.local_addr().unwrap());
            drop(v6);
            let error = connector.connect(("both.test", port)).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(111), "one address, one error: {error}");
        });
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
        // One that is taken is an error of all, which names it, and all others are free again.
        let free = bound[0];
        drop(listeners);
        let taken = somebody("127.0.0.3:0");
        let taken = taken.local_addr().unwrap();
        let error = TcpListener::bind_each(&[free, taken][..]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("cannot listen on {taken}: ")), "{error}");
        drop(TcpListener::bind_each(free).await.unwrap());
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
        let listeners = loop {
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
