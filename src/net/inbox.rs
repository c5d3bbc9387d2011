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
//! Flow control: a multishot receive is armed for a total of twice the limit and ends by itself;
//! it is armed again only while no more than the limit is parked, or a reader is *hungry*: it waits for
//! more than what is there. Kernels before 6.17 know no total: there a socket that was ever above twice
//! its limit is cancelled and receives one-shot from then on (`uring-sys-notes/multishot-receive.md`).

use std::io;
use std::task::Waker;

use super::direct::Traffic;
use crate::buf::{Block, Lease, Pool, Short};
use crate::op::Token;

/// asyncio's stream limit: receiving goes on while no more than this is parked.
pub(super) const LIMIT: usize = 64 * 1024;

/// Pieces that may be parked: a peer that sends byte by byte would fill the memory with their headers
/// long before it has sent [`LIMIT`] bytes.
const PIECES: usize = 1024;

/// Pieces below this are put together where too many are parked, and a reader waits for more.
const SMALL: usize = 4096;

/// What they are put together to, at most, but for the last of them.
const PUT_TOGETHER: usize = 64 * 1024;

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
pub(crate) struct Inbox {
    leases: Short<Lease>,
    /// Bytes in `leases`.
    parked: usize,
    /// Receiving goes on while no more than this is parked.
    limit: usize,
    /// Set by a reader whom what is parked is not enough: what comes next is taken in whatever is
    /// parked. Cleared when something has come, or the reader has what it wants.
    pub(super) hungry: bool,
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
        Self::of(Traffic::new())
    }

    pub(super) const fn of(traffic: Traffic) -> Self {
        Self {
            leases: Short::new(),
            parked: 0,
            limit: LIMIT,
            hungry: false,
            receive: Receive::Idle,
            end: None,
            one_shot: false,
            traffic,
            reader: None,
        }
    }

    /// Bytes that have come and that nobody has read.
    pub(crate) fn parked(&self) -> usize {
        self.parked
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Receiving goes on while no more than `limit` bytes are parked; from the next arming on.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Bytes that one arming may bring, but for the last piece.
    pub(super) fn total(&self) -> u32 {
        u32::try_from(self.limit).map_or(u32::MAX, |limit| limit.saturating_mul(2))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// Parks what has come.
    pub(super) fn push(&mut self, lease: Lease) {
        if !lease.is_empty() {
            self.parked += lease.len();
            self.leases.push(lease);
            self.hungry = false;
        }
    }

    /// Puts back what was taken out last.
    pub(super) fn put_back(&mut self, lease: Lease) {
        if !lease.is_empty() {
            self.parked += lease.len();
            self.leases.push_front(lease);
        }
    }

    /// Lends the oldest piece.
    pub(crate) fn pop(&mut self) -> Option<Lease> {
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
    #[inline]
    pub(crate) fn read(&mut self, mut into: &mut [u8]) -> usize {
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
    pub(crate) fn peek(&self, mut into: &mut [u8]) -> usize {
        let mut copied = 0;
        for lease in self.leases.iter() {
            let n = lease.len().min(into.len());
            into[..n].copy_from_slice(&lease[..n]);
            copied += n;
            into = &mut into[n..];
        }
        copied
    }

    /// Appends the first `n` bytes to `into`, across pieces.
    pub(crate) fn read_into(&mut self, mut n: usize, into: &mut Vec<u8>) {
        into.reserve(n.min(self.parked));
        while let Some(lease) = self.leases.front_mut().filter(|_| n > 0) {
            let part = lease.len().min(n);
            into.extend_from_slice(&lease[..part]);
            n -= part;
            self.skip(part);
        }
    }

    /// Drops the first `n` bytes.
    pub(crate) fn skip(&mut self, mut n: usize) {
        n = n.min(self.parked);
        self.parked -= n;
        while n > 0 {
            let lease = self.leases.front_mut().expect("parked bytes stand in leases");
            if n < lease.len() {
                lease.advance(n);
                return;
            }
            n -= lease.len();
            self.leases.pop();
        }
    }

    /// The oldest piece.
    pub(crate) fn front(&self) -> &[u8] {
        self.leases.iter().next().map_or(&[], |lease| lease)
    }

    /// All pieces, in order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.leases.iter().map(|lease| &**lease)
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

    /// Lets go of what is parked, for nobody will read it: gives it back, to be dropped when nothing is
    /// borrowed, and so the waker of whoever waits. What is in flight is still in flight.
    pub(super) fn close(&mut self) -> (Short<Lease>, Option<Waker>) {
        self.end = Some(End::Eof);
        self.parked = 0;
        (std::mem::take(&mut self.leases), self.reader.take())
    }

    /// Whether more pieces are parked than their bytes are worth.
    pub(super) fn is_crowded(&self) -> bool {
        self.leases.len() > PIECES.max(self.parked / (SMALL / 4))
    }

    /// Puts small pieces together, for a reader who waits for more than what is parked.
    pub(super) fn put_together(&mut self, pool: &Pool) {
        let mut pieces = std::mem::take(&mut self.leases);
        let mut together: Vec<u8> = Vec::new();
        while let Some(lease) = pieces.pop() {
            if lease.len() < SMALL {
                together.extend_from_slice(&lease);
            }
            if !together.is_empty() && (lease.len() >= SMALL || together.len() >= PUT_TOGETHER) {
                self.leases.push(pool.copy(&together));
                together.clear();
            }
            if lease.len() >= SMALL {
                self.leases.push(lease);
            }
        }
        if !together.is_empty() {
            self.leases.push(pool.copy(&together));
        }
    }

    /// Whether the receive may be armed: nobody is at it, it has not ended, and little is parked or a
    /// reader needs more than that.
    pub(super) fn wants_more(&self) -> bool {
        let little = self.hungry || (self.parked <= self.limit && !self.is_crowded());
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

    #[test]
    fn a_hungry_reader_gets_more_whatever_is_parked_until_something_has_come() {
        let pool = Pool::new(2, 256, 1 << 20).unwrap();
        let mut inbox = inbox_of(&[b"abcdef"]);
        inbox.set_limit(3);
        assert!(!inbox.wants_more());
        inbox.hungry = true;
        assert!(inbox.wants_more());
        inbox.push(pool.copy(b"g"));
        assert!(!inbox.wants_more(), "it has to say so again");
    }

    #[test]
    fn the_total_of_an_arming_is_twice_the_limit_as_far_as_it_can_be_said() {
        for (limit, total) in [(1, 2), (LIMIT, 128 << 10), (usize::MAX, u32::MAX)] {
            let mut inbox = Inbox::new();
            inbox.set_limit(limit);
            assert_eq!(inbox.total(), total);
        }
    }

    #[test]
    fn bytes_that_are_taken_skipped_or_put_back_leave_the_others_in_order() {
        let pool = Pool::new(2, 256, 1 << 20).unwrap();
        for n in 0..=11 {
            let mut inbox = inbox_of(&[b"ab", b"cdefg", b"h", b"ij"]);
            let mut taken = b"> ".to_vec();
            inbox.read_into(n, &mut taken);
            let n = n.min(10);
            assert_eq!(taken, [b"> ", &b"abcdefghij"[..n]].concat());
            assert_eq!(inbox.parked(), 10 - n);
            inbox.put_back(pool.copy(&taken[2..]));
            assert_eq!(inbox.parked(), 10);
            inbox.skip(n);
            assert_eq!(inbox.front().is_empty(), n == 10);
            assert_eq!(inbox.drain(), b"abcdefghij"[n..]);
        }
    }

    // Seen to fail when large pieces were put before small ones.
    #[test]
    fn small_pieces_are_put_together_and_large_ones_stay_where_they_are() {
        let pool = Pool::new(2, 256, 1 << 30).unwrap();
        let (mut inbox, mut all) = (Inbox::new(), Vec::new());
        for i in 0..5000_usize {
            let piece = vec![i as u8; if i % 1000 == 0 { SMALL } else { 1 + i % 100 }];
            all.extend_from_slice(&piece);
            inbox.push(pool.copy(&piece));
        }
        assert!(inbox.is_crowded());
        inbox.put_together(&pool);
        assert!(!inbox.is_crowded() && inbox.pieces().count() < 20);
        assert_eq!(inbox.parked(), all.len());
        assert!(inbox.drain() == all);
    }
}
