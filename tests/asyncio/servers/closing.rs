//! Closing, and waiting for the end (L-30, L-33 to L-37; checks 122 to 124, 126).

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use ringloop::net::{TcpListener, TcpStream};
use ringloop::server::{Server, start_server};
use ringloop::stream::{Reader, Writer, open_connection};
use ringloop::{metrics, spawn};

use super::{LOCAL, answers, client, echo, echo_server, end, is_refused, telling, turns, until};
use crate::support::{OnDrop, alone, on_each_backend, poll_once, run_on_each};

// L-36, check 122.
// Seen to fail when the drop of `serve_forever` did not close.
#[test]
fn a_serve_forever_that_is_given_up_closes_its_server() {
    alone("servers::closing::a_serve_forever_that_is_given_up_closes_its_server", || {
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
        assert_eq!(server.shutdown(Duration::MAX).await, 0);
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

// L-37: `async with`.
#[test]
fn a_dropped_server_is_closed_and_its_connections_live_on() {
    alone("servers::closing::a_dropped_server_is_closed_and_its_connections_live_on", || {
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

// L-33: a handler may close its server, and does not keep it for ever.
// Seen to fail when a close kept the handler.
#[test]
fn a_server_that_its_handler_closes_lets_the_handler_go() {
    run_on_each(|| async {
        let (gone, server) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(None::<Server>)));
        let (count, own) = (gone.clone(), server.clone());
        let held = OnDrop(move || count.set(count.get() + 1));
        let handler = move |mut reader: Reader, writer: Writer| {
            let _ = &held;
            let own = own.clone();
            async move {
                reader.read_exact(&mut [0]).await.unwrap();
                own.borrow().as_ref().unwrap().close();
                assert!(!own.borrow().as_ref().unwrap().is_serving());
                writer.write_all(b"closed").await
            }
        };
        let made = start_server(LOCAL, handler).await.unwrap();
        let address = made.sockets()[0];
        *server.borrow_mut() = Some(made);
        let (mut reader, writer) = open_connection(address).await.unwrap();
        writer.write(b"x").unwrap();
        let mut says = String::new();
        reader.read_to_string(&mut says).await.unwrap();
        assert_eq!(says, "closed");
        until(|| gone.get() == 1).await;
        assert_eq!(Rc::strong_count(&server), 1);
    });
}

// L-30, check 126: other errors of an accept.
// Seen to fail when the error was not kept for `serve_forever`.
#[test]
fn a_listener_that_fails_is_told_and_the_last_one_ends_serve_forever() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        runtime.block_on(async {
            let std: [_; 2] = std::array::from_fn(|_| StdListener::bind(LOCAL).unwrap());
            // Whoever else has a socket may shut it down.
            let [one, other] =
                std.each_ref().map(|std| StdStream::from(OwnedFd::from(std.try_clone().unwrap())));
            let listeners = std.map(|std| TcpListener::from_std(std).unwrap());
            let server = Server::builder().start_server_on(listeners, echo).unwrap();
            let address = server.sockets()[1];
            let mut serving = Box::pin(server.serve_forever());
            assert!(poll_once(&mut serving).is_pending());
            one.shutdown(Shutdown::Both).unwrap();
            until(|| server.sockets().len() == 1).await;
            let client = client(address).await;
            assert!(server.is_serving());
            other.shutdown(Shutdown::Both).unwrap();
            until(|| !server.is_serving()).await;
            drop(client);
            let error = serving.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        });
        let told: Vec<_> = told.try_iter().collect();
        assert_eq!(told.len(), 2, "{told:?}");
        let says = "a server's listener failed: Invalid argument";
        assert!(told.iter().all(|text| text.starts_with(says)), "{told:?}");
    });
}
