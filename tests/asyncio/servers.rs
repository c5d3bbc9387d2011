//! Servers (S-02, S-03, L-27 to L-31, L-33 to L-37; checks 97, 104, 122 to 127).

mod closing;
mod handlers;
mod listening;

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::mpsc;
use std::time::Duration;

use ringloop::server::{Server, start_server};
use ringloop::stream::{Reader, Writer, copy, open_connection};
use ringloop::task::yield_now;
use ringloop::{Builder, Runtime};

use crate::support::build;

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
