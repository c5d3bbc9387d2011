//! The outbox: what was written and has not left.
//!
//! ```text
//!   push ──► pieces ──flush, once a turn──► one send in flight ──advance──► (gone)
//! ```
//!
//! At most one send is in flight (`uring-sys-notes/send.md`); what is written meanwhile gathers behind
//! it and leaves with the next. In-flight bytes stay in `pieces` until the kernel says how many have
//! gone: a piece's memory has a fixed address, and appending to a block does not touch the bytes in
//! flight.

use std::io::{self, IoSlice};
use std::task::Waker;

use bytes::Bytes;

use super::waiters::Waiters;
use crate::buf::{Block, Lease, Message, PIECES, Pool, Short, Spares, Stable};
use crate::op::{Completion, Request, Token};

/// Bytes that the outbox takes ahead of the kernel.
pub(super) const HIGH: usize = 64 * 1024;

/// Pieces that it holds, at most, as the inbox: pieces of one byte would fill the memory with their
/// headers long before they are [`HIGH`] bytes.
const MOST: usize = 1024;

/// Bytes of one send, at most; the rest follows. Its result has to fit into an i32.
const LONGEST: usize = 1 << 30;

/// Something to send.
#[derive(Debug)]
pub(super) enum Piece {
    /// Copied bytes: sent from `start` on, and filled on at the end.
    Copied {
        block: Block,
        start: usize,
    },
    Lease(Lease),
    Bytes(Bytes),
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied { block, start } => &block[*start..],
            Self::Lease(lease) => lease,
            Self::Bytes(bytes) => bytes,
        }
    }

    pub(super) fn advance(&mut self, n: usize) {
        match self {
            Self::Copied { start, .. } => *start += n,
            Self::Lease(lease) => lease.advance(n),
            Self::Bytes(bytes) => drop(bytes.split_to(n)),
        }
    }

    /// Lets go of it. The owner of foreign bytes is user code, which runs later.
    pub(super) fn discard(self, spares: &Spares) {
        match self {
            Self::Copied { block, .. } => spares.keep_block(block),
            Self::Bytes(bytes) => spares.discard(bytes),
            Self::Lease(_) => {}
        }
    }
}

#[derive(Debug)]
pub(super) struct Outbox {
    pieces: Short<Piece>,
    /// All bytes of `pieces`, in flight or not.
    buffered: usize,
    /// The send in flight, or the wait for room.
    sending: Option<Token>,
    /// The header of the send in flight, if it is a gathered one.
    message: Option<Stable<Message>>,
    /// Bytes that the gathered send in flight carries.
    gathered: usize,
    /// Set by a gathered send that ended early without an error; cleared by the next send, which goes
    /// singly. io_uring ends the gathered ones instead of waiting where the peer has half-closed
    /// (`uring-sys-notes/send.md`), and gathered again it would end at once again.
    singly: bool,
    /// Why nothing more can be sent: an errno. Set once.
    error: Option<i32>,
    /// Set when it stands in the core's list for this turn's flush.
    pub(super) dirty: bool,
    /// Whoever writes alone, and waits for room, or for bytes to leave.
    writer: Option<Waker>,
    /// Those who wait for bytes to leave, and come and go. All are woken at once, and look again.
    pub(super) drains: Waiters,
    /// Whoever waits for sending to fail.
    pub(super) watcher: Option<Waker>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            pieces: Short::new(),
            buffered: 0,
            sending: None,
            message: None,
            gathered: 0,
            singly: false,
            error: None,
            dirty: false,
            writer: None,
            drains: Waiters::default(),
            watcher: None,
        }
    }

    /// Bytes that may still be taken.
    pub(super) fn room(&self) -> usize {
        if self.pieces.len() >= MOST { 0 } else { HIGH.saturating_sub(self.buffered) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffered == 0
    }

    /// All bytes that it holds, in flight or not.
    pub(super) fn buffered(&self) -> usize {
        self.buffered
    }

    pub(super) fn sending(&self) -> Option<Token> {
        self.sending
    }

    /// Whether it has bytes that no send carries yet.
    pub(super) fn wants_flush(&self) -> bool {
        self.sending.is_none() && !self.is_empty()
    }

    pub(super) fn errno(&self) -> Option<i32> {
        self.error
    }

    /// Whether whoever is behind `waker` waits already.
    pub(super) fn knows(&self, waker: &Waker) -> bool {
        self.writer.as_ref().is_some_and(|known| known.will_wake(waker))
    }

    /// Wakes `waker` when bytes have left, or cannot.
    /// Gives back the waker that is not needed, to be dropped when nothing is borrowed.
    pub(super) fn wake_later(&mut self, waker: Waker) -> Option<Waker> {
        self.writer.replace(waker)
    }

    /// Those who wait, to be woken.
    pub(super) fn take_writers(&mut self) -> impl Iterator<Item = Waker> {
        let drains = std::iter::from_fn(|| self.drains.pop().map(|(_, waker)| waker));
        self.writer.take().into_iter().chain(drains)
    }

    /// The error that ended sending.
    pub(super) fn check(&self) -> io::Result<()> {
        self.error.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }

    /// Copies `bytes` in.
    pub(super) fn push_copy(&mut self, mut bytes: &[u8], spares: &Spares) {
        self.buffered += bytes.len();
        if let Some(Piece::Copied { block, .. }) = self.pieces.back_mut() {
            bytes = &bytes[block.push(bytes)..];
        }
        while !bytes.is_empty() {
            // A writer of many small pieces gets larger blocks from its second one on.
            let room = if self.pieces.is_empty() { bytes.len() } else { bytes.len().max(4096) };
            let mut block = spares.block(room);
            bytes = &bytes[block.push(bytes)..];
            self.pieces.push(Piece::Copied { block, start: 0 });
        }
    }

    /// Takes a piece in without copying, unless it is a lease and the ring has few buffers left.
    pub(super) fn push(&mut self, piece: Piece, pool: &Pool) {
        let piece = match piece {
            Piece::Lease(lease) if pool.low() && lease.in_ring() => Piece::Lease(pool.copy(&lease)),
            other => other,
        };
        let len = piece.bytes().len();
        if len > 0 {
            self.buffered += len;
            self.pieces.push(piece);
        }
    }

    /// The next send: of one piece, or gathered. `quiet`: as far as the socket is concerned, nobody
    /// waits for its end.
    pub(super) fn request(&mut self, fd: i32, quiet: bool, spares: &Spares) -> Request {
        if std::mem::take(&mut self.singly) || self.pieces.len() == 1 {
            let piece = self.pieces.front_mut().expect("there is one");
            // The owner of foreign bytes may wait for them to be dropped.
            let awaited = self.writer.is_some() || !self.drains.is_empty();
            let quiet = quiet && !awaited && !matches!(piece, Piece::Bytes(_));
            let bytes = piece.bytes();
            let len = bytes.len().min(LONGEST) as u32;
            return Request::Send { fd, ptr: bytes.as_ptr(), len, quiet };
        }
        let mut message = spares.message();
        let header = message.gather(self.gathered());
        self.gathered = self.gathered().map(<[u8]>::len).sum();
        self.message = Some(message);
        Request::SendMsg { fd, message: header }
    }

    /// What one gathered send may carry.
    fn gathered(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = LONGEST;
        self.pieces.iter().take(PIECES).map(Piece::bytes).map_while(move |bytes| {
            let n = bytes.len().min(left);
            left -= n;
            (n > 0).then_some(&bytes[..n])
        })
    }

    /// Lets `write` have the next bytes, in pieces, where nothing is in flight. Returns its result, and how
    /// many bytes it was given.
    pub(super) fn gather<T>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> (T, usize) {
        debug_assert!(self.sending.is_none(), "one send at a time");
        let mut slices = [IoSlice::new(&[]); PIECES];
        let (mut count, mut total) = (0, 0);
        for (slot, bytes) in slices.iter_mut().zip(self.gathered()) {
            *slot = IoSlice::new(bytes);
            count += 1;
            total += bytes.len();
        }
        (write(&slices[..count]), total)
    }

    /// Says that so many bytes have gone by a call.
    pub(super) fn went(&mut self, n: usize, spares: &Spares) {
        self.advance(n, spares);
    }

    /// Says that the wait for room is over.
    pub(super) fn waited(&mut self) {
        self.sending = None;
    }

    /// Says that the request is on its way.
    pub(super) fn sent(&mut self, token: Token) {
        debug_assert!(self.sending.is_none(), "one send at a time");
        self.sending = Some(token);
    }

    /// Takes in the completion of the send.
    pub(super) fn settle(&mut self, completion: Completion, spares: &Spares) {
        self.sending = None;
        if let Some(message) = self.message.take() {
            spares.keep_message(message);
            let short = (0..self.gathered as i32).contains(&completion.result);
            self.singly = short || completion.errno() == libc::EAGAIN;
        }
        match completion.result {
            // A short send is the sign of an error that the next one names.
            went @ 0.. => self.advance(went as usize, spares),
            _ if matches!(completion.errno(), libc::EINTR | libc::EAGAIN) => {}
            _ => self.fail(completion.errno(), spares),
        }
    }

    /// Ends sending: what is left is dropped. The first error stays. Not while a send is in flight:
    /// the kernel reads what would be dropped.
    pub(super) fn fail(&mut self, errno: i32, spares: &Spares) {
        self.error.get_or_insert(errno);
        if self.sending.is_none() {
            self.advance(self.buffered, spares);
        }
    }

    /// Whether it failed with bytes still in flight; they go when the send has ended.
    pub(super) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn advance(&mut self, mut n: usize, spares: &Spares) {
        // The kernel's word is not taken for more than what there was.
        n = n.min(self.buffered);
        self.buffered -= n;
        while n > 0 {
            let piece = self.pieces.front_mut().expect("buffered bytes stand in pieces");
            let len = piece.bytes().len();
            if n < len {
                piece.advance(n);
                return;
            }
            n -= len;
            if let Some(piece) = self.pieces.pop() {
                piece.discard(spares);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDING: Token = Token::new(1, 1);

    const fn ended(result: i32) -> Completion {
        Completion::last(SENDING, result)
    }

    /// All bytes of the pieces, in order.
    fn bytes(outbox: &Outbox) -> Vec<u8> {
        outbox.pieces.iter().flat_map(|piece| piece.bytes().to_vec()).collect()
    }

    fn filled(spares: &Spares, pool: &Pool) -> Outbox {
        let mut outbox = Outbox::new();
        outbox.push_copy(b"abc", spares);
        outbox.push(Piece::Bytes(Bytes::from_static(b"de")), pool);
        outbox.push(Piece::Bytes(Bytes::new()), pool);
        outbox.push(Piece::Lease(pool.copy(b"fgh")), pool);
        outbox.push_copy(b"ij", spares);
        outbox
    }

    #[test]
    fn a_short_send_leaves_exactly_the_rest() {
        let (spares, pool) = (Spares::default(), Pool::new(2, 256, 1 << 20).unwrap());
        for n in 0..=10 {
            let mut outbox = filled(&spares, &pool);
            outbox.request(3, false, &spares);
            outbox.sent(SENDING);
            // What is written meanwhile comes behind.
            outbox.push_copy(b"kl", &spares);
            outbox.settle(ended(n as i32), &spares);
            assert_eq!(bytes(&outbox), b"abcdefghijkl"[n..], "{n} bytes went");
            assert_eq!(outbox.room(), HIGH - (12 - n));
            assert!(outbox.wants_flush());
        }
    }

    // Seen to fail when `singly` is never set.
    #[test]
    fn what_a_gathered_send_left_is_not_gathered_again_at_once() {
        let (spares, pool) = (Spares::default(), Pool::new(2, 256, 1 << 20).unwrap());
        let is_gathered = |outbox: &mut Outbox| {
            let request = outbox.request(3, false, &spares);
            outbox.sent(SENDING);
            matches!(request, Request::SendMsg { .. })
        };
        for (result, singly) in [(-libc::EAGAIN, true), (0, true), (4, true), (8, false)] {
            let mut outbox = Outbox::new();
            for piece in ["abcd", "efgh"] {
                outbox.push(Piece::Bytes(Bytes::from_static(piece.as_bytes())), &pool);
            }
            assert!(is_gathered(&mut outbox));
            for piece in ["ij", "kl", "mn"] {
                outbox.push(Piece::Bytes(Bytes::from_static(piece.as_bytes())), &pool);
            }
            outbox.settle(ended(result), &spares);
            assert_eq!(is_gathered(&mut outbox), !singly, "after {result}");
            if singly {
                outbox.settle(ended(1), &spares);
                assert!(is_gathered(&mut outbox), "and then again");
            }
        }
    }

    #[test]
    fn a_completion_of_more_than_there_was_empties_it_and_no_more() {
        let (spares, pool) = (Spares::default(), Pool::new(2, 256, 1 << 20).unwrap());
        let mut outbox = filled(&spares, &pool);
        outbox.request(3, false, &spares);
        outbox.sent(SENDING);
        outbox.settle(ended(i32::MAX), &spares);
        assert!(outbox.is_empty() && !outbox.wants_flush());
        assert_eq!(outbox.room(), HIGH);
    }

    #[test]
    fn bytes_in_flight_stay_where_they_are_when_it_fails() {
        let (spares, pool) = (Spares::default(), Pool::new(2, 256, 1 << 20).unwrap());
        let mut outbox = filled(&spares, &pool);
        outbox.request(3, false, &spares);
        outbox.sent(SENDING);
        outbox.fail(libc::ETIMEDOUT, &spares);
        assert_eq!(bytes(&outbox), b"abcdefghij", "the kernel still reads them");
        outbox.settle(ended(-libc::ECANCELED), &spares);
        assert!(outbox.is_empty());
        let error = outbox.check().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT), "the first error stays");
    }

    #[test]
    fn a_send_is_never_longer_than_its_result_can_say() {
        let (spares, pool) = (Spares::default(), Pool::new(2, 256, 1 << 20).unwrap());
        // Untouched zeroes: no memory stands behind them.
        let large = Bytes::from(vec![0; (1 << 30) - 1]);
        for before in [&b""[..], b"x", b"xyz"] {
            let mut outbox = Outbox::new();
            outbox.push_copy(before, &spares);
            for _ in 0..5 {
                outbox.push(Piece::Bytes(large.clone()), &pool);
            }
            let total: usize = outbox.gathered().map(<[u8]>::len).sum();
            assert_eq!(total, LONGEST);
        }
    }

    // Seen to fail when `room` counts bytes only.
    #[test]
    fn pieces_of_one_byte_find_no_room_long_before_their_bytes_are_many() {
        let (spares, pool) = (Spares::default(), Pool::new(2, 256, 1 << 20).unwrap());
        let mut outbox = Outbox::new();
        while outbox.room() > 0 {
            outbox.push(Piece::Lease(pool.copy(b"x")), &pool);
        }
        assert_eq!(bytes(&outbox).len(), MOST);
        outbox.request(3, false, &spares);
        outbox.sent(SENDING);
        outbox.settle(ended(1), &spares);
        assert!(outbox.room() > 0, "one has gone");
    }

    #[test]
    fn an_interrupted_send_is_no_error() {
        let (spares, pool) = (Spares::default(), Pool::new(2, 256, 1 << 20).unwrap());
        for errno in [libc::EINTR, libc::EAGAIN] {
            let mut outbox = filled(&spares, &pool);
            outbox.request(3, false, &spares);
            outbox.sent(SENDING);
            outbox.settle(ended(-errno), &spares);
            assert!(outbox.wants_flush() && outbox.check().is_ok());
            assert_eq!(bytes(&outbox), b"abcdefghij");
        }
    }

    #[test]
    fn appending_does_not_move_what_is_in_flight() {
        let spares = Spares::default();
        let mut outbox = Outbox::new();
        outbox.push_copy(b"abc", &spares);
        let Request::Send { ptr, .. } = outbox.request(3, false, &spares) else {
            panic!("one piece")
        };
        outbox.sent(SENDING);
        for _ in 0..3000 {
            outbox.push_copy(b"0123456789", &spares);
        }
        let first = outbox.pieces.front_mut().unwrap().bytes().as_ptr();
        assert_eq!(first, ptr, "the kernel reads elsewhere than the bytes are");
        assert_eq!(bytes(&outbox).len(), 30_003);
    }
}
