//! The inbox: what has been received and nobody has read.
//!
//! ```text
//!            arm                       !F_MORE
//!   Idle ──────────► Armed(token) ───────────────► Idle
//!     ▲                  │ cancel (paused, closing)   │ ENOBUFS
//!     │                  ▼                            ▼
//!     └──── !F_MORE ── Ending(token)              Starved ──rearm──► Idle
//! ```
//!
//! Flow control: a multishot receive is armed for a total of [`TOTAL`] bytes and ends by itself;
//! it is armed again only while at most [`LIMIT`] bytes are parked. Kernels before 6.17 know no
//! total: there a socket that was ever above 2 × `LIMIT` is cancelled and receives one-shot from
//! then on (`uring-sys-notes/multishot-receive.md`).

use std::io;
use std::task::Waker;

use super::direct::Traffic;
use crate::buf::{Block, Lease, Short};
use crate::op::Token;

/// asyncio's stream limit: receiving goes on while no more than this is parked.
pub(super) const LIMIT: usize = 64 * 1024;

/// Bytes that one arming may bring, but for the last piece.
pub(super) const TOTAL: u32 = 2 * LIMIT as u32;

/// Pieces that may be parked: a peer that sends byte by byte would fill the memory with their headers
/// long before it has sent [`LIMIT`] bytes.
const PIECES: usize = 1024;

/// What the receive side is doing.
#[derive(Debug)]
pub(super) enum Receive {
    /// Nothing is asked of the kernel.
    Idle,
    /// A receive is in flight, with a block where it goes to the heap; or a watch for bytes that a call
    /// will fetch.
    Armed(Token, Option<Block>),
    /// As Armed, and asked to end.
    Ending(Token, Option<Block>),
    /// Found no buffer; stands in the core's queue.
    Starved,
}

/// How receiving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Eof,
    /// An errno.
    Error(i32),
}

#[derive(Debug)]
pub(super) struct Inbox {
    leases: Short<Lease>,
    /// Bytes in `leases`.
    parked: usize,
    pub(super) receive: Receive,
    pub(super) end: Option<End>,
    /// Set for good when a kernel without totals had to be stopped by a cancel.
    pub(super) one_shot: bool,
    pub(super) traffic: Traffic,
    /// Whoever waits for bytes, or for the receive to end.
    pub(super) reader: Option<Waker>,
}

impl Inbox {
    pub(super) const fn new() -> Self {
        Self {
            leases: Short::new(),
            parked: 0,
            receive: Receive::Idle,
            end: None,
            one_shot: false,
            traffic: Traffic::new(),
            reader: None,
        }
    }

    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// Parks what has come.
    pub(super) fn push(&mut self, lease: Lease) {
        if !lease.is_empty() {
            self.parked += lease.len();
            self.leases.push(lease);
        }
    }

    /// Lends the oldest piece.
    pub(super) fn pop(&mut self) -> Option<Lease> {
        let lease = self.leases.pop()?;
        self.parked -= lease.len();
        Some(lease)
    }

    /// Lends what it can of the oldest piece, at most `most` bytes.
    pub(super) fn pop_at_most(&mut self, most: usize) -> Option<Lease> {
        if self.leases.front_mut()?.len() <= most {
            return self.pop();
        }
        self.parked -= most;
        Some(self.leases.front_mut()?.split_to(most))
    }

    /// Copies out as much as fits, across pieces.
    pub(super) fn read(&mut self, mut into: &mut [u8]) -> usize {
        let mut copied = 0;
        while let Some(lease) = self.leases.front_mut() {
            let n = lease.len().min(into.len());
            into[..n].copy_from_slice(&lease[..n]);
            copied += n;
            into = &mut into[n..];
            if n < lease.len() {
                lease.advance(n);
                break;
            }
            self.leases.pop();
            if into.is_empty() {
                break;
            }
        }
        self.parked -= copied;
        copied
    }

    /// Copies out as much as fits and keeps it.
    pub(super) fn peek(&self, mut into: &mut [u8]) -> usize {
        let mut copied = 0;
        for lease in self.leases.iter() {
            let n = lease.len().min(into.len());
            into[..n].copy_from_slice(&lease[..n]);
            copied += n;
            into = &mut into[n..];
        }
        copied
    }

    /// What a reader gets who finds no bytes: the end, or nothing yet.
    pub(super) fn ended(&self) -> Option<io::Result<()>> {
        self.end.map(|end| match end {
            End::Eof => Ok(()),
            End::Error(errno) => Err(io::Error::from_raw_os_error(errno)),
        })
    }

    /// Everything that is parked, in one piece.
    pub(super) fn drain(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.parked);
        while let Some(lease) = self.pop() {
            all.extend_from_slice(&lease);
        }
        all
    }

    /// Whether more pieces are parked than their bytes are worth.
    pub(super) fn is_crowded(&self) -> bool {
        self.leases.len() > PIECES
    }

    /// Whether the receive may be armed: nobody is at it, it has not ended, and little is parked.
    pub(super) fn wants_more(&self) -> bool {
        let little = self.parked <= LIMIT && !self.is_crowded();
        matches!(self.receive, Receive::Idle) && self.end.is_none() && little
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buf::Pool;

    fn inbox_of(pieces: &[&[u8]]) -> Inbox {
        let pool = Pool::new(4, 256, 1 << 20).unwrap();
        let mut inbox = Inbox::new();
        pieces.iter().for_each(|piece| inbox.push(pool.copy(piece)));
        inbox
    }

    #[test]
    fn reads_of_every_size_see_each_byte_once_and_parked_goes_to_zero() {
        let pieces: [&[u8]; 5] = [b"ab", b"", b"cdefg", b"h", b"ij"];
        for size in 1..=12 {
            let mut inbox = inbox_of(&pieces);
            let (mut all, mut buf) = (Vec::new(), vec![0; size]);
            while !inbox.is_empty() {
                let before = inbox.parked();
                let peeked = inbox.peek(&mut buf);
                let seen = buf[..peeked].to_vec();
                assert_eq!(inbox.parked(), before, "a peek took something");
                let n = inbox.read(&mut buf);
                assert_eq!(buf[..n], seen, "a read differs from the peek before it");
                assert_eq!(n, size.min(before), "a read stopped early");
                all.extend_from_slice(&buf[..n]);
            }
            assert_eq!((all.as_slice(), inbox.parked()), (&b"abcdefghij"[..], 0), "by {size}");
        }
    }

    #[test]
    fn a_piece_that_was_read_in_part_is_lent_without_that_part() {
        let mut inbox = inbox_of(&[b"abc", b"de"]);
        assert_eq!(inbox.read(&mut [0; 2]), 2);
        assert_eq!(&inbox.pop().unwrap()[..], b"c");
        assert_eq!(inbox.parked(), 2);
        assert_eq!(inbox.drain(), b"de");
        assert!(inbox.pop().is_none());
    }

    #[test]
    fn it_wants_no_more_than_the_limit_in_bytes_or_pieces() {
        let mut inbox = inbox_of(&[&[0; LIMIT]]);
        assert!(inbox.wants_more(), "at the limit it goes on");
        inbox.push(Pool::new(2, 256, 0).unwrap().copy(b"x"));
        assert!(!inbox.wants_more(), "above it");
        inbox.pop();
        assert!(inbox.wants_more());
        let one: &[u8] = b"x";
        assert!(inbox_of(&vec![one; PIECES]).wants_more());
        assert!(!inbox_of(&vec![one; PIECES + 1]).wants_more());
        inbox.end = Some(End::Eof);
        assert!(!inbox.wants_more(), "after the end");
    }
}
