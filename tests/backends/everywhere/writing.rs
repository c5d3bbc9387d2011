//! Writes: a prefix goes, in order, and what is written next comes behind it.

use std::io::{IoSlice, Read, Write};
use std::net::Shutdown;

use bytes::Bytes;
use ringloop::net::TcpStream;

use super::cut::{Cut, How};
use super::peer::{END, PIECE, Peer, fill, last};
use super::{Case, Ends, case, once};
use crate::tcp::{pattern, poll_once, until, with_std};

#[derive(Clone, Copy)]
enum Of {
    Stream,
    Half,
    OwnedHalf,
}

/// Runs `$body` with `$writer` being the writing side of `$stream`, which is dropped after that: what
/// was written leaves in the background, and then comes the end.
macro_rules! with_writer {
    ($of:expr, $stream:ident, $writer:ident => $body:expr) => {
        match $of {
            Of::Stream => {
                let mut whole = $stream;
                let $writer = &mut whole;
                $body
            }
            Of::Half => {
                let mut whole = $stream;
                let mut halves = whole.split();
                let $writer = &mut halves.1;
                $body
            }
            Of::OwnedHalf => {
                let (_read, mut half) = $stream.into_split();
                let $writer = &mut half;
                $body
            }
        }
    };
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("TcpStream::write_all"; write_all(Of::Stream)),
        case!("WriteHalf::write_all"; write_all(Of::Half)),
        case!("OwnedWriteHalf::write_all"; write_all(Of::OwnedHalf)),
        case!("TcpStream::write_bytes"; write_bytes(Of::Stream)),
        case!("WriteHalf::write_bytes"; write_bytes(Of::Half)),
        case!("OwnedWriteHalf::write_bytes"; write_bytes(Of::OwnedHalf)),
        case!("TcpStream::write_chunk"; write_chunk(Of::Stream)),
        case!("WriteHalf::write_chunk"; write_chunk(Of::Half)),
        case!("OwnedWriteHalf::write_chunk"; write_chunk(Of::OwnedHalf)),
        case!("TcpStream::write_vectored"; write_vectored(Of::Stream)),
        case!("WriteHalf::write_vectored"; write_vectored(Of::Half)),
        case!("OwnedWriteHalf::write_vectored"; write_vectored(Of::OwnedHalf)),
        case!("TcpStream::flush"; flush(Of::Stream)),
        case!("WriteHalf::flush"; flush(Of::Half)),
        case!("OwnedWriteHalf::flush"; flush(Of::OwnedHalf)),
        case!("TcpStream::shutdown"; shutdown()),
        case!("WriteHalf::shutdown"; shutdown_of_half(Of::Half)),
        case!("OwnedWriteHalf::shutdown"; shutdown_of_half(Of::OwnedHalf)),
        case!("TcpStream::into_std"; into_std()),
    ]
}

/// A stream that will soon take no more, and its peer, which does not wait when it reads.
async fn narrow() -> (TcpStream, Peer<std::net::TcpStream>) {
    let (ours, theirs) = with_std().await;
    ours.set_send_buffer_size(8 << 10).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (ours, Peer::new(theirs))
}

/// A stream whose outbox is full of the pattern.
async fn full() -> (TcpStream, Peer<std::net::TcpStream>) {
    let (mut ours, peer) = narrow().await;
    fill(ours.write_all(pattern(0, 1 << 20))).await;
    (ours, peer)
}

async fn write_all(cut: Cut, of: Of) -> Ends {
    const LEN: usize = 400_000;
    let (ours, mut peer) = narrow().await;
    let ends = with_writer!(of, ours, writer => {
        let bytes = pattern(0, LEN).to_vec();
        let got = cut.off(writer.write_all(&bytes), || peer.drain()).await;
        drop(bytes);
        last(writer.write_all(END), &mut peer).await;
        got.map(Result::unwrap).is_some()
    });
    let len = peer.sees(false, true).await;
    assert!(len == LEN || !ends, "a write that was done is whole");
    ends
}

async fn write_bytes(cut: Cut, of: Of) -> Ends {
    let (ours, mut peer) = full().await;
    let ends = with_writer!(of, ours, writer => {
        let bytes = Bytes::from(PIECE.to_vec());
        let got = cut.off(writer.write_bytes(bytes), || peer.drain()).await;
        last(writer.write_all(END), &mut peer).await;
        got.map(Result::unwrap).is_some()
    });
    peer.sees(ends, true).await;
    ends
}

async fn write_chunk(cut: Cut, of: Of) -> Ends {
    let (mut ours, mut peer) = narrow().await;
    peer.stream.write_all(PIECE).unwrap();
    let lease = ours.read_chunk().await.unwrap().unwrap();
    assert_eq!(&lease[..], PIECE);
    fill(ours.write_all(pattern(0, 1 << 20))).await;
    let ends = with_writer!(of, ours, writer => {
        let got = cut.off(writer.write_chunk(lease), || peer.drain()).await;
        last(writer.write_all(END), &mut peer).await;
        got.map(Result::unwrap).is_some()
    });
    peer.sees(ends, true).await;
    ends
}

async fn write_vectored(cut: Cut, of: Of) -> Ends {
    let (ours, mut peer) = full().await;
    let ends = with_writer!(of, ours, writer => {
        let (one, other) = (PIECE[..10].to_vec(), PIECE[10..].to_vec());
        let slices = [IoSlice::new(&one), IoSlice::new(&[]), IoSlice::new(&other)];
        let got = cut.off(writer.write_vectored(&slices), || peer.drain()).await;
        drop((one, other));
        last(writer.write_all(END), &mut peer).await;
        // The room is never so small: sends leave in large pieces.
        got.map(|n| assert_eq!(n.unwrap(), PIECE.len())).is_some()
    });
    peer.sees(ends, true).await;
    ends
}

async fn flush(cut: Cut, of: Of) -> Ends {
    let (ours, mut peer) = full().await;
    let ends = with_writer!(of, ours, writer => {
        let got = cut.off(writer.flush(), || peer.drain()).await;
        last(writer.write_all(END), &mut peer).await;
        got.map(Result::unwrap).is_some()
    });
    peer.sees(false, true).await;
    ends
}

async fn shutdown(cut: Cut) -> Ends {
    let (mut ours, mut peer) = full().await;
    let got = cut.off(ours.shutdown(Shutdown::Write), || peer.drain()).await;
    let ends = got.map(Result::unwrap).is_some();
    if !ends {
        // Nothing was shut down.
        last(ours.write_all(END), &mut peer).await;
    }
    // The other direction goes on in any case.
    peer.stream.write_all(b"x").unwrap();
    assert_eq!(ours.read(&mut [0]).await.unwrap(), 1);
    drop(ours);
    peer.sees(false, !ends).await;
    ends
}

async fn shutdown_of_half(cut: Cut, of: Of) -> Ends {
    let (ours, mut peer) = full().await;
    let ends = match of {
        Of::OwnedHalf => {
            let (_read, mut half) = ours.into_split();
            let got = cut.off(half.shutdown(), || peer.drain()).await;
            if got.is_none() {
                last(half.write_all(END), &mut peer).await;
            }
            got.map(Result::unwrap).is_some()
        }
        _ => {
            let mut ours = ours;
            let (_read, mut half) = ours.split();
            let got = cut.off(half.shutdown(), || peer.drain()).await;
            if got.is_none() {
                last(half.write_all(END), &mut peer).await;
            }
            got.map(Result::unwrap).is_some()
        }
    };
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
            until(|| {
                peer.drain_until_reset();
                peer.ended
            })
            .await;
            assert!(peer.got == pattern(0, peer.got.len()), "not a prefix");
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
