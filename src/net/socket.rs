//! A connected stream socket: a descriptor, its inbox and its outbox.
//!
//! Completions settle here, also when every handle is gone: requests in flight hold the socket, and
//! the last of them to end closes it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use super::inbox::{End, Inbox, Receive, TOTAL};
use super::outbox::{Outbox, Piece};
use crate::buf::{Block, Lease};
use crate::op::{Call, Completion, Into, Request};
use crate::runtime::{Core, Fd, Role, Sink, TimerKey, Waiting, Wakes, ended};
use crate::task::{poll_proceed, spend};

const RECEIVE: Role = Role(0);
const SEND: Role = Role(1);

/// A receive into the heap, where the ring has no buffer to give.
const HEAP_PIECE: u32 = 4096;

pub(super) struct Socket {
    fd: Fd,
    inbox: RefCell<Inbox>,
    outbox: RefCell<Outbox>,
    /// Set when nobody will read any more; what arrives is dropped.
    read_closed: Cell<bool>,
    /// Set when nobody will write any more; then what to do when the outbox is empty.
    after_flush: Cell<AfterFlush>,
    /// Set while a dropped writer's bytes are on their way: the bound of their time.
    lingering: Cell<Option<TimerKey>>,
}

/// What happens once a dropped writer's bytes have left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AfterFlush {
    Nothing,
    /// The owned write half was dropped: the peer sees the end.
    Shutdown,
}

impl Socket {
    pub(super) fn new(fd: Fd) -> Rc<Self> {
        Rc::new(Self {
            fd,
            inbox: RefCell::new(Inbox::new()),
            outbox: RefCell::new(Outbox::new()),
            read_closed: Cell::new(false),
            after_flush: Cell::new(AfterFlush::Nothing),
            lingering: Cell::new(None),
        })
    }

    pub(super) fn fd(&self) -> &Fd {
        &self.fd
    }

    fn core(&self) -> &Rc<Core> {
        self.fd.core()
    }

    // ---- reading ----

    /// Waits for bytes or the end, then lets `take` have them. `Ok(None)` is the end.
    fn poll_take<T>(
        self: &Rc<Self>,
        cx: &Context<'_>,
        take: impl FnOnce(&mut Inbox) -> T,
    ) -> Poll<io::Result<Option<T>>> {
        ready!(poll_proceed(cx));
        let mut inbox = self.inbox.borrow_mut();
        if !inbox.is_empty() {
            let taken = take(&mut inbox);
            if inbox.wants_more() {
                // A failure to ask for more is the next read's to report.
                let _ = self.arm(&mut inbox);
            }
            spend();
            return Poll::Ready(Ok(Some(taken)));
        }
        if let Some(end) = inbox.ended() {
            spend();
            return Poll::Ready(end.map(|()| None));
        }
        if self.core().has_ended() {
            return Poll::Ready(Err(ended()));
        }
        if inbox.wants_more() {
            self.arm(&mut inbox)?;
        }
        let old = match &inbox.reader {
            Some(old) if old.will_wake(cx.waker()) => None,
            _ => inbox.reader.replace(cx.waker().clone()),
        };
        drop(inbox);
        drop(old);
        Poll::Pending
    }

    pub(super) async fn read(self: &Rc<Self>, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let read = poll_fn(|cx| self.poll_take(cx, |inbox| inbox.read(into))).await?;
        Ok(read.unwrap_or(0))
    }

    pub(super) async fn read_chunk(self: &Rc<Self>) -> io::Result<Option<Lease>> {
        let chunk = poll_fn(|cx| self.poll_take(cx, Inbox::pop)).await?;
        Ok(chunk.flatten())
    }

    pub(super) async fn peek(self: &Rc<Self>, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let peeked = poll_fn(|cx| self.poll_take(cx, |inbox| inbox.peek(into))).await?;
        Ok(peeked.unwrap_or(0))
    }

    /// Asks the kernel for bytes.
    fn arm(self: &Rc<Self>, inbox: &mut Inbox) -> io::Result<()> {
        debug_assert!(matches!(inbox.receive, Receive::Idle));
        let (core, fd) = (self.core(), self.fd.raw());
        if self.read_closed.get() {
            return Ok(());
        }
        if core.pool().over_budget() && !inbox.is_empty() {
            // Its reader has something to read; it asks again when that is gone.
            return Ok(());
        }
        let mut block = None;
        let request = if core.pool().exhausted() || core.pool().over_budget() {
            let block = block.insert(Block::with_capacity(HEAP_PIECE));
            let into = Into::At { ptr: block.as_mut_ptr(), len: block.capacity() };
            Request::Recv { fd, into, multi: false, total: 0 }
        } else {
            Request::Recv { fd, into: Into::Group, multi: !inbox.one_shot, total: TOTAL }
        };
        let token = core.submit(request, Waiting::Sink(self.clone(), RECEIVE))?;
        inbox.receive = Receive::Armed(token, block);
        Ok(())
    }

    /// Asks the receive in flight to end.
    fn disarm(&self, inbox: &mut Inbox) {
        if let Receive::Armed(token, block) = &mut inbox.receive {
            let (token, block) = (*token, block.take());
            inbox.receive = Receive::Ending(block);
            self.core().cancel(token);
        }
    }

    fn settle_receive(self: &Rc<Self>, completion: Completion, wakes: &mut Wakes) {
        let mut inbox = self.inbox.borrow_mut();
        let last = !completion.flags.more();
        let ending = matches!(inbox.receive, Receive::Ending(_));
        let lease = self.received(&mut inbox, completion);
        let mut starved = false;
        if last {
            inbox.receive = Receive::Idle;
            match completion.result {
                0 => inbox.end = Some(End::Eof),
                1.. => {}
                _ => match -completion.result {
                    libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                    libc::ENOBUFS if ending => {}
                    libc::ENOBUFS => {
                        inbox.receive = Receive::Starved;
                        starved = true;
                    }
                    errno => inbox.end = Some(End::Error(errno)),
                },
            }
        }
        if self.read_closed.get() {
            drop(inbox);
            drop(lease);
            return;
        }
        if let Some(lease) = lease {
            inbox.push(lease);
        }
        if last && !ending && inbox.wants_more() && (inbox.reader.is_some() || !inbox.is_empty()) {
            let _ = self.arm(&mut inbox);
        } else if inbox.parked() > TOTAL as usize && !self.core().totals() && !last {
            inbox.one_shot = true;
            self.disarm(&mut inbox);
        }
        let idle = matches!(inbox.receive, Receive::Idle);
        let news = !inbox.is_empty() || inbox.end.is_some() || idle;
        if news && let Some(reader) = inbox.reader.take() {
            wakes.push(reader);
        }
        let failed = match inbox.end {
            Some(End::Error(errno)) => Some(errno),
            _ => None,
        };
        drop(inbox);
        if starved {
            self.core().mark_starved(self.clone());
        }
        if let Some(errno) = failed {
            // A reset that the receive saw fails the next write.
            self.fail_outbox(errno, wakes);
        }
    }

    /// The bytes of a completion.
    fn received(&self, inbox: &mut Inbox, completion: Completion) -> Option<Lease> {
        let pool = self.core().pool();
        let len = u32::try_from(completion.result).unwrap_or(0);
        if let Some(id) = completion.flags.buffer() {
            // With an error the buffer was not used, whatever the flag says.
            return if completion.result < 0 { None } else { pool.lease(id, len) };
        }
        let block = match &mut inbox.receive {
            Receive::Armed(_, block) | Receive::Ending(block) => block.take(),
            _ => None,
        };
        let block = block.filter(|_| len > 0)?;
        Some(pool.adopt_filled(block, len))
    }

    /// Ends reading: what is parked or still arrives is dropped.
    pub(super) fn close_read(&self) {
        self.read_closed.set(true);
        let mut inbox = self.inbox.borrow_mut();
        self.disarm(&mut inbox);
        let parked = std::mem::replace(&mut *inbox, Inbox::new());
        inbox.end = Some(End::Eof);
        // What is in flight is still in flight.
        let Inbox { receive, .. } = parked;
        inbox.receive = receive;
    }

    /// Stops receiving without losing a byte; what was parked.
    pub(super) async fn quiesce(&self) -> io::Result<Vec<u8>> {
        poll_fn(|cx| {
            let mut inbox = self.inbox.borrow_mut();
            self.disarm(&mut inbox);
            if matches!(inbox.receive, Receive::Idle | Receive::Starved) {
                self.read_closed.set(true);
                return Poll::Ready(Ok(inbox.drain()));
            }
            if self.core().has_ended() {
                return Poll::Ready(Err(ended()));
            }
            let old = inbox.reader.replace(cx.waker().clone());
            drop(inbox);
            drop(old);
            Poll::Pending
        })
        .await
    }

    // ---- writing ----

    /// Waits until the outbox has room, then lets `put` have it.
    fn poll_put<T>(
        self: &Rc<Self>,
        cx: &Context<'_>,
        put: impl FnOnce(&mut Outbox) -> T,
    ) -> Poll<io::Result<T>> {
        ready!(poll_proceed(cx));
        let mut outbox = self.outbox.borrow_mut();
        outbox.check()?;
        if self.core().has_ended() {
            return Poll::Ready(Err(ended()));
        }
        if outbox.room() == 0 {
            return park_writer(outbox, cx);
        }
        let was_empty = outbox.is_empty();
        let put = put(&mut outbox);
        self.filled(outbox, was_empty);
        spend();
        Poll::Ready(Ok(put))
    }

    /// After a push: counts the outbox and has it flushed in this turn.
    fn filled(self: &Rc<Self>, mut outbox: std::cell::RefMut<'_, Outbox>, was_empty: bool) {
        let is_empty = outbox.is_empty();
        let flush = outbox.wants_flush() && !std::mem::replace(&mut outbox.dirty, true);
        drop(outbox);
        if was_empty && !is_empty {
            self.core().outbox_filled();
        }
        if flush {
            self.core().mark_dirty(self.clone());
        }
    }

    pub(super) async fn write_all(self: &Rc<Self>, mut bytes: &[u8]) -> io::Result<()> {
        self.outbox.borrow().check()?;
        while !bytes.is_empty() {
            let n = poll_fn(|cx| {
                self.poll_put(cx, |outbox| {
                    let n = outbox.room().min(bytes.len());
                    outbox.push_copy(&bytes[..n], self.core().spares());
                    n
                })
            })
            .await?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    pub(super) async fn write_vectored(
        self: &Rc<Self>,
        slices: &[io::IoSlice<'_>],
    ) -> io::Result<usize> {
        if slices.iter().all(|slice| slice.is_empty()) {
            return Ok(0);
        }
        poll_fn(|cx| {
            self.poll_put(cx, |outbox| {
                let mut taken = 0;
                for slice in slices {
                    let n = outbox.room().min(slice.len());
                    outbox.push_copy(&slice[..n], self.core().spares());
                    taken += n;
                }
                taken
            })
        })
        .await
    }

    pub(super) async fn write_piece(self: &Rc<Self>, piece: Piece) -> io::Result<()> {
        let mut piece = Some(piece);
        poll_fn(|cx| {
            self.poll_put(cx, |outbox| {
                if let Some(piece) = piece.take() {
                    outbox.push(piece, self.core().pool());
                }
            })
        })
        .await
    }

    /// Resolves when the kernel has taken everything.
    pub(super) async fn flush(&self) -> io::Result<()> {
        poll_fn(|cx| {
            ready!(poll_proceed(cx));
            let outbox = self.outbox.borrow_mut();
            if outbox.is_empty() {
                spend();
                return Poll::Ready(outbox.check());
            }
            if self.core().has_ended() {
                return Poll::Ready(Err(ended()));
            }
            park_writer(outbox, cx)
        })
        .await
    }

    /// Sends the next bytes, if there are any and nothing is in flight.
    fn send(self: &Rc<Self>) {
        let mut outbox = self.outbox.borrow_mut();
        if !outbox.wants_flush() {
            return;
        }
        let (core, fd) = (self.core(), self.fd.raw());
        let request = outbox.request(fd, core.spares());
        match core.submit(request, Waiting::Sink(self.clone(), SEND)) {
            Ok(token) => outbox.sent(token),
            Err(error) => {
                outbox.fail(libc::ENOTCONN, core.spares());
                drop(outbox);
                core.outbox_emptied();
                // In a forked child the connection is the parent's.
                if error.kind() == io::ErrorKind::NotConnected {
                    self.cut_off();
                }
            }
        }
    }

    fn settle_send(self: &Rc<Self>, completion: Completion, wakes: &mut Wakes) {
        let core = self.core();
        let mut outbox = self.outbox.borrow_mut();
        outbox.settle(completion.result, core.spares());
        if outbox.has_failed() {
            outbox.fail(libc::EIO, core.spares());
        }
        let empty = outbox.is_empty();
        if let Some(writer) = outbox.writer.take() {
            wakes.push(writer);
        }
        drop(outbox);
        if !empty {
            return self.send();
        }
        core.outbox_emptied();
        if completion.result == -libc::ECANCELED {
            self.cut_off();
        }
        if let Some(alarm) = self.lingering.take() {
            core.clear_timer(alarm);
        }
        if self.after_flush.get() == AfterFlush::Shutdown {
            let _ = core.call(Call::Shutdown { fd: self.fd.raw(), how: libc::SHUT_WR });
        }
    }

    /// Ends sending because of `errno`.
    fn fail_outbox(&self, errno: i32, wakes: &mut Wakes) {
        let core = self.core();
        let mut outbox = self.outbox.borrow_mut();
        let was_empty = outbox.is_empty();
        outbox.fail(errno, core.spares());
        let emptied = !was_empty && outbox.is_empty();
        if let Some(writer) = outbox.writer.take() {
            wakes.push(writer);
        }
        let sending = outbox.sending();
        drop(outbox);
        if emptied {
            core.outbox_emptied();
        }
        if let Some(sending) = sending {
            core.cancel(sending);
        }
    }

    // ---- ending ----

    /// What was written has been discarded: the peer must not take it for a whole, so the close is a
    /// reset, and no end comes before it.
    fn cut_off(&self) {
        let reset = super::options::linger(libc::linger { l_onoff: 1, l_linger: 0 });
        let _ = super::options::set(self.core(), self.fd.raw(), reset);
        self.after_flush.set(AfterFlush::Nothing);
    }

    /// `shutdown(2)`, after what was written has left, if `how` ends writing.
    pub(super) async fn shutdown(&self, how: std::net::Shutdown) -> io::Result<()> {
        let how = match how {
            std::net::Shutdown::Read => libc::SHUT_RD,
            std::net::Shutdown::Write => libc::SHUT_WR,
            std::net::Shutdown::Both => libc::SHUT_RDWR,
        };
        if how != libc::SHUT_RD {
            self.flush().await?;
        }
        self.core().call(Call::Shutdown { fd: self.fd.raw(), how }).map(drop)
    }

    /// Discards what was written and closes with a reset.
    pub(super) fn abort(&self) {
        self.cut_off();
        let mut wakes = Wakes::new();
        self.fail_outbox(libc::ECONNABORTED, &mut wakes);
        self.close_read();
        wakes.drain(..).for_each(crate::task::wake);
    }

    /// The write half is gone: sends what it had taken, then shuts down writing.
    pub(super) fn close_write(self: &Rc<Self>) {
        self.after_flush.set(AfterFlush::Shutdown);
        if self.outbox.borrow().is_empty() {
            let _ = self.core().call(Call::Shutdown { fd: self.fd.raw(), how: libc::SHUT_WR });
        } else {
            self.linger();
        }
    }

    /// The stream is gone: what it had taken is sent in the background.
    pub(super) fn close(self: &Rc<Self>) {
        self.close_read();
        if !self.outbox.borrow().is_empty() {
            self.linger();
        }
    }

    /// Bounds how long a dropped writer's bytes may take.
    fn linger(self: &Rc<Self>) {
        let core = self.core();
        if let Some(deadline) = core.now().checked_add(core.limits().linger)
            && !core.has_ended()
        {
            let this: Weak<Self> = Rc::downgrade(self);
            self.lingering.set(Some(core.set_alarm(deadline, this)));
        }
    }
}

impl Sink for Socket {
    fn settle(self: Rc<Self>, role: Role, completion: Completion, wakes: &mut Wakes) {
        if role == RECEIVE {
            self.settle_receive(completion, wakes);
        } else {
            self.settle_send(completion, wakes);
        }
    }

    fn flush(self: Rc<Self>) {
        self.outbox.borrow_mut().dirty = false;
        self.send();
    }

    fn rearm(self: Rc<Self>) {
        let mut inbox = self.inbox.borrow_mut();
        inbox.receive = Receive::Idle;
        if inbox.wants_more() {
            let _ = self.arm(&mut inbox);
        }
    }

    fn alarm(self: Rc<Self>, wakes: &mut Wakes) {
        self.cut_off();
        self.fail_outbox(libc::ETIMEDOUT, wakes);
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// Keeps the waker of whoever waits for the outbox.
fn park_writer<T>(mut outbox: std::cell::RefMut<'_, Outbox>, cx: &Context<'_>) -> Poll<T> {
    let old = match &outbox.writer {
        Some(old) if old.will_wake(cx.waker()) => None,
        _ => outbox.writer.replace(cx.waker().clone()),
    };
    drop(outbox);
    drop(old);
    Poll::Pending
}
