//! Transports and protocols (TR-*, PR-*; checks 108 to 121).

mod closing;
mod datagrams;
mod kinds;
mod panics;
mod peers;
mod pipes;
mod random;
mod reading;
mod switching;
mod unix_datagrams;
mod writing;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};

use ringloop::net::{TcpListener, TcpStream};
use ringloop::protocol::{Eof, Protocol, Transport, connect_accepted_socket};

/// What happened to a protocol, in its order. Bytes that follow one another are one entry.
#[derive(Clone, Default)]
struct Log(Rc<Book>);

#[derive(Default)]
struct Book {
    entries: RefCell<Vec<String>>,
    received: RefCell<Vec<u8>>,
    news: Cell<Option<Waker>>,
}

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.entries.borrow_mut().push(what.into());
        self.tell();
    }

    fn data(&self, data: &[u8]) {
        assert!(!data.is_empty(), "data of no bytes");
        let mut entries = self.0.entries.borrow_mut();
        if entries.last().is_none_or(|last| last != "data") {
            entries.push("data".into());
        }
        drop(entries);
        self.0.received.borrow_mut().extend_from_slice(data);
        self.tell();
    }

    fn tell(&self) {
        if let Some(waker) = self.0.news.take() {
            waker.wake();
        }
    }

    fn all(&self) -> String {
        self.0.entries.borrow().join(" ")
    }

    fn received(&self) -> Vec<u8> {
        self.0.received.borrow().clone()
    }

    /// Waits for news until there are enough. The watchdog of the test bounds it.
    async fn until(&self, mut enough: impl FnMut(&Self) -> bool) {
        poll_fn(|cx| {
            if enough(self) {
                return Poll::Ready(());
            }
            self.0.news.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    async fn until_said(&self, what: &str) {
        self.until(|log| log.all().contains(what)).await;
    }

    async fn until_received(&self, len: usize) {
        self.until(|log| log.0.received.borrow().len() >= len).await;
    }

    async fn until_lost(&self) {
        self.until_said("lost").await;
    }
}

/// What a test does in the callback of that name.
type Doing = Box<dyn FnMut(&str, &Transport)>;

/// Notes its callbacks, after doing in each what the test says.
struct Noting {
    log: Log,
    doing: Doing,
    eof: Eof,
    transport: Option<Transport>,
}

impl Noting {
    fn new(log: &Log, doing: impl FnMut(&str, &Transport) + 'static) -> Self {
        let doing = Box::new(doing);
        Self { log: log.clone(), doing, eof: Eof::Close, transport: None }
    }

    fn quiet(log: &Log) -> Self {
        Self::new(log, |_, _| {})
    }

    fn half_open(mut self) -> Self {
        self.eof = Eof::KeepOpen;
        self
    }
}

impl Protocol for Noting {
    fn connection_made(&mut self, transport: &Transport) {
        self.log.note("made");
        self.transport = Some(transport.clone());
        (self.doing)("made", transport);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.log.data(data);
        (self.doing)("data", transport);
    }

    fn eof_received(&mut self, transport: &Transport) -> Eof {
        self.log.note("eof");
        (self.doing)("eof", transport);
        self.eof
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        match error {
            None => self.log.note("lost"),
            Some(error) => self.log.note(format!("lost:{}", named(&error))),
        }
        if let Some(transport) = self.transport.take() {
            (self.doing)("lost", &transport);
        }
    }

    fn pause_writing(&mut self, transport: &Transport) {
        self.log.note("pause");
        (self.doing)("pause", transport);
    }

    fn resume_writing(&mut self, transport: &Transport) {
        self.log.note("resume");
        (self.doing)("resume", transport);
    }
}

fn named(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Other => error.to_string(),
        kind => format!("{kind:?}"),
    }
}

/// Two streams of ours, connected.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (one, listener.accept().await.unwrap().0)
}

/// A connection of `protocol`, and its peer.
async fn connected(protocol: impl Protocol + 'static) -> (Transport, TcpStream) {
    let (ours, peer) = pair().await;
    (connect_accepted_socket(|| protocol, ours).await.unwrap(), peer)
}

async fn read_to_end(peer: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(chunk) = peer.read_chunk().await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

/// The turns in which whatever is ready on a loopback connection would have come.
async fn some_turns() {
    for _ in 0..50 {
        ringloop::task::yield_now().await;
    }
}
