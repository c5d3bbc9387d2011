//! Unix sockets: as the files for TCP, in short.

use std::fs::File;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};

use bytes::Bytes;
use ringloop::net::{UnixListener, UnixListenerOptions, UnixStream};

use super::cut::{Cut, How};
use super::peer::{self, END, PIECE, Peer, fill};
use super::{Case, Ends, balanced, case, once};
use crate::support::poll_once as poll_now;
use crate::tcp::{pattern, poll_once, until};
use crate::unix::{Folder, with_std};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("UnixStream::read"; read()),
        case!("UnixStream::read_chunk"; read_chunk()),
        case!("UnixStream::peek"; peek()),
        case!("UnixStream::write_all"; write_all()),
        case!("UnixStream::write_bytes"; write_bytes()),
        case!("UnixStream::write_chunk"; write_chunk()),
        case!("UnixStream::write_vectored"; write_vectored()),
        case!("UnixStream::flush"; flush()),
        case!("UnixStream::shutdown"; shutdown()),
        case!("UnixStream::into_std"; into_std()),
        case!("UnixStream::connect", "UnixStream::connect_addr"; connect()),
        case!("UnixStream::connect"; connect_to_a_crowd()),
        case!("UnixListener::bind", "UnixListener::bind_addr"; bind()),
        case!("UnixListenerOptions::bind", "UnixListenerOptions::bind_addr"; bind_with_options()),
        case!("UnixListener::accept"; accept()),
        case!("UnixStream::recv_fds"; recv_fds(Of::Stream)),
        case!("ReadHalf::recv_fds"; recv_fds(Of::Half)),
        case!("OwnedReadHalf::recv_fds"; recv_fds(Of::OwnedHalf)),
        case!("UnixStream::send_fds"; send_fds(Of::Stream)),
        case!("WriteHalf::send_fds"; send_fds(Of::Half)),
        case!("OwnedWriteHalf::send_fds"; send_fds(Of::OwnedHalf)),
    ]
}

#[derive(Clone, Copy)]
enum Of {
    Stream,
    Half,
    OwnedHalf,
}

const TEXT: &[u8] = b"hello, world";

/// Reads what is left of [`TEXT`].
async fn the_rest_comes(ours: &mut UnixStream, mut all: Vec<u8>) {
    while all.len() < TEXT.len() {
        let mut buf = [0; 5];
        let n = ours.read(&mut buf).await.unwrap();
        assert_ne!(n, 0, "the end after {all:?}");
        all.extend_from_slice(&buf[..n]);
    }
    assert_eq!(all, TEXT);
}

async fn read(cut: Cut) -> Ends {
    let (mut ours, mut theirs) = with_std();
    let mut buf = vec![0; 7];
    let got = cut.off(ours.read(&mut buf), once(|| theirs.write_all(TEXT).unwrap())).await;
    let all = got.as_ref().map_or(Vec::new(), |n| buf[..*n.as_ref().unwrap()].to_vec());
    drop(buf);
    the_rest_comes(&mut ours, all).await;
    got.is_some()
}

async fn read_chunk(cut: Cut) -> Ends {
    let (mut ours, mut theirs) = with_std();
    let got = cut.off(ours.read_chunk(), once(|| theirs.write_all(TEXT).unwrap())).await;
    let ends = got.is_some();
    let all = got.map_or(Vec::new(), |lease| lease.unwrap().unwrap().to_vec());
    the_rest_comes(&mut ours, all).await;
    ends
}

async fn peek(cut: Cut) -> Ends {
    let (mut ours, mut theirs) = with_std();
    let mut buf = vec![0; 7];
    let got = cut.off(ours.peek(&mut buf), once(|| theirs.write_all(TEXT).unwrap())).await;
    the_rest_comes(&mut ours, Vec::new()).await;
    got.is_some()
}

/// A stream that will soon take no more, and its peer, which does not wait when it reads.
fn narrow() -> (UnixStream, Peer<StdStream>) {
    let (ours, theirs) = with_std();
    ours.set_send_buffer_size(8 << 10).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (ours, Peer::that_may_be_reset(theirs))
}

/// A stream whose outbox is full of the pattern.
async fn full() -> (UnixStream, Peer<StdStream>) {
    let (mut ours, peer) = narrow();
    fill(ours.write_all(pattern(0, 1 << 20))).await;
    (ours, peer)
}

/// The last write. Then the stream is dropped.
async fn last(mut ours: UnixStream, peer: &mut Peer<StdStream>) {
    peer::last(ours.write_all(END), peer).await;
}

async fn write_all(cut: Cut) -> Ends {
    const LEN: usize = 400_000;
    let (mut ours, mut peer) = narrow();
    let bytes = pattern(0, LEN).to_vec();
    let got = cut.off(ours.write_all(&bytes), || peer.drain()).await;
    drop(bytes);
    let ends = got.map(Result::unwrap).is_some();
    last(ours, &mut peer).await;
    let len = peer.sees(false, true).await;
    assert!(len == LEN || !ends, "a write that was done is whole");
    ends
}

async fn write_bytes(cut: Cut) -> Ends {
    let (mut ours, mut peer) = full().await;
    let got = cut.off(ours.write_bytes(Bytes::from(PIECE.to_vec())), || peer.drain()).await;
    let ends = got.map(Result::unwrap).is_some();
    last(ours, &mut peer).await;
    peer.sees(ends, true).await;
    ends
}

async fn write_chunk(cut: Cut) -> Ends {
    let (mut one, mut other) = with_std();
    other.write_all(PIECE).unwrap();
    let lease = one.read_chunk().await.unwrap().unwrap();
    let (mut ours, mut peer) = full().await;
    let got = cut.off(ours.write_chunk(lease), || peer.drain()).await;
    let ends = got.map(Result::unwrap).is_some();
    last(ours, &mut peer).await;
    peer.sees(ends, true).await;
    ends
}

async fn write_vectored(cut: Cut) -> Ends {
    let (mut ours, mut peer) = full().await;
    let slices = [IoSlice::new(&PIECE[..10]), IoSlice::new(&PIECE[10..])];
    let got = cut.off(ours.write_vectored(&slices), || peer.drain()).await;
    let ends = got.map(|n| assert_eq!(n.unwrap(), PIECE.len())).is_some();
    last(ours, &mut peer).await;
    peer.sees(ends, true).await;
    ends
}

async fn flush(cut: Cut) -> Ends {
    let (mut ours, mut peer) = full().await;
    let got = cut.off(ours.flush(), || peer.drain()).await;
    last(ours, &mut peer).await;
    peer.sees(false, true).await;
    got.map(Result::unwrap).is_some()
}

async fn shutdown(cut: Cut) -> Ends {
    let (mut ours, mut peer) = full().await;
    let got = cut.off(ours.shutdown(Shutdown::Write), || peer.drain()).await;
    let ends = got.map(Result::unwrap).is_some();
    // The other direction goes on in any case.
    peer.stream.write_all(b"x").unwrap();
    assert_eq!(ours.read(&mut [0]).await.unwrap(), 1);
    match ends {
        true => drop(ours),
        false => last(ours, &mut peer).await,
    }
    peer.sees(false, !ends).await;
    ends
}

async fn into_std(cut: Cut) -> Ends {
    let (mut ours, mut peer) = full().await;
    // A receive is in flight: it has to end first.
    assert!(poll_once(&mut Box::pin(ours.read(&mut [0]))).await.is_pending());
    let mut theirs = peer.stream.try_clone().unwrap();
    let mut greet = once(move || theirs.write_all(b"hello").unwrap());
    let event = || {
        greet();
        peer.drain();
    };
    let Some(got) = cut.off(ours.into_std(), event).await else {
        // The stream went with it: in the background, or nowhere.
        if cut.how == How::Dropped {
            peer.sees(false, false).await;
        }
        return false;
    };
    let (mut std, parked) = got.unwrap();
    let mut all = parked.to_vec();
    while all.len() < 5 {
        let mut buf = [0; 8];
        let n = std.read(&mut buf).unwrap();
        all.extend_from_slice(&buf[..n]);
    }
    assert_eq!(all, b"hello");
    std.write_all(END).unwrap();
    drop(std);
    peer.sees(false, true).await;
    true
}

async fn connect(cut: Cut) -> Ends {
    let folder = Folder::new();
    let path = folder.join("socket");
    let listener = StdListener::bind(&path).unwrap();
    let got = cut.off(UnixStream::connect(&path), || {}).await;
    let ends = got.is_some();
    if let Some(stream) = got {
        stream.unwrap().write_all(b"x").await.unwrap();
    }
    if cut.how != How::Forgotten {
        balanced(&cut).await;
        listener.set_nonblocking(true).unwrap();
        while let Ok((mut theirs, _)) = listener.accept() {
            let mut all = Vec::new();
            theirs.set_nonblocking(true).unwrap();
            // The close of what was given up is on its way.
            until(|| match theirs.read_to_end(&mut all) {
                Err(e) => e.kind() != ErrorKind::WouldBlock,
                Ok(_) => true,
            })
            .await;
            assert_eq!(all.len(), usize::from(ends));
        }
    }
    let address = SocketAddr::from_pathname(&path).unwrap();
    drop(UnixStream::connect_addr(&address).await.unwrap());
    ends
}

/// The backlog is full, until the event.
async fn connect_to_a_crowd(cut: Cut) -> Ends {
    let folder = Folder::new();
    let path = folder.join("socket");
    let listener = UnixListenerOptions::new().backlog(1).bind(&path).await.unwrap();
    let crowd: Vec<_> = [(); 2].map(|()| StdStream::connect(&path).unwrap()).into();
    // Accepting goes on by itself.
    let accept = once(|| assert!(poll_now(&mut Box::pin(listener.accept())).is_pending()));
    let got = cut.off(UnixStream::connect(&path), accept).await;
    let ends = got.map(Result::unwrap).is_some();
    for _ in &crowd {
        drop(listener.accept().await.unwrap());
    }
    drop(UnixStream::connect(&path).await.unwrap());
    ends
}

async fn bind(cut: Cut) -> Ends {
    let folder = Folder::new();
    let name = format!("\0{}", folder.path().display());
    // Somebody has the name for a moment.
    let taken = StdListener::bind_addr(&abstract_addr(&name[1..])).unwrap();
    let got = cut.off(UnixListener::bind(&name), once(|| drop(taken))).await;
    let ends = got.map(Result::unwrap).is_some();
    drop(UnixListener::bind_addr(&abstract_addr(&name[1..])).await.unwrap());
    ends
}

async fn bind_with_options(cut: Cut) -> Ends {
    let folder = Folder::new();
    let name = format!("\0{}", folder.path().display());
    let taken = StdListener::bind_addr(&abstract_addr(&name[1..])).unwrap();
    let options = UnixListenerOptions::new();
    let got = cut.off(options.bind(&name), once(|| drop(taken))).await;
    let ends = got.map(Result::unwrap).is_some();
    drop(options.bind_addr(&abstract_addr(&name[1..])).await.unwrap());
    ends
}

fn abstract_addr(name: &str) -> SocketAddr {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name).unwrap()
}

async fn accept(cut: Cut) -> Ends {
    let folder = Folder::new();
    let path = folder.join("socket");
    let listener = UnixListener::bind(&path).await.unwrap();
    let mut dialled = None;
    let dial = once(|| dialled = Some(StdStream::connect(&path).unwrap()));
    let got = cut.off(listener.accept(), dial).await;
    let ends = got.is_some();
    let (mut stream, _) = match got {
        Some(accepted) => accepted.unwrap(),
        None => listener.accept().await.unwrap(),
    };
    let mut dialled = dialled.unwrap();
    stream.write_all(b"welcome").await.unwrap();
    stream.flush().await.unwrap();
    let mut all = [0; 7];
    dialled.read_exact(&mut all).unwrap();
    assert_eq!(&all, b"welcome");
    // The next one is accepted, too.
    let _next = StdStream::connect(&path).unwrap();
    listener.accept().await.unwrap();
    ends
}

/// Reads [`TEXT`], which one descriptor comes along with, by a read that may be cut off and more.
macro_rules! receives {
    ($reader:expr, $cut:ident, $send:ident) => {{
        let mut buf = vec![0; 7];
        let got = $cut.off($reader.recv_fds(&mut buf), $send).await;
        let ends = got.is_some();
        let (n, mut fds) = got.map_or((0, Vec::new()), Result::unwrap);
        let mut all = buf[..n].to_vec();
        drop(buf);
        while all.len() < TEXT.len() {
            let mut buf = [0; 5];
            let (n, more) = $reader.recv_fds(&mut buf).await.unwrap();
            assert_ne!(n, 0, "the end after {all:?}");
            all.extend_from_slice(&buf[..n]);
            fds.extend(more);
        }
        assert_eq!((&all[..], fds.len()), (TEXT, 1));
        ends
    }};
}

async fn recv_fds(cut: Cut, of: Of) -> Ends {
    let (mut one, mut other) = UnixStream::pair().unwrap();
    let file = File::open("/proc/self/exe").unwrap();
    let mut send = Box::pin(async move { other.send_fds(TEXT, &[file.as_fd()]).await.unwrap() });
    // There is room: it is sent within the poll.
    let send = once(move || assert!(poll_now(&mut send).is_ready()));
    match of {
        Of::Stream => receives!(one, cut, send),
        Of::Half => {
            let (mut reader, _writer) = one.split();
            receives!(reader, cut, send)
        }
        Of::OwnedHalf => {
            let (mut reader, _writer) = one.into_split();
            receives!(reader, cut, send)
        }
    }
}

async fn send_fds(cut: Cut, of: Of) -> Ends {
    let (mut ours, mut peer) = full().await;
    let file = File::open("/proc/self/exe").unwrap();
    let fds = [file.as_fd()];
    let (got, ours) = match of {
        Of::Stream => (cut.off(ours.send_fds(PIECE, &fds), || peer.drain()).await, ours),
        Of::Half => {
            let got = cut.off(ours.split().1.send_fds(PIECE, &fds), || peer.drain()).await;
            (got, ours)
        }
        Of::OwnedHalf => {
            let (reader, mut writer) = ours.into_split();
            let got = cut.off(writer.send_fds(PIECE, &fds), || peer.drain()).await;
            (got, reader.reunite(writer).unwrap())
        }
    };
    let ends = got.map(Result::unwrap).is_some();
    last(ours, &mut peer).await;
    peer.sees(ends, true).await;
    ends
}
