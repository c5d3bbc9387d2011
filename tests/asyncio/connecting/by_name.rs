//! Names, in a process of its own that finds a file of hosts and a name server of the test's.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use ringloop::net::{Family, NameLookup, TcpConnector, TcpStream, lookup_addr, lookup_host};
use ringloop::time::timeout;

use super::{deserted, has_ipv6, silent, somebody};
use crate::support::{OnDrop, run_on_each, this_test};

/// What a test that needs names of its own finds in `/etc`.
const ETC: [(&str, &str); 3] = [
    (
        "hosts",
        "127.0.0.1 localhost\n\
         127.83.0.1 both.test\n\
         ::1 both.test\n\
         127.0.0.1 both.test twice.test\n\
         127.0.0.1 twice.test\n\
         127.83.0.1 nobody.test\n\
         127.83.0.2 nobody.test\n",
    ),
    ("resolv.conf", "options timeout:30 attempts:1\nnameserver "),
    ("nsswitch.conf", "hosts: files dns\nservices: files\n"),
];

/// Runs `body` in a process of its own in which names are those of [`ETC`]. `name` is the test's own.
fn with_names(name: &str, body: impl FnOnce()) {
    const INSIDE: &str = "RINGLOOP_TEST_NAMES";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let folder = std::env::temp_dir().join(format!("ringloop-names-{}", std::process::id()));
    let folder = folder.with_extension(name.rsplit("::").next().unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    let _folder = OnDrop(|| std::fs::remove_dir_all(&folder).unwrap());
    // An address of its own: other tests, and other processes, may do the same.
    static NUMBER: AtomicU8 = AtomicU8::new(1);
    let [.., a, b] = std::process::id().to_be_bytes();
    let server = Ipv4Addr::new(127, 64 | a, b, NUMBER.fetch_add(1, Relaxed));
    let mut mounts = String::new();
    for (file, text) in ETC {
        let text = if file == "resolv.conf" { format!("{text}{server}\n") } else { text.into() };
        std::fs::write(folder.join(file), text).unwrap();
        mounts += &format!("mount --bind \"$0/{file}\" /etc/{file} && ");
    }
    let inside = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &format!("{mounts}{script}")]).arg(&folder);
        command
    };
    let may = inside("true").output();
    if !may.is_ok_and(|may| may.status.success()) || !has_ipv6() {
        eprintln!(
            "skipped: {name} needs unshare(1), the right to mount over files of /etc, and [::1]"
        );
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
        "{name}, with names of its own: {}\n{out}\n{err}",
        output.status
    );
    assert!(out.contains("1 passed"), "no test is named {name}:\n{out}");
}

/// The server that names are asked of, within [`with_names`].
fn name_server() -> std::net::UdpSocket {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    let server: Ipv4Addr = text.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let server = std::net::UdpSocket::bind((server, 53)).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    server
}

// L-48, L-45. Each address comes once, whatever the file of hosts says.
#[test]
fn a_name_is_looked_up_in_both_directions_and_each_address_comes_once() {
    let name =
        "connecting::by_name::a_name_is_looked_up_in_both_directions_and_each_address_comes_once";
    with_names(name, || {
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
            assert_eq!(known.0, "both.test");

            let listener = somebody("127.0.0.1:0");
            let port = listener.local_addr().unwrap().port();
            let stream = TcpStream::connect(("twice.test", port)).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        });
    });
}

// L-48.
#[test]
fn a_name_that_does_not_exist_is_not_found() {
    with_names("connecting::by_name::a_name_that_does_not_exist_is_not_found", || {
        let server = name_server();
        std::thread::spawn(move || {
            let mut message = [0; 512];
            while let Ok((len, peer)) = server.recv_from(&mut message) {
                // The question again, as an answer: NXDOMAIN.
                (message[2], message[3]) = (0x81, 0x83);
                server.send_to(&message[..len], peer).unwrap();
            }
        });
        run_on_each(|| async {
            let error = TcpStream::connect("unknown.test:80").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            let error = lookup_host(("unknown.test", "http")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let text = "cannot look up 'unknown.test' (port http): ";
            assert!(error.to_string().starts_with(text), "{error}");
            let mut lookup = NameLookup::new();
            let error = lookup.name_required(true).look_up(deserted(9)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let (host, _) = lookup_addr(deserted(9)).await.unwrap();
            assert_eq!(host, "127.83.0.9");
        });
    });
}

// C-23, L-48, L-18. Seen to fail when the look-up was not within the limit.
#[test]
fn a_name_server_that_does_not_answer_holds_up_neither_the_loop_nor_the_end() {
    let name = "connecting::by_name::a_name_server_that_does_not_answer_holds_up_neither_the_loop_nor_the_end";
    with_names(name, || {
        // Nobody is there, and the kernel says so.
        run_on_each(|| async {
            let error = TcpStream::connect("unknown.test:1").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            let text = error.to_string();
            assert!(text.starts_with("cannot look up 'unknown.test' (port 1): "), "{text}");
        });
        // Somebody is there, and does not answer for half a minute.
        let server = name_server();
        server.set_nonblocking(true).unwrap();
        run_on_each(|| async {
            let mut connector = TcpConnector::new();
            // On a busy machine a short time may be over before anybody was asked.
            let mut limit = Duration::from_millis(20);
            loop {
                connector.total_timeout(limit);
                let error = connector.connect("unknown.test:1").await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                let text =
                    format!("no connection within {limit:?}: the name was not looked up by then");
                assert_eq!(error.to_string(), text);
                if server.recv(&mut [0; 512]).is_ok_and(|n| n > 0) {
                    break;
                }
                limit *= 2;
                assert!(limit < Duration::from_secs(20), "it was not asked");
            }
            let look_up = timeout(Duration::from_millis(1), lookup_host("unknown.test:1"));
            assert!(look_up.await.is_err());
            // Others are looked up meanwhile.
            assert_eq!(lookup_host("twice.test:1").await.unwrap().len(), 1);
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
    let name =
        "connecting::by_name::a_name_whose_first_address_hangs_is_connected_by_its_other_family";
    with_names(name, || {
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
    let name = "connecting::by_name::when_no_address_of_a_name_answers_the_error_names_it_and_each_of_them";
    with_names(name, || {
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

// L-17: the resolver is asked for one family only.
#[test]
fn of_a_name_only_the_addresses_of_the_family_are_asked_for() {
    let name = "connecting::by_name::of_a_name_only_the_addresses_of_the_family_are_asked_for";
    with_names(name, || {
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
