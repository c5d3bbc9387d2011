//! Where servers listen, and how they are made (S-03, L-27 to L-29; checks 97, 125, 127).

use std::cell::Cell;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream as StdStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::time::Duration;

use ringloop::net::{TcpListener, TcpListenerOptions, UnixListenerOptions, UnixStream};
use ringloop::protocol::{Protocol, Transport};
use ringloop::server::{Server, create_unix_server, start_server, start_unix_server};
use ringloop::stream::{Reader, Writer};

use super::{LOCAL, client, echo, end, is_refused, until};
use crate::support::{alone, poll_once, run_on_each};

// L-28.
#[test]
fn a_server_that_does_not_serve_yet_has_its_address_and_refuses_dials() {
    alone(
        "servers::listening::a_server_that_does_not_serve_yet_has_its_address_and_refuses_dials",
        || {
            run_on_each(|| async {
                let name = format!("\0ringloop-bound-{}", std::process::id());
                let mut options = Server::builder();
                options.start_serving(false);
                let server = options.start_server(LOCAL, echo).await.unwrap();
                let unix = options.start_unix_server(&name, echo).await.unwrap();
                let address = server.sockets()[0];
                assert!(!server.is_serving() && !unix.is_serving());
                assert!(is_refused(address));
                assert!(UnixStream::connect(&name).await.is_err());
                for _ in 0..2 {
                    server.start_serving().unwrap();
                    unix.start_serving().unwrap();
                }
                assert!(server.is_serving() && unix.is_serving());
                client(address).await;
                let unix_address = &unix.unix_sockets()[0];
                assert_eq!(unix_address.as_abstract_name(), Some(&name.as_bytes()[1..]));
                let mut stream = UnixStream::connect(&name).await.unwrap();
                stream.write_all(b"hello").await.unwrap();
                assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 5);
                // One that never serves leaves nothing.
                let never = options.start_server(LOCAL, echo).await.unwrap();
                let forever = options.start_server(LOCAL, echo).await.unwrap();
                never.close();
                never.wait_closed().await;
                // `serve_forever` begins by itself.
                let address = forever.sockets()[0];
                let mut serving = Box::pin(forever.serve_forever());
                assert!(poll_once(&mut serving).is_pending());
                client(address).await;
            });
        },
    );
}

// S-03, L-29, check 125.
#[test]
fn a_unix_server_has_a_file_that_goes_with_it_and_replaces_only_sockets() {
    struct Upper;
    impl Protocol for Upper {
        fn data_received(&mut self, transport: &Transport, data: &[u8]) {
            transport.write(&data.to_ascii_uppercase());
        }
    }

    run_on_each(|| async {
        let name =
            format!("ringloop-server-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        // A socket that nobody listens at any more.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let server = create_unix_server(|| Upper, &path).await.unwrap();
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        stream.read(&mut back).await.unwrap();
        assert_eq!(&back, b"HELLO");
        assert_eq!(server.unix_sockets()[0].as_pathname(), Some(path.as_path()));
        assert!(server.sockets().is_empty());
        server.close();
        assert!(!path.exists() && server.unix_sockets().is_empty());
        server.close_clients();
        server.wait_closed().await;
        // The file stays where that is asked for.
        let mut options = Server::builder();
        let kept = options.unix(UnixListenerOptions::new().cleanup(false));
        drop(kept.start_unix_server(&path, echo).await.unwrap());
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();
        // What is no socket is in the way.
        std::fs::write(&path, "precious").unwrap();
        let error = start_unix_server(&path, echo).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();
        // Streams.
        let server = start_unix_server(&path, echo).await.unwrap();
        let mut peer = StdUnixStream::connect(&path).unwrap();
        peer.write_all(b"hello").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let mut stream = UnixStream::from_std(peer).unwrap();
        assert_eq!(stream.read(&mut back).await.unwrap(), 5);
        assert_eq!(server.shutdown(Duration::from_secs(60)).await, 0);
        assert!(!path.exists());
    });
}

// L-27, check 127.
#[test]
fn one_server_listens_on_several_addresses_of_both_families() {
    run_on_each(|| async {
        let mut addresses: Vec<SocketAddr> = vec!["127.0.0.1:0".parse().unwrap()];
        if std::net::TcpListener::bind("[::1]:0").is_ok() {
            addresses.push("[::1]:0".parse().unwrap());
        } else {
            eprintln!("skipped: this machine has no IPv6");
        }
        // One that is not this machine's (192.0.2.0/24 is nobody's) is left out.
        addresses.push("192.0.2.1:0".parse().unwrap());
        let server = start_server(&addresses[..], echo).await.unwrap();
        let sockets = server.sockets();
        assert_eq!(sockets.len(), addresses.len() - 1);
        for (socket, asked) in sockets.iter().zip(&addresses) {
            assert_eq!(socket.ip(), asked.ip());
            assert_ne!(socket.port(), 0);
            client(*socket).await;
        }
        // Both families at one port: IPv6 leaves IPv4 alone.
        drop(server);
        let (server, port) = loop {
            let port = std::net::TcpListener::bind(LOCAL).unwrap().local_addr().unwrap().port();
            match start_server(("", port), echo).await {
                Ok(server) => break (server, port),
                // Another test was faster.
                Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
            }
        };
        assert!(server.sockets().iter().all(|socket| socket.port() == port));
        assert_eq!(server.sockets().len(), addresses.len() - 1);
        for socket in sockets {
            client((socket.ip(), port).into()).await;
        }
        // None of them is this machine's.
        let absent = start_server("192.0.2.1:0", echo).await.unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::AddrNotAvailable);
    });
}

// L-27, check 127.
#[test]
fn an_address_in_use_is_named_and_leaves_nothing_bound() {
    run_on_each(|| async {
        // On an address of this process, where nobody's outgoing connection takes the free port.
        let [.., a, b] = std::process::id().to_be_bytes();
        let own = || std::net::TcpListener::bind((Ipv4Addr::new(127, 2, a, b), 0)).unwrap();
        let taken = own();
        let free = own().local_addr().unwrap();
        let both = [free, taken.local_addr().unwrap()];
        let error = start_server(&both[..], echo).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&both[1].to_string()), "{error}");
        assert!(TcpListener::bind(free).await.is_ok(), "the first address is free again");
        // Two share a port if both say so.
        let mut sharing = Server::builder();
        sharing.reuse_port(true);
        let one = sharing.start_server(LOCAL, echo).await.unwrap();
        let other = sharing.start_server(one.sockets()[0], echo).await.unwrap();
        assert_eq!(one.sockets(), other.sockets());
        let clients: Vec<_> =
            (0..50).map(|_| StdStream::connect(one.sockets()[0]).unwrap()).collect();
        until(|| one.connections() + other.connections() == 50).await;
        drop(clients);
    });
}

// L-27, check 127: `sock`. A socket of another type does not compile.
#[test]
fn sockets_that_are_there_are_served() {
    run_on_each(|| async {
        let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpListenerOptions::new().parked(0).bind(LOCAL).await.unwrap();
        let listeners = [TcpListener::from_std(std).unwrap(), ours];
        let server = Server::builder().start_server_on(listeners, echo).unwrap();
        assert_eq!(server.sockets().len(), 2);
        for socket in server.sockets() {
            client(socket).await;
        }
        let none = Server::builder().start_server_on([], echo).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::InvalidInput);
    });
}

// S-04, check 97; G-18.
#[test]
fn options_that_make_no_sense_are_errors_and_the_limit_is_the_readers() {
    run_on_each(|| async {
        for options in [Server::builder().limit(0), Server::builder().max_connections(0)] {
            let error = options.start_server(LOCAL, echo).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        let limits = Rc::new(Cell::new(0));
        let seen = limits.clone();
        let server = Server::builder()
            .limit(1234)
            .start_server(LOCAL, move |reader: Reader, _: Writer| {
                seen.set(reader.limit());
                async {}
            })
            .await
            .unwrap();
        end(StdStream::connect(server.sockets()[0]).unwrap()).await.unwrap();
        assert_eq!(limits.get(), 1234);
    });
}
