//! Connections of protocols.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use ringloop::net::{DatagramSocket, TcpListener, UdpSocket, UnixDatagram, UnixListener, pipe};
use ringloop::protocol::{
    DatagramProtocol, DatagramTransport, Protocol, Transport, connect_accepted_socket,
    connect_read_pipe, connect_write_pipe, create_connection, create_datagram_endpoint,
    create_unix_connection,
};

use super::cut::{Cut, How};
use super::{Case, Ends, balanced, case, once};
use crate::tcp::{LOCAL, pair};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("create_connection"; connecting()),
        case!("connect_accepted_socket"; taking_over()),
        case!("create_unix_connection"; connecting_by_path()),
        case!("connect_read_pipe"; reading_a_pipe()),
        case!("connect_write_pipe"; writing_a_pipe()),
        case!("Transport::wait_closed"; closing()),
        case!("create_datagram_endpoint"; taking_over_udp()),
        case!("create_datagram_endpoint"; taking_over_unix_datagrams()),
        case!("DatagramTransport::wait_closed"; closing_udp()),
        case!("DatagramTransport::wait_closed"; closing_with_a_full_peer()),
    ]
}

/// Notes its callbacks.
#[derive(Clone, Default)]
struct Noting(Rc<RefCell<Vec<&'static str>>>);

impl Protocol for Noting {
    fn connection_made(&mut self, _transport: &Transport) {
        self.0.borrow_mut().push("made");
    }

    fn data_received(&mut self, _transport: &Transport, data: &[u8]) {
        assert_eq!(data, b"hello");
        self.0.borrow_mut().push("data");
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        assert!(error.is_none(), "{error:?}");
        self.0.borrow_mut().push("lost");
    }
}

impl<S: DatagramSocket> DatagramProtocol<S> for Noting {
    fn connection_made(&mut self, _transport: &DatagramTransport<S>) {
        self.0.borrow_mut().push("made");
    }

    fn datagram_received(&mut self, _: &DatagramTransport<S>, data: &[u8], _: S::Addr) {
        assert_eq!(data, b"hello");
        self.0.borrow_mut().push("data");
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        assert!(error.is_none(), "{error:?}");
        self.0.borrow_mut().push("lost");
    }
}

impl Noting {
    /// Whoever was not waited for is closed, and was told so if it was told of anything.
    async fn after(&self, cut: Cut, got: Option<io::Result<Transport>>) -> Ends {
        let ends = got.is_some();
        if let Some(transport) = got {
            let transport = transport.unwrap();
            assert_eq!(self.0.borrow()[0], "made");
            transport.close();
            transport.wait_closed().await;
        }
        if cut.how != How::Forgotten {
            balanced(&cut).await;
            let all = self.0.borrow().join(" ");
            assert!(["", "made lost", "made data lost"].contains(&&*all), "{all}");
        }
        ends
    }
}

async fn connecting(cut: Cut) -> Ends {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let (noting, to) = (Noting::default(), listener.local_addr().unwrap());
    let got = cut.off(create_connection(|| noting.clone(), to), || {}).await;
    let ends = noting.after(cut, got).await;
    // Not before: whom nobody has accepted is reset.
    drop(listener);
    ends
}

async fn taking_over(cut: Cut) -> Ends {
    let (ours, mut peer) = pair().await;
    peer.write_all(b"hello").await.unwrap();
    let noting = Noting::default();
    let got = cut.off(connect_accepted_socket(|| noting.clone(), ours), || {}).await;
    drop(peer);
    noting.after(cut, got).await
}

async fn closing(cut: Cut) -> Ends {
    let (ours, mut peer) = pair().await;
    let noting = Noting::default();
    let transport = connect_accepted_socket(|| noting.clone(), ours).await.unwrap();
    let got = cut.off(transport.wait_closed(), once(|| transport.close())).await;
    transport.wait_closed().await;
    assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(*noting.0.borrow(), ["made", "lost"]);
    got.is_some()
}

async fn taking_over_udp(cut: Cut) -> Ends {
    let socket = UdpSocket::bind(LOCAL).await.unwrap();
    let peer = std::net::UdpSocket::bind(LOCAL).unwrap();
    peer.send_to(b"hello", socket.local_addr().unwrap()).unwrap();
    taking_over_datagrams(cut, socket).await
}

async fn taking_over_unix_datagrams(cut: Cut) -> Ends {
    let (socket, peer) = UnixDatagram::pair().unwrap();
    peer.send(b"hello").await.unwrap();
    taking_over_datagrams(cut, socket).await
}

async fn taking_over_datagrams<S: DatagramSocket>(cut: Cut, socket: S) -> Ends {
    let noting = Noting::default();
    let got = cut.off(create_datagram_endpoint(|| noting.clone(), socket), || {}).await;
    let ends = got.is_some();
    if let Some(transport) = got {
        transport.unwrap().close();
    }
    if cut.how != How::Forgotten {
        balanced(&cut).await;
        let all = noting.0.borrow().join(" ");
        assert!(["", "made lost", "made data lost"].contains(&&*all), "{all}");
    }
    ends
}

async fn closing_udp(cut: Cut) -> Ends {
    let socket = UdpSocket::bind(LOCAL).await.unwrap();
    let noting = Noting::default();
    let transport = create_datagram_endpoint(|| noting.clone(), socket).await.unwrap();
    let got = cut.off(transport.wait_closed(), once(|| transport.close())).await;
    transport.wait_closed().await;
    assert_eq!(*noting.0.borrow(), ["made", "lost"]);
    got.is_some()
}

/// What waits for room goes first.
async fn closing_with_a_full_peer(cut: Cut) -> Ends {
    let (socket, peer) = UnixDatagram::pair().unwrap();
    let noting = Noting::default();
    let transport = create_datagram_endpoint(|| noting.clone(), socket).await.unwrap();
    let mut sent = 0;
    while transport.get_write_buffer_size() == 0 && !transport.is_closing() {
        transport.send(b"full").unwrap();
        sent += 1;
    }
    transport.close();
    let read = || {
        assert_eq!(peer.try_recv(&mut [0; 8]).unwrap(), 4);
        sent -= 1;
    };
    let got = cut.off(transport.wait_closed(), once(read)).await;
    for _ in 0..sent {
        peer.recv(&mut [0; 8]).await.unwrap();
    }
    transport.wait_closed().await;
    assert_eq!(*noting.0.borrow(), ["made", "lost"]);
    got.is_some()
}

async fn connecting_by_path(cut: Cut) -> Ends {
    let name = format!("ringloop-protocols-{}.socket", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).await.unwrap();
    let noting = Noting::default();
    let got = cut.off(create_unix_connection(|| noting.clone(), &path), || {}).await;
    // Who has not been accepted when it goes is reset.
    let ends = noting.after(cut, got).await;
    drop(listener);
    ends
}

async fn reading_a_pipe(cut: Cut) -> Ends {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"hello").await.unwrap();
    let noting = Noting::default();
    let got = cut.off(connect_read_pipe(|| noting.clone(), reader), || {}).await;
    drop(writer);
    noting.after(cut, got).await
}

async fn writing_a_pipe(cut: Cut) -> Ends {
    let (reader, writer) = pipe().unwrap();
    let noting = Noting::default();
    let got = cut.off(connect_write_pipe(|| noting.clone(), writer), || {}).await;
    let ends = noting.after(cut, got).await;
    drop(reader);
    ends
}
