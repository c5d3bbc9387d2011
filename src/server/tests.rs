//! Servers whose handlers get the bare connection.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::Location;
use std::time::Instant;

use super::state::Place;
use super::*;
use crate::future::race;
use crate::net::{Link, TcpStream};
use crate::runtime::metrics;
use crate::time::sleep;
use crate::{BackendChoice, Builder};

fn on_each_backend<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for backend in [BackendChoice::Uring, BackendChoice::Epoll] {
        let Ok(mut runtime) = Builder::new().backend(backend).build() else { continue };
        runtime.block_on(async {
            let limit = async {
                sleep(Duration::from_secs(30)).await;
                panic!("no end on {backend}");
            };
            race((test(), limit)).await;
        });
    }
}

async fn start<F: Future<Output = ()> + 'static>(
    options: &ServerOptions,
    handler: impl Fn(Link) -> F + 'static,
) -> (Server, SocketAddr) {
    let listeners = options.bind("127.0.0.1:0").await.unwrap();
    let handler = Rc::new(handler);
    let connected = Rc::new(move |state: &Rc<State>, link: Link, _: Place| {
        let (handler, given) = (handler.clone(), link.clone());
        handler::run(state, link.downgrade(), move || handler(given));
    });
    let server = options.start(listeners, connected, Location::caller()).unwrap();
    let address = server.sockets()[0];
    (server, address)
}

async fn echo(link: Link) {
    while let Some(chunk) = poll_fn(|cx| link.poll_chunk(cx)).await.unwrap() {
        link.put_chunk(chunk).unwrap();
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

async fn answers(client: &mut TcpStream, word: &[u8]) {
    client.write_all(word).await.unwrap();
    let mut got = Vec::new();
    while got.len() < word.len() {
        got.extend_from_slice(&client.read_chunk().await.unwrap().expect("no end"));
    }
    assert_eq!(got, word);
}

#[test]
fn a_closed_server_lets_its_connections_live_and_its_wait_ends_with_the_last() {
    on_each_backend(|| async {
        let (server, address) = start(&ServerOptions::new(), echo).await;
        let server = Rc::new(server);
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = TcpStream::connect(address).await.unwrap();
            answers(&mut client, b"one").await;
            clients.push(client);
        }
        assert_eq!(server.connections(), 3);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let server = server.clone();
                crate::task::spawn(async move { server.wait_closed().await })
            })
            .collect();
        server.close();
        assert!(server.sockets().is_empty() && !server.is_serving());
        for left in (1..=3).rev() {
            answers(clients.last_mut().unwrap(), b"two").await;
            assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
            clients.pop();
            until(|| server.connections() < left).await;
        }
        for waiter in waiters {
            waiter.await.unwrap();
        }
        server.wait_closed().await;
        assert!(TcpStream::connect(address).await.is_err());
        until(|| metrics().in_flight == 0 && metrics().tasks_alive == 0).await;
    });
}

#[test]
fn those_who_dialled_before_the_close_are_served() {
    on_each_backend(|| async {
        let (server, address) = start(&ServerOptions::new(), echo).await;
        let mut clients: Vec<_> =
            (0..20).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        server.close();
        for client in clients.drain(..) {
            let mut client = TcpStream::from_std(client).unwrap();
            answers(&mut client, b"served").await;
        }
        server.wait_closed().await;
    });
}

#[test]
fn above_the_limit_nobody_is_accepted_before_somebody_goes() {
    on_each_backend(|| async {
        let served = Rc::new(RefCell::new(0));
        let count = served.clone();
        let mut options = ServerOptions::new();
        let (server, address) = start(options.max_connections(3), move |link| {
            *count.borrow_mut() += 1;
            echo(link)
        })
        .await;
        let mut clients: Vec<_> =
            (0..10).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        for served_now in 3..=10 {
            until(|| *served.borrow() == served_now).await;
            for _ in 0..50 {
                yield_now().await;
            }
            assert_eq!((*served.borrow(), server.connections()), (served_now, 3));
            // The first in the backlog is the first to be served.
            let mut client = TcpStream::from_std(clients.remove(0)).unwrap();
            answers(&mut client, b"mine").await;
        }
    });
}

#[test]
fn a_shutdown_lets_end_what_ends_closes_what_can_and_aborts_the_rest() {
    on_each_backend(|| async {
        let (server, address) = start(&ServerOptions::new(), |link| async move {
            let first = poll_fn(|cx| link.poll_chunk(cx)).await.unwrap().unwrap();
            match first[0] {
                b'n' => return,
                b'f' => link.put(&vec![0; 32 << 20]).unwrap(),
                _ => link.put(b"bye").unwrap(),
            }
            std::future::pending().await
        })
        .await;
        let mut clients = Vec::new();
        for kind in [b"n", b"f", b"w"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(kind).await.unwrap();
            clients.push(client);
        }
        let mut bye = [0; 3];
        assert_eq!(clients[2].read(&mut bye).await.unwrap(), 3);
        until(|| server.connections() == 2).await;
        let start = Instant::now();
        assert_eq!(server.shutdown(Duration::from_millis(50)).await, 1);
        assert!(start.elapsed() < Duration::from_secs(20));
        assert_eq!(clients[2].read(&mut bye).await.unwrap(), 0);
        let end = async {
            while clients[1].read(&mut [0; 65536]).await? > 0 {}
            io::Result::Ok(())
        };
        assert_eq!(end.await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(server.connections(), 0);
    });
}
