//! A server that is full, and what it leaves.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::rc::Rc;
use std::time::Duration;

use ringloop::metrics;
use ringloop::net::TcpStream;
use ringloop::server::{Server, start_server};
use ringloop::stream::{Reader, Writer, open_connection};

use super::{echo, nothing_is_left};
use crate::support::{alone, run_on_each};
use crate::tcp::{LOCAL, descriptors, turns, until};

/// Answers with the number of connections that are served with it.
struct Busy {
    now: Rc<Cell<usize>>,
    most: Rc<Cell<usize>>,
}

impl Busy {
    fn begin(now: &Rc<Cell<usize>>, most: &Rc<Cell<usize>>) -> Self {
        now.set(now.get() + 1);
        most.set(most.get().max(now.get()));
        Self { now: now.clone(), most: most.clone() }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        assert!(self.now.get() <= self.most.get());
        self.now.set(self.now.get() - 1);
    }
}

// Seen to fail when only those looked for room who began to accept, not those who were at it.
#[test]
fn two_listeners_share_one_limit_and_everybody_has_a_turn() {
    alone("servers::limits::two_listeners_share_one_limit_and_everybody_has_a_turn", || {
        run_on_each(|| async {
            let addresses = ["127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
            let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let (of, at) = (now.clone(), most.clone());
            let server = Server::builder()
                .max_connections(3)
                .start_server(&addresses[..], move |reader: Reader, writer: Writer| {
                    let busy = Busy::begin(&of, &at);
                    async move {
                        let _busy = busy;
                        echo(reader, writer).await
                    }
                })
                .await
                .unwrap();
            let sockets = server.sockets();
            let mut clients = Vec::new();
            let dial = |i: usize| {
                let mut client = StdStream::connect(sockets[i % 2]).unwrap();
                client.write_all(b"x").unwrap();
                client.set_nonblocking(true).unwrap();
                client
            };
            // Both wait for a connection when there is one place left, and then there are two dials.
            clients.extend((0..2).map(dial));
            until(|| server.connections() == 2).await;
            turns(50).await;
            clients.extend((2..60).map(dial));
            until(|| server.connections() >= 3).await;
            turns(50).await;
            assert_eq!(server.connections(), 3);
            let before = descriptors();
            turns(200).await;
            assert_eq!(descriptors(), before, "nobody is accepted ahead");
            // Whoever is answered goes, and lets the next one in.
            let mut answered = 0;
            while answered < 60 {
                until(|| {
                    clients.iter_mut().any(|client| {
                        client.read(&mut [0]).is_ok_and(|n| n == 1) && {
                            let _ = client.shutdown(std::net::Shutdown::Both);
                            true
                        }
                    })
                })
                .await;
                answered += 1;
                assert!(server.connections() <= 3);
            }
            assert_eq!(most.get(), 3);
            drop(clients);
            assert_eq!(server.shutdown(Duration::from_secs(20)).await, 0);
            nothing_is_left().await;
        });
    });
}

#[test]
fn a_full_server_that_is_closed_leaves_nobody_waiting() {
    run_on_each(|| async {
        let server = Server::builder().max_connections(1).start_server(LOCAL, echo).await.unwrap();
        let address = server.sockets()[0];
        let (mut reader, writer) = open_connection(address).await.unwrap();
        writer.write(b"hello").unwrap();
        let mut back = [0; 5];
        reader.read_exact(&mut back).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..5 {
            waiting.push(TcpStream::connect(address).await.unwrap());
        }
        server.close();
        for mut client in waiting {
            let end = client.read(&mut [0]).await;
            assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        }
        writer.write(b"still").unwrap();
        reader.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"still");
        drop((reader, writer));
        server.wait_closed().await;
        nothing_is_left().await;
    });
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    alone("servers::limits::connections_that_come_and_go_leave_nothing_behind", || {
        run_on_each(|| async {
            let before = descriptors();
            let server = start_server(LOCAL, echo).await.unwrap();
            let address = server.sockets()[0];
            let mut tasks = 0;
            for round in 0..1000 {
                let (mut reader, writer) = open_connection(address).await.unwrap();
                writer.write(b"hello").unwrap();
                let mut back = [0; 5];
                reader.read_exact(&mut back).await.unwrap();
                drop((reader, writer));
                if round == 500 {
                    until(|| server.connections() == 0).await;
                    tasks = metrics().tasks_alive;
                }
            }
            until(|| server.connections() == 0).await;
            assert_eq!(metrics().tasks_alive, tasks);
            drop(server);
            nothing_is_left().await;
            until(|| descriptors() <= before).await;
        });
    });
}

// A handler may drop its connection and go on, or keep it for longer than it runs.
#[test]
fn a_connection_counts_while_its_socket_lives_and_a_shutdown_waits_for_handlers_too() {
    run_on_each(|| async {
        let worked = Rc::new(Cell::new(false));
        let work = worked.clone();
        let server = start_server(LOCAL, move |reader: Reader, writer: Writer| {
            let work = work.clone();
            async move {
                drop((reader, writer));
                turns(100).await;
                work.set(true);
            }
        })
        .await
        .unwrap();
        let mut client = TcpStream::connect(server.sockets()[0]).await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        until(|| server.connections() == 0).await;
        assert!(!worked.get());
        assert_eq!(server.shutdown(Duration::from_secs(20)).await, 0);
        assert!(worked.get());

        let kept = Rc::new(Cell::new(None));
        let keep = kept.clone();
        let server = start_server(LOCAL, move |reader: Reader, writer: Writer| {
            keep.set(Some((reader, writer)));
            async {}
        })
        .await
        .unwrap();
        let mut client = TcpStream::connect(server.sockets()[0]).await.unwrap();
        until(|| server.connections() == 1).await;
        turns(20).await;
        server.close();
        let (_reader, writer) = kept.take().unwrap();
        writer.write(b"still").unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 5);
        assert_eq!(server.shutdown(Duration::ZERO).await, 0);
        assert!(writer.write(b"closed").is_err());
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    });
}
