//! UDP. What the tests share: pairs of sockets.

mod batches;
mod errors;
mod flow;
mod kernel;
mod python;
mod races;
mod receive;
mod send;

use std::net::SocketAddr;
use std::time::Duration;

use ringloop::net::UdpSocket;

pub(crate) const LOCAL: &str = "127.0.0.1:0";

/// A socket of ours, and its peer: a blocking one of std, connected to ours.
pub(crate) async fn with_std() -> (UdpSocket, std::net::UdpSocket) {
    let ours = UdpSocket::bind(LOCAL).await.unwrap();
    let theirs = std::net::UdpSocket::bind(LOCAL).unwrap();
    theirs.connect(ours.local_addr().unwrap()).unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (ours, theirs)
}

/// Two sockets of ours, connected to each other.
pub(crate) async fn pair() -> (UdpSocket, UdpSocket) {
    let one = UdpSocket::bind(LOCAL).await.unwrap();
    let other = UdpSocket::bind(LOCAL).await.unwrap();
    one.connect(other.local_addr().unwrap()).await.unwrap();
    other.connect(one.local_addr().unwrap()).await.unwrap();
    (one, other)
}

pub(crate) fn address(socket: &std::net::UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

/// An address at which nobody listens, and its port, which stays taken by nobody else.
pub(crate) fn nobody() -> SocketAddr {
    let somebody = std::net::UdpSocket::bind(LOCAL).unwrap();
    address(&somebody)
}
