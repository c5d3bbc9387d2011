//! Both kinds of datagram sockets, as the tests of datagram endpoints need to know them, and a protocol for either.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use ringloop::net::{DatagramSocket, UdpSocket, UnixDatagram};
use ringloop::protocol::{DatagramProtocol, DatagramTransport};

use super::{Log, named};

/// Longer than a datagram may be.
pub(super) const TOO_LONG: &[u8] = &[0; 1 << 20];

/// A kind of sockets, as far as the tests need to know.
pub(super) trait Kind: DatagramSocket {
    /// A new one, and its address.
    async fn bound() -> (Self, Self::Addr);
    async fn bound_to(address: &Self::Addr) -> Self;
    async fn connected(self, to: &Self::Addr) -> Self;
    async fn tell(&self, bytes: &[u8], to: &Self::Addr);
    async fn hear(&self) -> Vec<u8>;
    fn hears_nothing(&self) -> bool;
}

impl Kind for UdpSocket {
    async fn bound() -> (Self, SocketAddr) {
        let socket = Self::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    async fn bound_to(address: &SocketAddr) -> Self {
        Self::bind(address).await.unwrap()
    }

    async fn connected(self, to: &SocketAddr) -> Self {
        self.connect(to).await.unwrap();
        self
    }

    async fn tell(&self, bytes: &[u8], to: &SocketAddr) {
        self.send_to(bytes, to).await.unwrap();
    }

    async fn hear(&self) -> Vec<u8> {
        self.recv_chunk().await.unwrap().to_vec()
    }

    fn hears_nothing(&self) -> bool {
        self.try_recv(&mut []).unwrap_err().kind() == ErrorKind::WouldBlock
    }
}

impl Kind for UnixDatagram {
    async fn bound() -> (Self, UnixAddr) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringloop-transports-{}-{number}", std::process::id());
        let address = UnixAddr::from_abstract_name(name).unwrap();
        (Self::bind_addr(&address).unwrap(), address)
    }

    async fn bound_to(address: &UnixAddr) -> Self {
        // The one before may be about to close.
        loop {
            match Self::bind_addr(address) {
                Ok(socket) => return socket,
                Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
            }
            ringloop::task::yield_now().await;
        }
    }

    async fn connected(self, to: &UnixAddr) -> Self {
        self.connect_addr(to).await.unwrap();
        self
    }

    async fn tell(&self, bytes: &[u8], to: &UnixAddr) {
        self.send_to_addr(bytes, to).await.unwrap();
    }

    async fn hear(&self) -> Vec<u8> {
        self.recv_chunk().await.unwrap().0.to_vec()
    }

    fn hears_nothing(&self) -> bool {
        self.try_recv(&mut []).unwrap_err().kind() == ErrorKind::WouldBlock
    }
}

/// An address in words: std's of Unix sockets cannot be compared.
pub(super) fn text(address: impl std::fmt::Debug) -> String {
    format!("{address:?}")
}

type Doing<S> = Box<dyn FnMut(&str, &DatagramTransport<S>)>;

/// Notes its callbacks, before doing in each what the test says.
pub(super) struct Noting<S: DatagramSocket> {
    log: Log,
    doing: Doing<S>,
    pub(super) from: Rc<RefCell<Vec<String>>>,
}

impl<S: DatagramSocket> Noting<S> {
    pub(super) fn new(log: &Log, doing: impl FnMut(&str, &DatagramTransport<S>) + 'static) -> Self {
        Self { log: log.clone(), doing: Box::new(doing), from: Rc::default() }
    }

    pub(super) fn quiet(log: &Log) -> Self {
        Self::new(log, |_, _| {})
    }
}

impl<S: DatagramSocket> DatagramProtocol<S> for Noting<S> {
    fn connection_made(&mut self, transport: &DatagramTransport<S>) {
        self.log.note("made");
        (self.doing)("made", transport);
    }

    fn datagram_received(&mut self, transport: &DatagramTransport<S>, data: &[u8], from: S::Addr) {
        self.log.note(format!("<{}>", data.escape_ascii()));
        self.from.borrow_mut().push(text(from));
        (self.doing)("datagram", transport);
    }

    fn error_received(&mut self, transport: &DatagramTransport<S>, error: io::Error) {
        self.log.note(format!("error:{}", named(&error)));
        (self.doing)("error", transport);
    }

    fn pause_writing(&mut self, transport: &DatagramTransport<S>) {
        self.log.note("pause");
        (self.doing)("pause", transport);
    }

    fn resume_writing(&mut self, transport: &DatagramTransport<S>) {
        self.log.note("resume");
        (self.doing)("resume", transport);
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        let error = error.map_or_else(String::new, |error| format!(":{}", named(&error)));
        self.log.note(format!("lost{error}"));
    }
}
