//! Datagrams: those that were not taken come later, whole and in order; those that were not sent never do.

use std::io;
use std::os::unix::net::UnixDatagram as StdDatagram;

use ringloop::net::{Transmit, UdpSocket, UdpSocketOptions, UnixDatagram};

use super::cut::Cut;
use super::{Case, Ends, case, once};
use crate::udp::{address, with_std};
use crate::unix_datagram::name;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("UdpSocket::bind"; bind(false)),
        case!("UdpSocketOptions::bind"; bind(true)),
        case!("UdpSocket::connect"; connect()),
        case!("UdpSocket::into_std"; into_std()),
        case!("UdpSocket::send"; send(Send::Plain)),
        case!("UdpSocket::send_to"; send(Send::To)),
        case!("UdpSocket::send_segments"; send(Send::Segments)),
        case!("UdpSocket::send_batch"; send(Send::Batch)),
        case!("UdpSocket::recv"; receive(Receive::Slice)),
        case!("UdpSocket::recv_from"; receive(Receive::From)),
        case!("UdpSocket::recv_chunk"; receive(Receive::Chunk)),
        case!("UdpSocket::recv_batch"; receive(Receive::Batch)),
        case!("UdpSocket::peek"; receive(Receive::Peek)),
        case!("UdpSocket::peek_from"; receive(Receive::PeekFrom)),
        case!("UdpSocket::readable"; receive(Receive::Readable)),
        case!("UnixDatagram::connect", "UnixDatagram::connect_addr"; connect_unix()),
        case!("UnixDatagram::send"; send_unix(Send::Plain)),
        case!("UnixDatagram::send_to", "UnixDatagram::send_to_addr"; send_unix(Send::To)),
        case!("UnixDatagram::recv"; receive_unix(Receive::Slice)),
        case!("UnixDatagram::recv_from"; receive_unix(Receive::From)),
        case!("UnixDatagram::recv_chunk"; receive_unix(Receive::Chunk)),
        case!("UnixDatagram::peek_from"; receive_unix(Receive::PeekFrom)),
        case!("UnixDatagram::readable"; receive_unix(Receive::Readable)),
    ]
}

const TEXT: &[u8] = b"hello, world";

#[derive(Clone, Copy)]
enum Send {
    Plain,
    To,
    Segments,
    Batch,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Receive {
    Slice,
    From,
    Chunk,
    Batch,
    Peek,
    PeekFrom,
    Readable,
}

impl Receive {
    /// Whether it leaves the datagram where it is.
    fn leaves(self) -> bool {
        matches!(self, Self::Peek | Self::PeekFrom | Self::Readable)
    }
}

/// Binds to a port that somebody else has for the moment: a bind waits a few turns for it.
async fn bind(cut: Cut, by_options: bool) -> Ends {
    let [.., a, b] = std::process::id().to_be_bytes();
    let here = (std::net::Ipv4Addr::new(127, 1, a, b), 0);
    let taken = std::net::UdpSocket::bind(here).unwrap();
    let address = address(&taken);
    let free = once(|| drop(taken));
    let options = UdpSocketOptions::new();
    let got = match by_options {
        true => cut.off(options.bind(address), free).await,
        false => cut.off(UdpSocket::bind(address), free).await,
    };
    let ends = got.map(Result::unwrap).is_some();
    // Nobody kept the port.
    let again = UdpSocket::bind(address).await.unwrap();
    assert_eq!(again.local_addr().unwrap(), address);
    ends
}

async fn connect(cut: Cut) -> Ends {
    let (ours, theirs) = with_std().await;
    let got = cut.off(ours.connect(address(&theirs)), || {}).await;
    let ends = got.map(Result::unwrap).is_some();
    ours.connect(address(&theirs)).await.unwrap();
    ours.send(TEXT).await.unwrap();
    assert_eq!(theirs.recv(&mut [0; 64]).unwrap(), TEXT.len());
    ends
}

async fn into_std(cut: Cut) -> Ends {
    let (ours, theirs) = with_std().await;
    theirs.send(TEXT).unwrap();
    assert_eq!(&ours.recv_chunk().await.unwrap()[..], TEXT);
    // One is parked, another is on its way.
    theirs.send(b"parked").unwrap();
    ours.readable().await.unwrap();
    let got = cut.off(ours.into_std(), once(|| _ = theirs.send(b"last"))).await;
    let Some(got) = got else { return false };
    let (std, parked) = got.unwrap();
    let mut all: Vec<Vec<u8>> = parked.iter().map(|datagram| datagram.to_vec()).collect();
    // Another may have been on its way before it was there.
    theirs.send(b"end").unwrap();
    while all.last().is_none_or(|last| last != b"end") {
        let mut buf = [0; 64];
        let n = std.recv(&mut buf).unwrap();
        all.push(buf[..n].to_vec());
    }
    assert_eq!(all, [&b"parked"[..], b"last", b"end"]);
    true
}

async fn send_by(socket: &UdpSocket, to: std::net::SocketAddr, how: Send) -> io::Result<()> {
    match how {
        Send::Plain => socket.send(TEXT).await.map(drop),
        Send::To => socket.send_to(TEXT, to).await.map(drop),
        Send::Segments => socket.send_segments(TEXT, 100, to).await,
        Send::Batch => socket.send_batch(&[Transmit::new(TEXT)]).await.map(drop),
    }
}

/// It has gone as a whole, once, or not at all.
async fn send(cut: Cut, how: Send) -> Ends {
    let (ours, theirs) = with_std().await;
    let to = address(&theirs);
    ours.connect(to).await.unwrap();
    let got = cut.off(send_by(&ours, to, how), || {}).await;
    let ends = got.map(Result::unwrap).is_some();
    ours.send(b"end").await.unwrap();
    let mut buf = [0; 64];
    if ends {
        assert_eq!(theirs.recv(&mut buf).unwrap(), TEXT.len());
        assert_eq!(&buf[..TEXT.len()], TEXT);
    }
    assert_eq!(theirs.recv(&mut buf).unwrap(), 3, "it has gone although nobody was told");
    ends
}

async fn receive_by(socket: &UdpSocket, how: Receive) -> io::Result<Vec<u8>> {
    let mut buf = [0; 64];
    let len = match how {
        Receive::Slice => socket.recv(&mut buf).await?,
        Receive::From => socket.recv_from(&mut buf).await?.0,
        Receive::Chunk => return socket.recv_chunk().await.map(|datagram| datagram.to_vec()),
        Receive::Batch => {
            let mut into = Vec::new();
            socket.recv_batch(&mut into, 1).await?;
            return Ok(into[0].to_vec());
        }
        Receive::Peek => socket.peek(&mut buf).await?,
        Receive::PeekFrom => socket.peek_from(&mut buf).await?.0,
        Receive::Readable => {
            socket.readable().await?;
            return Ok(TEXT.to_vec());
        }
    };
    Ok(buf[..len].to_vec())
}

async fn receive(cut: Cut, how: Receive) -> Ends {
    let (ours, theirs) = with_std().await;
    let got = cut.off(receive_by(&ours, how), once(|| _ = theirs.send(TEXT).unwrap())).await;
    let ends = got.is_some();
    if let Some(got) = got {
        assert_eq!(got.unwrap(), TEXT);
    }
    theirs.send(b"and more").unwrap();
    if !ends || how.leaves() {
        assert_eq!(&ours.recv_chunk().await.unwrap()[..], TEXT);
    }
    assert_eq!(&ours.recv_chunk().await.unwrap()[..], b"and more");
    ends
}

async fn connect_unix(cut: Cut) -> Ends {
    let name = name();
    let named = UnixDatagram::bind_addr(&name).unwrap();
    let ours = UnixDatagram::unbound().unwrap();
    let got = cut.off(ours.connect_addr(&name), || {}).await;
    let ends = got.map(Result::unwrap).is_some();
    ours.connect_addr(&name).await.unwrap();
    ours.send(TEXT).await.unwrap();
    assert_eq!(&named.recv_chunk().await.unwrap().0[..], TEXT);
    ends
}

/// The queue is full until the event.
async fn send_unix(cut: Cut, how: Send) -> Ends {
    let (ours, theirs) = StdDatagram::pair().unwrap();
    let name = name();
    let named = StdDatagram::bind_addr(&name).unwrap();
    for socket in [&theirs, &named] {
        socket.set_nonblocking(true).unwrap();
    }
    let ours = UnixDatagram::from_std(ours).unwrap();
    let (queue, to) = match how {
        Send::Plain => (&theirs, None),
        _ => (&named, Some(&name)),
    };
    let try_send = |bytes: &[u8]| match to {
        Some(to) => ours.try_send_to(bytes, to),
        None => ours.try_send(bytes),
    };
    let mut queued = 0;
    while try_send(b"full").is_ok() {
        queued += 1;
    }
    let drain = |queued: u32| {
        for _ in 0..queued {
            assert_eq!(queue.recv(&mut [0; 64]).unwrap(), 4);
        }
    };
    let send = async {
        match to {
            Some(to) => ours.send_to_addr(TEXT, to).await,
            None => ours.send(TEXT).await,
        }
    };
    let got = cut.off(send, once(|| drain(queued))).await;
    let ends = got.map(Result::unwrap).is_some();
    assert_eq!(try_send(b"end").unwrap(), 3);
    let mut buf = [0; 64];
    if ends {
        assert_eq!(queue.recv(&mut buf).unwrap(), TEXT.len());
    }
    assert_eq!(queue.recv(&mut buf).unwrap(), 3, "it has gone although nobody was told");
    ends
}

async fn receive_unix(cut: Cut, how: Receive) -> Ends {
    let (ours, theirs) = StdDatagram::pair().unwrap();
    let ours = UnixDatagram::from_std(ours).unwrap();
    let receive = async {
        let mut buf = [0; 64];
        let len = match how {
            Receive::Slice => ours.recv(&mut buf).await?,
            Receive::Chunk => return ours.recv_chunk().await.map(|(lease, _)| lease.to_vec()),
            Receive::PeekFrom => ours.peek_from(&mut buf).await?.0,
            Receive::Readable => return ours.readable().await.map(|()| TEXT.to_vec()),
            _ => ours.recv_from(&mut buf).await?.0,
        };
        io::Result::Ok(buf[..len].to_vec())
    };
    let got = cut.off(receive, once(|| _ = theirs.send(TEXT).unwrap())).await;
    let ends = got.is_some();
    if let Some(got) = got {
        assert_eq!(got.unwrap(), TEXT);
    }
    theirs.send(b"and more").unwrap();
    if !ends || how.leaves() {
        assert_eq!(&ours.recv_chunk().await.unwrap().0[..], TEXT);
    }
    assert_eq!(&ours.recv_chunk().await.unwrap().0[..], b"and more");
    ends
}
