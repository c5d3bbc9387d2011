//! Handlers and protocols of connections (S-02, L-31, L-34, T-34; checks 104, 124).

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::net::TcpStream as StdStream;
use std::rc::Rc;

use ringloop::protocol::{Protocol, Transport};
use ringloop::server::{Server, create_server, start_server};
use ringloop::stream::{Reader, Writer};

use super::{LOCAL, boom, end, end_of, is_refused, telling, turns, until};
use crate::support::{on_each_backend, run_on_each};

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
        let place = format!(" ({}:{line})", file!());
        assert!(
            told.iter().all(|text| text.ends_with(&place)),
            "not where it was started: {told:?}"
        );
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
