//! Servers (S-02, S-03, L-27, L-28, L-30 to L-37; checks 104, 122 to 127).

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream as StdStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use ringloop::net::{TcpListener, TcpListenerOptions, TcpStream, UnixListenerOptions, UnixStream};
use ringloop::protocol::{Protocol, Transport};
use ringloop::server::{
    Server, create_server, create_unix_server, start_server, start_unix_server,
};
use ringloop::stream::{Reader, Writer, copy, open_connection};
use ringloop::task::yield_now;
use ringloop::{Builder, Runtime, metrics, spawn};

use crate::support::{alone, build, on_each_backend, poll_once, run_on_each};

const LOCAL: &str = "127.0.0.1:0";

async fn echo(mut reader: Reader, writer: Writer) -> io::Result<()> {
    copy(&mut reader, &writer).await.map(drop)
}

async fn echo_server() -> (Server, SocketAddr) {
    let server = start_server(LOCAL, echo).await.unwrap();
    let address = server.sockets()[0];
    (server, address)
}

/// A client of the echo server, that has been answered.
async fn client(address: SocketAddr) -> (Reader, Writer) {
    let mut client = open_connection(address).await.unwrap();
    answers(&mut client).await;
    client
}

async fn answers((reader, writer): &mut (Reader, Writer)) {
    writer.write(b"hello").unwrap();
    let mut back = [0; 5];
    reader.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
}

async fn turns(n: usize) {
    for _ in 0..n {
        yield_now().await;
    }
}

/// Turns the loop until `condition` holds; the watchdog ends what never comes.
async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// A runtime whose unhandled failures come out of the channel, as text.
fn telling(builder: &mut Builder) -> (Runtime, mpsc::Receiver<String>) {
    let (tell, told) = mpsc::channel();
    let runtime = build(builder.on_unhandled(move |what| tell.send(what.to_string()).unwrap()));
    (runtime, told)
}

/// Panics, quietly.
fn boom(text: &'static str) {
    std::panic::resume_unwind(Box::new(text));
}

/// How a peer finds its connection closed: with what it got before.
fn end_of(mut peer: StdStream) -> io::Result<Vec<u8>> {
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut all = Vec::new();
    peer.read_to_end(&mut all).map(|_| all)
}

/// The same, while the loop turns.
async fn end(peer: StdStream) -> io::Result<Vec<u8>> {
    let thread = std::thread::spawn(move || end_of(peer));
    until(|| thread.is_finished()).await;
    thread.join().unwrap()
}

fn is_refused(address: SocketAddr) -> bool {
    StdStream::connect(address).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
}

// L-36, check 122.
// Seen to fail when the drop of `serve_forever` did not close.
#[test]
fn a_serve_forever_that_is_given_up_closes_its_server() {
    alone("servers::a_serve_forever_that_is_given_up_closes_its_server", || {
        run_on_each(|| async {
            let (server, address) = echo_server().await;
            let mut client = client(address).await;
            let mut forever = Box::pin(server.serve_forever());
            assert!(poll_once(&mut forever).is_pending());
            assert!(server.is_serving());
            let second = server.serve_forever().await.unwrap_err();
            assert_eq!(second.kind(), ErrorKind::ResourceBusy, "{second}");
            assert!(server.is_serving(), "the second one has changed nothing");
            drop(forever);
            assert!(!server.is_serving() && server.sockets().is_empty());
            answers(&mut client).await;
            until(|| is_refused(address)).await;
            for refused in [server.serve_forever().await, server.start_serving()] {
                assert_eq!(refused.unwrap_err().to_string(), "the server is closed");
            }
        });
    });
}

// L-33, L-36, check 122.
#[test]
fn a_close_ends_serve_forever_when_the_last_connection_has_gone() {
    run_on_each(|| async {
        let (server, address) = echo_server().await;
        let server = Rc::new(server);
        let client = client(address).await;
        let forever = spawn({
            let server = server.clone();
            async move { server.serve_forever().await }
        });
        turns(5).await;
        server.close();
        server.close();
        turns(20).await;
        assert!(!forever.is_finished(), "there is a connection");
        drop(client);
        forever.await.unwrap().unwrap();
        assert_eq!(server.connections(), 0);
    });
}

// L-33, L-35, check 123.
// Seen to fail when a server was over while a connection lived.
#[test]
fn a_wait_ends_once_the_server_is_closed_and_empty_in_every_order() {
    run_on_each(|| async {
        for order in 0..4 {
            let (server, address) = echo_server().await;
            let server = Rc::new(server);
            let clients = [client(address).await, client(address).await];
            let wait = || {
                let server = server.clone();
                spawn(async move { server.wait_closed().await })
            };
            // Several wait, and some from before the close.
            let mut waiting = vec![wait(), wait()];
            turns(3).await;
            let gone = |server: Rc<Server>, left| async move {
                until(|| server.connections() == left).await;
                turns(20).await;
            };
            let [first, second] = clients;
            match order {
                // Closed, then empty.
                0 => {
                    server.close();
                    waiting.push(wait());
                    drop(first);
                    gone(server.clone(), 1).await;
                    assert!(waiting.iter().all(|wait| !wait.is_finished()));
                    drop(second);
                }
                // Empty, then closed.
                1 => {
                    drop((first, second));
                    gone(server.clone(), 0).await;
                    assert!(waiting.iter().all(|wait| !wait.is_finished()));
                    server.close();
                }
                // One of each side.
                2 => {
                    drop(first);
                    gone(server.clone(), 1).await;
                    server.close();
                    turns(20).await;
                    assert!(waiting.iter().all(|wait| !wait.is_finished()));
                    drop(second);
                }
                // In one turn.
                _ => {
                    drop((first, second));
                    server.close();
                }
            }
            waiting.push(wait());
            for wait in waiting {
                wait.await.unwrap();
            }
            server.wait_closed().await;
            assert_eq!(server.connections(), 0);
        }
    });
}

// L-33, check 123.
#[test]
fn who_dialled_before_the_close_is_served_and_waited_for() {
    run_on_each(|| async {
        let (server, address) = echo_server().await;
        let dialled: Vec<_> = (0..20).map(|_| StdStream::connect(address).unwrap()).collect();
        server.close();
        for stream in dialled {
            let mut client = TcpStream::from_std(stream).unwrap().into_stream();
            answers(&mut client).await;
            assert!(server.connections() > 0);
        }
        server.wait_closed().await;
    });
}

// L-34, check 124.
#[test]
fn closing_the_clients_sends_what_was_written_and_the_server_goes_on() {
    run_on_each(|| async {
        let server = start_server(LOCAL, async |mut reader, writer: Writer| {
            writer.write(&[7; 3 << 20]).unwrap();
            // The close is the end for whoever reads.
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).await.unwrap();
            assert!(writer.write(b"after the close").is_err());
        })
        .await
        .unwrap();
        let address = server.sockets()[0];
        let peers: Vec<_> = (0..3).map(|_| StdStream::connect(address).unwrap()).collect();
        until(|| server.connections() == 3).await;
        turns(3).await;
        server.close_clients();
        for peer in peers {
            assert_eq!(end(peer).await.unwrap(), vec![7; 3 << 20]);
        }
        until(|| server.connections() == 0).await;
        assert!(server.is_serving());
        let next = StdStream::connect(address).unwrap();
        until(|| server.connections() == 1).await;
        turns(3).await;
        server.close_clients();
        assert_eq!(end(next).await.unwrap().len(), 3 << 20);
    });
}

// L-34, check 124.
#[test]
fn aborting_the_clients_waits_for_nobody_who_does_not_read() {
    run_on_each(|| async {
        let server = start_server(LOCAL, async |mut reader: Reader, writer: Writer| {
            writer.write(&vec![7; 32 << 20]).unwrap();
            // One reads, one does not, one has ended and is still sending.
            match reader.read(&mut [0]).await.unwrap() {
                0 => {}
                _ => std::future::pending().await,
            }
        })
        .await
        .unwrap();
        let address = server.sockets()[0];
        let mut peers: Vec<_> = (0..3).map(|_| StdStream::connect(address).unwrap()).collect();
        peers[0].write_all(b"x").unwrap();
        peers[2].shutdown(Shutdown::Write).unwrap();
        until(|| server.connections() == 3).await;
        turns(20).await;
        server.abort_clients();
        until(|| server.connections() == 0).await;
        for peer in peers {
            assert_eq!(end(peer).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
        assert!(server.is_serving());
    });
}

// L-35 (C-12).
#[test]
fn a_shutdown_ends_in_time_and_says_how_many_it_had_to_abort() {
    run_on_each(|| async {
        // Nobody is there.
        let (server, _) = echo_server().await;
        assert_eq!(server.shutdown(Duration::from_secs(60)).await, 0);
        // Those who end by themselves have the time for it.
        let (server, address) = echo_server().await;
        let mut one = client(address).await;
        let ends = spawn(async move {
            turns(50).await;
            answers(&mut one).await;
        });
        assert_eq!(server.shutdown(Duration::from_secs(60)).await, 0);
        ends.await.unwrap();
        // Who waits for a client is closed; who does not get rid of its bytes is aborted.
        let server = start_server(LOCAL, async |mut reader: Reader, writer: Writer| {
            let mut kind = [0];
            reader.read_exact(&mut kind).await.unwrap();
            writer.write(&vec![7; if kind == *b"f" { 32 << 20 } else { 3 }]).unwrap();
            let _ = reader.read(&mut kind).await;
        })
        .await
        .unwrap();
        let dial = |kind: &[u8]| {
            let mut peer = StdStream::connect(server.sockets()[0]).unwrap();
            peer.write_all(kind).unwrap();
            peer
        };
        let (full, waiting) = (dial(b"f"), dial(b"w"));
        until(|| server.connections() == 2).await;
        turns(20).await;
        assert_eq!(server.shutdown(Duration::from_millis(20)).await, 1);
        assert_eq!((server.connections(), metrics().unsent), (0, 0));
        assert_eq!(end(waiting).await.unwrap(), [7; 3]);
        assert_eq!(end(full).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

// S-02, check 104.
// Seen to fail when an error did not close what somebody else holds.
#[test]
fn the_error_and_the_panic_of_a_handler_are_told_and_close_its_connection_only() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        let line = line!() + 5;
        runtime.block_on(async {
            let held = Rc::new(RefCell::new(Vec::new()));
            let hold = held.clone();
            // Also what another task holds is closed.
            let server = start_server(LOCAL, move |mut reader: Reader, writer: Writer| {
                let writer = Rc::new(writer);
                hold.borrow_mut().push(writer.clone());
                async move {
                    let mut kind = [0];
                    reader.read_exact(&mut kind).await.map_err(io::Error::other)?;
                    match &kind {
                        b"e" => return Err(io::Error::other("spilt")),
                        b"p" => boom("burnt"),
                        _ => writer.write(b"fine")?,
                    }
                    Ok(())
                }
            })
            .await
            .unwrap();
            let address = server.sockets()[0];
            for kind in [b"e", b"p"] {
                let mut peer = StdStream::connect(address).unwrap();
                peer.write_all(kind).unwrap();
                assert_eq!(end(peer).await.unwrap(), b"");
            }
            // One that returns leaves the connection to whoever holds it.
            let mut peer = StdStream::connect(address).unwrap();
            peer.write_all(b"f").unwrap();
            until(|| held.borrow().len() == 3).await;
            turns(20).await;
            assert_eq!(server.connections(), 1);
            held.borrow()[2].write(b", still").unwrap();
            held.borrow_mut().clear();
            assert_eq!(end(peer).await.unwrap(), b"fine, still");
        });
        let told: Vec<_> = told.try_iter().collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].starts_with("the handler of a connection failed: spilt; task "),
            "{told:?}"
        );
        assert!(told[1].starts_with("a task panicked: burnt; task "), "{told:?}");
        let place = format!("({}:{line})", file!());
        let placed = told.iter().all(|text| text.contains(file!()));
        assert!(placed, "they say where the server was started, about {place}: {told:?}");
    });
}

// S-02: the call of the handler is user code as well; L-31: and so is a factory.
#[test]
fn a_handler_or_a_factory_that_panics_when_it_is_called_ends_no_server() {
    struct Greets;
    impl Protocol for Greets {
        fn connection_made(&mut self, transport: &Transport) {
            transport.write(b"hello");
            transport.close();
        }

        fn data_received(&mut self, _: &Transport, _: &[u8]) {}
    }

    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        runtime.block_on(async {
            let calls = Rc::new(Cell::new(0));
            let odd = move || {
                calls.set(calls.get() + 1);
                if calls.get() % 2 == 1 {
                    boom("at once");
                }
            };
            let also = odd.clone();
            let streams = start_server(LOCAL, move |_: Reader, writer: Writer| {
                odd();
                async move { writer.write(b"hello") }
            });
            let protocols = create_server(
                move || {
                    also();
                    Greets
                },
                LOCAL,
            );
            for server in [streams.await.unwrap(), protocols.await.unwrap()] {
                for says in ["", "hello"].repeat(2) {
                    let peer = StdStream::connect(server.sockets()[0]).unwrap();
                    assert_eq!(end(peer).await.unwrap(), says.as_bytes());
                }
            }
        });
        let told: Vec<_> = told.try_iter().collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told.iter().all(|text| text.contains(" panicked: at once; ")), "{told:?}");
    });
}

// S-02, check 104: nobody but the runtime can cancel a handler.
#[test]
fn the_end_of_the_runtime_closes_server_and_connections_in_silence() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        let (server, peers) = runtime.block_on(async {
            let server = start_server(LOCAL, async |mut reader: Reader, writer: Writer| {
                writer.write(b"hello").unwrap();
                reader.read(&mut [0]).await.map(drop)
            })
            .await
            .unwrap();
            let address = server.sockets()[0];
            let peers: Vec<_> = (0..5).map(|_| StdStream::connect(address).unwrap()).collect();
            until(|| server.connections() == 5).await;
            turns(5).await;
            (server, peers)
        });
        let address = server.sockets()[0];
        drop(runtime);
        for peer in peers {
            assert_eq!(end_of(peer).unwrap(), b"hello");
        }
        assert!(!server.is_serving() && server.sockets().is_empty());
        assert!(is_refused(address));
        assert_eq!(server.connections(), 0);
        assert!(server.start_serving().is_err());
        drop(server);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [""; 0]);
    });
}

// L-37: `async with`.
#[test]
fn a_dropped_server_is_closed_and_its_connections_live_on() {
    alone("servers::a_dropped_server_is_closed_and_its_connections_live_on", || {
        run_on_each(|| async {
            let (server, address) = echo_server().await;
            let mut client = client(address).await;
            drop(server);
            until(|| is_refused(address)).await;
            answers(&mut client).await;
            // Whoever comes next has the port.
            TcpListener::bind(address).await.unwrap();
        });
    });
}

// L-28.
#[test]
fn a_server_that_does_not_serve_yet_has_its_address_and_refuses_dials() {
    alone("servers::a_server_that_does_not_serve_yet_has_its_address_and_refuses_dials", || {
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
            assert_eq!(unix_address.as_abstract_name(), Some(name[1..].as_bytes()));
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
    });
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
        let port = sockets[0].port();
        drop(server);
        let both = async || start_server(("", port), echo).await;
        let server = both().await.unwrap();
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
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
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

ringloop::task_local! {
    static LAMP: u32;
}

// T-34 (3.15): connections have the context of whoever made the server.
#[test]
fn handlers_see_the_task_locals_and_the_names_of_their_server() {
    run_on_each(|| async {
        let start = LAMP.scope(7, async {
            Server::builder()
                .name("lamps")
                .start_server(LOCAL, async |_, writer: Writer| {
                    let task = ringloop::task::current().unwrap();
                    assert_eq!(task.spawned_at().file(), file!());
                    let text = format!("{} {}", task.name().unwrap(), LAMP.with(|lamp| *lamp));
                    writer.write_all(text.as_bytes()).await
                })
                .await
        });
        let server = start.await.unwrap();
        let accepting = format!("lamps, accepting on {}", server.sockets()[0]);
        assert!(ringloop::task::all().iter().any(|task| task.name() == Some(&accepting)));
        let peer = StdStream::connect(server.sockets()[0]).unwrap();
        assert_eq!(end(peer).await.unwrap(), b"lamps 7");
    });
}

/// Counts what its clients say, and hears of its end.
struct Tally(Rc<RefCell<Vec<String>>>);

impl Protocol for Tally {
    fn connection_made(&mut self, _: &Transport) {
        self.0.borrow_mut().push("made".into());
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.0.borrow_mut().push(String::from_utf8_lossy(data).into());
        transport.write(data);
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        self.0.borrow_mut().push(format!("lost {:?}", error.map(|e| e.kind())));
    }
}

// L-34, check 124, for protocols.
#[test]
fn protocols_hear_of_their_end_by_a_server_that_closes_or_aborts_them() {
    run_on_each(|| async {
        for aborts in [false, true] {
            let log = Rc::new(RefCell::new(Vec::new()));
            let of = log.clone();
            let server = create_server(move || Tally(of.clone()), LOCAL).await.unwrap();
            let mut peer = StdStream::connect(server.sockets()[0]).unwrap();
            peer.write_all(b"one").unwrap();
            until(|| log.borrow().len() == 2).await;
            match aborts {
                true => server.abort_clients(),
                false => server.close_clients(),
            }
            // What comes after it is not delivered.
            let _ = peer.write_all(b"two");
            server.close();
            server.wait_closed().await;
            until(|| log.borrow().len() == 3).await;
            assert_eq!(*log.borrow(), ["made", "one", "lost None"]);
            let end = end(peer).await;
            assert!(aborts == end.is_err() || !aborts, "{end:?}");
        }
    });
}
