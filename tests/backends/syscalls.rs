//! How many system calls a request costs. A count, so the profile does not matter.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use ringloop::net::TcpListener;
use ringloop::task::yield_now;
use ringloop::{BackendChoice, Metrics, metrics, spawn};

use crate::support::{altered, build, on_each_backend};

const CONNECTIONS: u64 = 50;
const ROUNDS: u64 = 100;

/// Sends a request on every connection, then says so; then reads every answer.
fn client(address: SocketAddr, sent: &Sender<()>) {
    let connect = |_| {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    };
    let mut streams: Vec<_> = (0..CONNECTIONS).map(connect).collect();
    let mut buf = [0; 64];
    for round in 0..ROUNDS {
        for stream in &mut streams {
            stream.write_all(&[round as u8; 64]).unwrap();
        }
        sent.send(()).unwrap();
        for stream in &mut streams {
            stream.read_exact(&mut buf).unwrap();
            assert_eq!(buf, [round as u8; 64]);
        }
    }
}

/// Serves the client; returns the numbers before its second round and after its last.
async fn serve(listener: TcpListener, sent: Receiver<()>) -> (Metrics, Metrics) {
    let served = Rc::new(Cell::new(0));
    for _ in 0..CONNECTIONS {
        let (mut stream, _) = listener.accept().await.unwrap();
        let served = served.clone();
        drop(spawn(async move {
            while let Some(chunk) = stream.read_chunk().await.unwrap() {
                stream.write_chunk(chunk).await.unwrap();
                served.set(served.get() + 1);
            }
        }));
    }
    let mut before = metrics();
    for round in 1..=ROUNDS {
        // Blocks the thread: all of a round is there when the loop looks, as under load.
        sent.recv().unwrap();
        while served.get() < round * CONNECTIONS {
            yield_now().await;
        }
        if round == 1 {
            before = metrics();
        }
    }
    (before, metrics())
}

#[test]
fn a_loaded_server_makes_few_system_calls() {
    // It blocks its thread while its peer waits: a turn that could not hand over would be the last.
    if altered("WAITS") || altered("QUEUES") {
        return;
    }
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let (before, after) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (sent, receiver) = channel();
            let client = thread::spawn(move || client(address, &sent));
            let numbers = serve(listener, receiver).await;
            while !client.is_finished() {
                yield_now().await;
            }
            client.join().unwrap();
            numbers
        });
        let requests = (CONNECTIONS * (ROUNDS - 1)) as f64;
        let (calls, turns) = (after.syscalls - before.syscalls, after.turns - before.turns);
        let each = calls as f64 / requests;
        println!("{}: {each:.3} a request, {turns} turns", runtime.backend());
        // What a ring does not know (before Linux 6.0), calls do.
        let emulated = runtime.backend().to_string().contains("multishot emulated");
        if runtime.backend().choice() == BackendChoice::Uring && !emulated {
            assert!(each <= 0.1, "{each:.3} system calls a request");
            assert!(calls <= turns, "{calls} system calls in {turns} turns: one enter a turn");
        } else {
            // A receive, one that finds nothing, a send, and a share of the wait.
            assert!(each <= 3.2, "{each:.3} system calls a request");
        }
        assert_eq!(after.strays, 0);
    });
}
