//! Who reads what a case writes, by plain calls that do not wait.

use std::io::{ErrorKind, Read};
use std::task::Poll;

use crate::tcp::{pattern, poll_once, turns, until};

/// What the cut write writes, and what is written last; neither is a part of the pattern.
pub(super) const PIECE: &[u8] = b"the piece that may be cut off";
pub(super) const END: &[u8] = b"the end";

pub(super) struct Peer<R> {
    pub(super) stream: R,
    pub(super) got: Vec<u8>,
    pub(super) ended: bool,
    /// Set where the stream may close over bytes that it has not read: then a reset is its end.
    resets: bool,
}

impl<R: Read> Peer<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, got: Vec::new(), ended: false, resets: false }
    }

    pub(super) fn that_may_be_reset(stream: R) -> Self {
        Self { resets: true, ..Self::new(stream) }
    }

    /// Reads what there is.
    pub(super) fn drain(&mut self) {
        let mut buf = [0; 1 << 14];
        while !self.ended {
            match self.stream.read(&mut buf) {
                Ok(0) => self.ended = true,
                Ok(n) => self.got.extend_from_slice(&buf[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) if self.resets => self.ended = true,
                Err(e) => panic!("after {} bytes: {e}", self.got.len()),
            }
        }
    }

    /// Reads what there is, of a stream that may close over bytes that it has not read.
    pub(super) fn drain_until_reset(&mut self) {
        let mut buf = [0; 1 << 14];
        while !self.ended {
            match self.stream.read(&mut buf) {
                Ok(n) if n > 0 => self.got.extend_from_slice(&buf[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                _ => self.ended = true,
            }
        }
    }

    /// Reads to the end: some of the pattern, then the piece if it was written, then the end if that
    /// was.
    pub(super) async fn sees(mut self, piece: bool, end: bool) -> usize {
        until(|| {
            self.drain();
            self.ended
        })
        .await;
        let mut got = &self.got[..];
        if end {
            got = got.strip_suffix(END).expect("what was written last comes last");
        }
        if piece {
            got = got.strip_suffix(PIECE).expect("a write that was done is whole");
        }
        assert!(got == pattern(0, got.len()), "not a prefix: {} bytes", got.len());
        got.len()
    }
}

/// A write of more than the kernel and the outbox have room for, until they are full.
pub(super) async fn fill(write: impl Future<Output = std::io::Result<()>>) {
    let mut write = std::pin::pin!(write);
    // A pipe's turn moves 64 KiB at most, by pieces of 4.
    for _ in 0..8 {
        assert!(poll_once(&mut write).await.is_pending(), "what is written to has no end");
        turns(1).await;
    }
}

/// The last write; it needs a peer that reads.
pub(super) async fn last<R: Read>(
    write: impl Future<Output = std::io::Result<()>>,
    peer: &mut Peer<R>,
) {
    let mut write = std::pin::pin!(write);
    loop {
        if let Poll::Ready(result) = poll_once(&mut write).await {
            return result.unwrap();
        }
        peer.drain();
        turns(1).await;
    }
}
