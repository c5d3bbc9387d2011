//! The direct path: large pieces by calls of their own, within one poll.
//!
//! ```text
//!   small pieces    multishot ──► inbox ──► reader            one enter for many of them
//!   bulk            readiness ──► recv(2) into the reader's own slice, or into one large block
//!                   writer ──► send(2) from the writer's own slice; what did not fit ──► outbox
//! ```
//!
//! Bulk wants few calls, no copy, and memory that is still in the cache. Nothing of the user's is ever
//! in flight here: a call has ended when the poll returns, and what waits is only a poll for readiness.
//! A dropped read leaves the bytes where they are, in the kernel.

use std::cell::RefMut;
use std::io::{self, IoSlice};
use std::rc::Rc;

use super::inbox::{End, Inbox, Receive};
use super::outbox::Outbox;
use super::receive::HEAP_PIECE;
use super::socket::{Socket, WATCH};
use crate::buf::Block;
use crate::op::{Call, Completion, Request};
use crate::runtime::{Waiting, Wakes};
use crate::task::spend_many;

/// From here on a slice is worth a call of its own.
pub(super) const LARGE: usize = 16 * 1024;

/// From here on a pipe is read straight into a slice: smaller ones are served from a piece.
const SMALLEST: usize = 512;

/// Bytes of one call, at most: others wait meanwhile.
pub(super) const MOST: usize = 1 << 20;

/// Full pieces in a row, with more behind them, that begin bulk. A single one misleads where messages
/// are as long as a buffer.
const FULL: u8 = 4;

/// Small results in a row that end it.
const SMALL: u8 = 8;

/// What kind of traffic a socket receives.
#[derive(Debug)]
pub(super) struct Traffic {
    bulk: bool,
    /// Set for good where no receive is to be had: it is bulk, whatever comes.
    always: bool,
    /// Full pieces in a row outside of bulk, small results in a row within.
    row: u8,
    /// Set by a fetch that found less than there was room for: nothing is left, probably. Cleared by the
    /// word that there is something.
    dry: bool,
}

impl Traffic {
    pub(super) const fn new() -> Self {
        Self { bulk: false, always: false, row: 0, dry: false }
    }

    /// The traffic of a stream that is no socket. Nothing is known to be there: a named pipe that nobody
    /// has opened for writing yet would tell its reader of an end.
    pub(super) const fn by_call() -> Self {
        Self { bulk: true, always: true, row: 0, dry: true }
    }

    /// Whether it is bulk for good.
    pub(super) fn is_by_call(&self) -> bool {
        self.always
    }

    /// Whether its next bytes are to be fetched by a call.
    pub(super) fn is_bulk(&self) -> bool {
        self.bulk
    }

    /// Whether a call would find bytes, as far as is known.
    pub(super) fn flows(&self) -> bool {
        self.bulk && !self.dry
    }

    /// Notes a piece that came by itself: whether it was full, with more behind.
    pub(super) fn came(&mut self, full: bool) {
        if !self.bulk {
            self.row = if full { self.row + 1 } else { 0 };
            if self.row == FULL {
                *self = Self { bulk: true, ..Self::new() };
            }
        }
    }

    /// Notes what a call has fetched, and for how much there was room.
    fn fetched(&mut self, len: usize, room: usize) {
        self.dry = len < room;
        if self.always {
            return;
        }
        self.row = if len < LARGE { self.row + 1 } else { 0 };
        if self.row == SMALL {
            *self = Self::new();
        }
    }
}

impl Socket {
    /// Whether the next bytes are to be had by a call: it is bulk, nothing came by itself that nobody
    /// has read, nor may any more, and a reader might wait for them as well.
    pub(super) fn may_fetch(&self, inbox: &Inbox) -> bool {
        inbox.traffic.flows() && inbox.is_empty() && self.may_fetch_more(inbox)
    }

    /// Whether a call may fetch what comes behind what is parked.
    fn may_fetch_more(&self, inbox: &Inbox) -> bool {
        inbox.wants_more() && !self.read_closed.get() && self.core().may_wait().is_ok()
    }

    /// Whether a call may fetch into a slice of `len` bytes.
    pub(super) fn wants_large(&self, len: usize) -> bool {
        // A pipe is read by calls in any case: a piece beside the slice would only be copied.
        let worth = if self.pipe.is_some() { SMALLEST } else { LARGE };
        len >= worth && self.inbox.borrow().traffic.is_bulk()
    }

    /// Fetches into a large slice what there is; 0 where the inbox has the answer, or will.
    pub(super) fn fetch_into(self: &Rc<Self>, into: &mut [u8]) -> usize {
        let mut inbox = self.inbox.borrow_mut();
        if !self.may_fetch(&inbox) {
            return 0;
        }
        let fetched = self.fetch(&mut inbox, into);
        self.fetched(inbox);
        fetched
    }

    /// Fetches into the inbox what there is, if that is empty or its reader needs more: into little
    /// memory where much stands behind what was received before.
    pub(super) fn fetch_piece(self: &Rc<Self>) {
        let inbox = self.inbox.borrow_mut();
        let wanted = inbox.is_empty() || inbox.hungry;
        if wanted && inbox.traffic.flows() && self.may_fetch_more(&inbox) {
            self.park_piece(inbox);
        }
    }

    /// Fetches into the inbox what comes behind what is parked, for one who looks and takes nothing.
    pub(super) fn fetch_more(self: &Rc<Self>) {
        let inbox = self.inbox.borrow_mut();
        if !inbox.is_empty() && self.may_fetch_more(&inbox) {
            self.park_piece(inbox);
        }
    }

    fn park_piece(self: &Rc<Self>, mut inbox: RefMut<'_, Inbox>) {
        let pool = self.core().pool();
        let scarce = pool.over_budget();
        let mut block = if scarce { Block::zeroed(HEAP_PIECE) } else { pool.large() };
        match self.fetch(&mut inbox, &mut block) {
            0 => pool.keep_large(block),
            len => inbox.push(pool.lend_large(block, len as u32)),
        }
        self.fetched(inbox);
    }

    /// One `recv(2)`, or what it is on a pipe: how many bytes came. An end stands in the inbox then, and
    /// where nothing has come it is watched for.
    fn fetch(self: &Rc<Self>, inbox: &mut Inbox, into: &mut [u8]) -> usize {
        let room = into.len().min(MOST);
        let into = &mut into[..room];
        let mut rights = self.rights.borrow_mut();
        let fetched = match (&self.pipe, rights.as_deref_mut()) {
            (Some(pipe), _) => self.read_by_call(pipe, into),
            (None, Some(rights)) => rights.receive(self.core(), self.fd.raw(), into),
            (None, None) => self.core().call_directly(Call::RecvNow { fd: self.fd.raw(), into }),
        };
        drop(rights);
        match fetched {
            Ok(0) => inbox.end = Some(self.end()),
            Ok(len) => {
                inbox.traffic.fetched(len, room);
                spend_for(len);
                return len;
            }
            // A failure to watch is told by whoever waits next.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => drop(self.watch(inbox)),
            // Without an errno the runtime has ended, which whoever waits next is told.
            Err(error) => inbox.end = error.raw_os_error().map(End::Error),
        }
        0
    }

    /// After a fetch, which may have found an error.
    fn fetched(&self, inbox: RefMut<'_, Inbox>) {
        let failed = matches!(inbox.end, Some(End::Error(_)));
        drop(inbox);
        if failed {
            let mut wakes = Wakes::new();
            self.tell_failure(&mut wakes);
            wakes.drain(..).for_each(crate::task::wake);
        }
    }

    /// Asks to be told when there is something to fetch.
    pub(super) fn watch(self: &Rc<Self>, inbox: &mut Inbox) -> io::Result<()> {
        let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
        let request = Request::Poll { fd: self.fd.raw(), events };
        let token = self.core().submit(request, Waiting::Sink(self.clone(), WATCH))?;
        inbox.receive = Receive::Armed(token, None);
        Ok(())
    }

    pub(super) fn settle_watch(&self, completion: Completion, wakes: &mut Wakes) {
        if completion.flags.more() {
            return;
        }
        let mut inbox = self.inbox.borrow_mut();
        inbox.receive = Receive::Idle;
        inbox.traffic.dry = false;
        match completion.errno() {
            ..=0 | libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
            errno => {
                inbox.end.get_or_insert(End::Error(errno));
            }
        }
        if let Some(reader) = inbox.reader.take() {
            wakes.push(reader);
        }
        drop(inbox);
        self.tell_failure(wakes);
    }

    /// Sends at once what is large and has nothing before it: how much went, [`MOST`] at most.
    ///
    /// # Errors
    ///
    /// The connection's, which the next write gets as well.
    pub(super) fn send_now(&self, outbox: &mut Outbox, bytes: &[u8]) -> io::Result<usize> {
        let core = self.core();
        let allowed = core.limits().direct || self.pipe.is_some();
        if bytes.len() < LARGE || !outbox.is_empty() || !allowed {
            return Ok(0);
        }
        let bytes = &bytes[..bytes.len().min(MOST)];
        let sent = match &self.pipe {
            Some(pipe) => self.write_by_call(pipe, &[IoSlice::new(bytes)]),
            None => core.call_directly(Call::SendNow { fd: self.fd.raw(), bytes }),
        };
        match sent {
            Ok(len) => {
                spend_for(len);
                Ok(len)
            }
            Err(error) => match error.raw_os_error() {
                // The outbox waits for room, for memory, or for the word of the runtime's end.
                Some(libc::EAGAIN | libc::ENOMEM | libc::ENOBUFS) | None => Ok(0),
                Some(errno) => {
                    self.note_loss(errno);
                    outbox.fail(errno, core.spares());
                    Err(error)
                }
            },
        }
    }
}

/// A large result counts as so many small ones: others wait meanwhile.
pub(super) fn spend_for(len: usize) {
    spend_many((len / LARGE).max(1) as u16);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_begins_with_four_full_pieces_in_a_row_and_not_before() {
        let mut traffic = Traffic::new();
        for full in [true, true, true, false, true, true, true] {
            traffic.came(full);
            assert!(!traffic.is_bulk());
        }
        traffic.came(true);
        assert!(traffic.is_bulk());
        traffic.came(false);
        assert!(traffic.is_bulk(), "what was under way ends as it may");
    }

    #[test]
    fn bulk_ends_with_eight_small_results_in_a_row() {
        let mut traffic = Traffic { bulk: true, ..Traffic::new() };
        for len in [1, 1, 1, 1, 1, 1, 1, LARGE, 1, 1, 1, 1, 1, 1, 1] {
            traffic.fetched(len, len);
            assert!(traffic.is_bulk());
        }
        traffic.fetched(LARGE - 1, LARGE);
        assert!(!traffic.is_bulk());
    }
}
