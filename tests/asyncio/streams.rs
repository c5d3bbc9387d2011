//! Streams (S-*; checks 93 to 107, those of TLS aside).

mod closing;
mod copying;
mod cut;
mod limits;
mod peers;
mod pipes;
mod reading;
mod records;
mod unix;
mod writing;

use std::future::poll_fn;
use std::io::Write;
use std::pin::Pin;
use std::task::Poll;

use ringloop::net::TcpListener;
use ringloop::stream::{Reader, Writer, open_connection};
use ringloop::task::yield_now;

const LOCAL: &str = "127.0.0.1:0";

/// Two ends of a connection.
async fn pair() -> ((Reader, Writer), (Reader, Writer)) {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let ours = open_connection(listener.local_addr().unwrap()).await.unwrap();
    (ours, listener.accept().await.unwrap().0.into_stream())
}

/// A stream, and its peer: a blocking one of std.
async fn with_std() -> ((Reader, Writer), std::net::TcpStream) {
    let listener = std::net::TcpListener::bind(LOCAL).unwrap();
    let ours = open_connection(listener.local_addr().unwrap()).await.unwrap();
    (ours, listener.accept().unwrap().0)
}

/// A reader to whom a peer has sent `text`, and then the end.
async fn reader_of(text: &[u8]) -> (Reader, Writer) {
    let (ours, mut theirs) = with_std().await;
    theirs.write_all(text).unwrap();
    ours
}

/// Turns the loop `n` times.
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

/// One poll of `future`, under the waker of the test's task.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// `len` bytes of which no two pieces are alike.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 ^ (i / 251 % 241) as u8).collect()
}
