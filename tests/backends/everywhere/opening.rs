//! Listeners, connections, and waiting for foreign descriptors.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as StdStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ringloop::net::{
    Interest, NameLookup, Readiness, TcpConnector, TcpListener, TcpListenerOptions, TcpStream,
    lookup_addr, lookup_host,
};

use super::cut::{Cut, How};
use super::{Case, Ends, balanced, case, once};
use crate::tcp::{LOCAL, until};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("TcpListener::bind"; bind()),
        case!("TcpListenerOptions::bind"; bind_with_options()),
        case!("TcpListener::bind"; bind_by_name()),
        case!("TcpListener::bind_each"; bind_each()),
        case!("TcpListenerOptions::bind_each"; bind_each_with_options()),
        case!("TcpListener::accept"; accept()),
        case!("TcpStream::connect"; connect()),
        case!("TcpConnector::connect"; connect_to_one_of_several()),
        case!("TcpConnector::connect"; connect_in_time()),
        case!("TcpConnector::connect"; connect_by_name()),
        case!("lookup_host"; look_up_host()),
        case!("lookup_addr"; look_up_addr()),
        case!("NameLookup::look_up"; look_up_name()),
        case!("Readiness::readable"; readable()),
        case!("Readiness::writable"; writable()),
        case!("Readiness::ready"; ready()),
        case!("Readiness::async_io"; async_io()),
    ]
}

/// A port that somebody else has, for the moment: a bind waits a few turns for it. On an address of
/// this process, where nobody's outgoing connection takes it meanwhile.
pub(super) fn taken_for_a_moment() -> std::net::TcpListener {
    let [.., a, b] = std::process::id().to_be_bytes();
    std::net::TcpListener::bind((std::net::Ipv4Addr::new(127, 1, a, b), 0)).unwrap()
}

fn somebody() -> std::net::TcpListener {
    std::net::TcpListener::bind(LOCAL).unwrap()
}

async fn bind(cut: Cut) -> Ends {
    let taken = taken_for_a_moment();
    let address = taken.local_addr().unwrap();
    let got = cut.off(TcpListener::bind(address), once(|| drop(taken))).await;
    let ends = got.map(Result::unwrap).is_some();
    is_free(address).await;
    ends
}

async fn bind_with_options(cut: Cut) -> Ends {
    let taken = taken_for_a_moment();
    let address = taken.local_addr().unwrap();
    let options = TcpListenerOptions::new();
    let got = cut.off(options.bind(address), once(|| drop(taken))).await;
    let ends = got.map(Result::unwrap).is_some();
    is_free(address).await;
    ends
}

async fn bind_by_name(cut: Cut) -> Ends {
    let got = cut.off(TcpListener::bind("localhost:0"), || {}).await;
    let ends = got.map(Result::unwrap).is_some();
    drop(TcpListener::bind("localhost:0").await.unwrap());
    ends
}

async fn bind_each(cut: Cut) -> Ends {
    let taken = taken_for_a_moment();
    let address = taken.local_addr().unwrap();
    let another = taken_for_a_moment().local_addr().unwrap();
    let both = [another, address];
    let got = cut.off(TcpListener::bind_each(&both[..]), once(|| drop(taken))).await;
    let ends = got.map(|listeners| assert_eq!(listeners.unwrap().len(), 2)).is_some();
    if cut.how != How::Forgotten {
        is_free(another).await;
    }
    is_free(address).await;
    ends
}

async fn bind_each_with_options(cut: Cut) -> Ends {
    let options = TcpListenerOptions::new();
    let got = cut.off(options.bind_each("localhost:0"), || {}).await;
    let ends = got.map(|listeners| assert!(!listeners.unwrap().is_empty())).is_some();
    drop(TcpListener::bind_each("localhost:0").await.unwrap());
    ends
}

/// Nobody kept the port, and it can be listened on.
pub(super) async fn is_free(address: std::net::SocketAddr) {
    let listener = TcpListener::bind(address).await.unwrap();
    let dialled = StdStream::connect(address).unwrap();
    let (_, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, dialled.local_addr().unwrap());
}

async fn accept(cut: Cut) -> Ends {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut dialled = None;
    let dial = once(|| dialled = Some(StdStream::connect(address).unwrap()));
    let got = cut.off(listener.accept(), dial).await;
    let ends = got.is_some();
    let (mut stream, peer) = match got {
        Some(accepted) => accepted.unwrap(),
        None => listener.accept().await.unwrap(),
    };
    let mut dialled = dialled.unwrap();
    assert_eq!(peer, dialled.local_addr().unwrap());
    stream.write_all(b"welcome").await.unwrap();
    drop(stream);
    // Not before it has left.
    dialled.set_nonblocking(true).unwrap();
    let mut all = Vec::new();
    until(|| match dialled.read_to_end(&mut all) {
        Err(e) => e.kind() != ErrorKind::WouldBlock,
        Ok(_) => true,
    })
    .await;
    assert_eq!(all, b"welcome");
    // The next one is accepted, too.
    let next = StdStream::connect(address).unwrap();
    assert_eq!(listener.accept().await.unwrap().1, next.local_addr().unwrap());
    ends
}

/// Every connection that came about and was not handed out is closed; the next dial works.
async fn nobody_is_left(cut: Cut, listener: std::net::TcpListener, got: Option<TcpStream>) -> Ends {
    let ends = got.is_some();
    if let Some(mut stream) = got {
        stream.write_all(b"x").await.unwrap();
    }
    if cut.how != How::Forgotten {
        balanced(&cut).await;
    }
    listener.set_nonblocking(true).unwrap();
    let mut all = Vec::new();
    while let Ok((mut theirs, _)) = listener.accept() {
        if cut.how == How::Forgotten {
            continue;
        }
        theirs.set_nonblocking(true).unwrap();
        until(|| match theirs.read_to_end(&mut all) {
            Err(e) => e.kind() != ErrorKind::WouldBlock,
            Ok(_) => true,
        })
        .await;
    }
    assert!(cut.how == How::Forgotten || all.len() == usize::from(ends));
    drop(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
    ends
}

async fn connect(cut: Cut) -> Ends {
    let listener = somebody();
    let address = listener.local_addr().unwrap();
    let got = cut.off(TcpStream::connect(address), || {}).await;
    nobody_is_left(cut, listener, got.map(Result::unwrap)).await
}

async fn connect_to_one_of_several(cut: Cut) -> Ends {
    let listener = somebody();
    let address = listener.local_addr().unwrap();
    let mut connector = TcpConnector::new();
    connector.happy_eyeballs_delay(Duration::ZERO).total_timeout(Duration::from_secs(30));
    let several = [address; 3];
    let got = cut.off(connector.connect(&several[..]), || {}).await;
    nobody_is_left(cut, listener, got.map(Result::unwrap)).await
}

async fn look_up_host(cut: Cut) -> Ends {
    let got = cut.off(lookup_host("localhost:1"), || {}).await;
    let ends = got.is_some();
    let found = match got {
        Some(found) => found,
        None => lookup_host("localhost:1").await,
    };
    assert!(found.unwrap().all(|address| address.ip().is_loopback()));
    ends
}

async fn look_up_addr(cut: Cut) -> Ends {
    let address = "127.0.0.1:1".parse().unwrap();
    let got = cut.off(lookup_addr(address), || {}).await;
    got.map(|names| assert_ne!(names.unwrap().0, "")).is_some()
}

async fn look_up_name(cut: Cut) -> Ends {
    let address = "127.0.0.1:1".parse().unwrap();
    let mut numeric = NameLookup::new();
    numeric.numeric_host(true).numeric_service(true);
    let got = cut.off(numeric.look_up(address), || {}).await;
    let ends = got.is_some();
    let names = match got {
        Some(names) => names,
        None => numeric.look_up(address).await,
    };
    assert_eq!(names.unwrap(), ("127.0.0.1".to_owned(), "1".to_owned()));
    ends
}

async fn connect_in_time(cut: Cut) -> Ends {
    let listener = somebody();
    let address = listener.local_addr().unwrap();
    let mut connector = TcpConnector::new();
    connector.timeout(Duration::from_secs(30)).nodelay(true);
    let got = cut.off(connector.connect(address), || {}).await;
    nobody_is_left(cut, listener, got.map(Result::unwrap)).await
}

async fn connect_by_name(cut: Cut) -> Ends {
    let listener = somebody();
    let port = listener.local_addr().unwrap().port();
    let got = cut.off(TcpConnector::new().connect(("localhost", port)), || {}).await;
    nobody_is_left(cut, listener, got.map(Result::unwrap)).await
}

async fn readable(cut: Cut) -> Ends {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let readiness = Readiness::new(&ours).unwrap();
    let got = cut.off(readiness.readable(), once(|| theirs.write_all(b"x").unwrap())).await;
    let ends = got.map(Result::unwrap).is_some();
    readiness.readable().await.unwrap();
    assert_eq!((&ours).read(&mut [0; 2]).unwrap(), 1);
    ends
}

async fn writable(cut: Cut) -> Ends {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    while (&ours).write(&[0; 1 << 14]).is_ok() {}
    theirs.set_nonblocking(true).unwrap();
    let drain = once(|| while theirs.read(&mut [0; 1 << 14]).is_ok() {});
    let readiness = Readiness::new(&ours).unwrap();
    let got = cut.off(readiness.writable(), drain).await;
    let ends = got.map(Result::unwrap).is_some();
    readiness.writable().await.unwrap();
    assert_eq!((&ours).write(b"x").unwrap(), 1);
    ends
}

async fn ready(cut: Cut) -> Ends {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let readiness = Readiness::new(&reader).unwrap();
    let event = once(|| writer.write_all(b"x").unwrap());
    let got = cut.off(readiness.ready(Interest::READABLE), event).await;
    let ends = got.map(|ready| assert!(ready.unwrap().is_readable())).is_some();
    assert!(readiness.ready(Interest::READABLE).await.unwrap().is_readable());
    ends
}

async fn async_io(cut: Cut) -> Ends {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let readiness = Readiness::new(&ours).unwrap();
    let mut buf = [0; 8];
    let read = readiness.async_io(Interest::READABLE, || (&ours).read(&mut buf));
    let got = cut.off(read, once(|| theirs.write_all(b"hello").unwrap())).await;
    let ends = got.map(|n| assert_eq!(n.unwrap(), 5)).is_some();
    if !ends {
        let read = readiness.async_io(Interest::READABLE, || (&ours).read(&mut buf));
        assert_eq!(read.await.unwrap(), 5, "a call that was cut off has taken something");
    }
    ends
}
