//! The receiving half of a socket: reads take from the inbox, completions fill it.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use super::direct::{MOST, Traffic};
use super::inbox::{End, Inbox, Receive};
use super::socket::{RECEIVE, Socket};
use crate::buf::{Block, Lease, Pool};
use crate::note::{self, On};
use crate::op::{Completion, Into, Request};
use crate::runtime::{Waiting, Wakes};
use crate::task::{discard, poll_proceed, spend};

/// A receive into the heap, where the ring has no buffer to give.
pub(super) const HEAP_PIECE: u32 = 4096;

impl Socket {
    /// Waits for bytes or the end, then lets `take` have them. `Ok(None)` is the end.
    pub(super) fn poll_take<T>(
        self: &Rc<Self>,
        cx: &Context<'_>,
        take: impl FnOnce(&mut Inbox) -> T,
    ) -> Poll<io::Result<Option<T>>> {
        let mut take = Some(take);
        self.poll_enough(cx, |inbox| take.take().map(|take| take(inbox)))
    }

    /// Lets `take` look whenever something has come, until it finds what it wants in the inbox.
    /// `Ok(None)` is the end; what is parked then was not enough for it.
    pub(super) fn poll_enough<T>(
        self: &Rc<Self>,
        cx: &Context<'_>,
        mut take: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Poll<io::Result<Option<T>>> {
        let mut seen = 0;
        loop {
            ready!(poll_proceed(cx));
            let mut inbox = self.inbox.borrow_mut();
            if inbox.traffic.is_bulk() {
                drop(inbox);
                self.fetch_piece();
                inbox = self.inbox.borrow_mut();
            }
            if inbox.parked() > seen
                && let Some(taken) = take(&mut inbox)
            {
                inbox.hungry = false;
                // Where bytes flow the next read finds them by itself.
                if inbox.wants_more() && !inbox.traffic.flows() {
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
            self.core().may_wait()?;
            if !inbox.is_empty() {
                if inbox.is_crowded() {
                    inbox.put_together(self.core().pool());
                }
                inbox.hungry = true;
                let may_flow = inbox.traffic.flows() && matches!(inbox.receive, Receive::Idle);
                if may_flow && inbox.parked() > seen {
                    // A call fetches more, behind what is there.
                    seen = inbox.parked();
                    continue;
                }
            }
            if inbox.wants_more() {
                self.arm(&mut inbox)?;
            }
            let known = inbox.reader.as_ref().is_some_and(|old| old.will_wake(cx.waker()));
            drop(inbox);
            if !known {
                self.park_reader(cx);
                if self.inbox.borrow().end.is_some() {
                    // The clone has closed it.
                    cx.waker().wake_by_ref();
                }
            }
            note::waits("read", On::Fd(self.fd.raw()));
            return Poll::Pending;
        }
    }

    /// Keeps the waker of whoever waits for bytes. Its clone and the old one's drop are user code.
    fn park_reader(&self, cx: &Context<'_>) {
        let new = cx.waker().clone();
        let old = self.inbox.borrow_mut().reader.replace(new);
        discard(old);
    }

    pub(super) async fn read(self: &Rc<Self>, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        poll_fn(|cx| self.poll_read(cx, into)).await
    }

    pub(super) fn poll_read(
        self: &Rc<Self>,
        cx: &Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.wants_large(into.len()) {
            ready!(poll_proceed(cx));
            let fetched = self.fetch_into(into);
            if fetched > 0 {
                return Poll::Ready(Ok(fetched));
            }
        }
        let read = ready!(self.poll_take(cx, |inbox| inbox.read(into)))?;
        Poll::Ready(Ok(read.unwrap_or(0)))
    }

    pub(super) async fn read_chunk(self: &Rc<Self>) -> io::Result<Option<Lease>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    pub(super) fn poll_chunk(self: &Rc<Self>, cx: &Context<'_>) -> Poll<io::Result<Option<Lease>>> {
        let chunk = ready!(self.poll_take(cx, Inbox::pop))?;
        Poll::Ready(Ok(chunk.flatten()))
    }

    pub(super) async fn peek(self: &Rc<Self>, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let peeked = poll_fn(|cx| {
            // What a call would fetch is fetched when the inbox is empty; what is peeked at must grow.
            if self.inbox.borrow().traffic.is_by_call() {
                self.fetch_more();
            } else {
                self.inbox.borrow_mut().traffic = Traffic::new();
            }
            self.poll_take(cx, |inbox| inbox.peek(into))
        })
        .await?;
        Ok(peeked.unwrap_or(0))
    }

    /// Asks the kernel for bytes.
    pub(super) fn arm(self: &Rc<Self>, inbox: &mut Inbox) -> io::Result<()> {
        debug_assert!(matches!(inbox.receive, Receive::Idle));
        let (core, fd) = (self.core(), self.fd.raw());
        if self.read_closed.get() {
            return Ok(());
        }
        if inbox.traffic.is_bulk() {
            // What is there is read first; then a call fetches more.
            let wanted = inbox.is_empty() || inbox.hungry;
            return if wanted { self.watch(inbox) } else { Ok(()) };
        }
        if core.pool().over_budget() && !inbox.is_empty() && !inbox.hungry {
            // Its reader has something to read; it asks again when that is gone.
            return Ok(());
        }
        let mut block = None;
        let request = if core.pool().exhausted() || core.pool().over_budget() {
            let block = block.insert(Block::with_capacity(HEAP_PIECE));
            let into = Into::At { ptr: block.as_mut_ptr(), len: block.capacity() };
            Request::Recv { fd, into, multi: false, total: 0 }
        } else {
            Request::Recv { fd, into: Into::Group, multi: !inbox.one_shot, total: inbox.total() }
        };
        let token = core.submit(request, Waiting::Sink(self.clone(), RECEIVE))?;
        inbox.receive = Receive::Armed(token, block);
        Ok(())
    }

    /// Asks the receive in flight to end.
    pub(super) fn disarm(&self, inbox: &mut Inbox) {
        if let Receive::Armed(token, block) = &mut inbox.receive {
            let (token, block) = (*token, block.take());
            inbox.receive = Receive::Ending(token, block);
            self.core().cancel(token);
        }
    }

    pub(super) fn settle_receive(self: &Rc<Self>, completion: Completion, wakes: &mut Wakes) {
        let mut inbox = self.inbox.borrow_mut();
        let last = !completion.flags.more();
        let ending = matches!(inbox.receive, Receive::Ending(..));
        let lease = self.received(&mut inbox, completion);
        if let (Receive::Ending(token, _), false) = (&inbox.receive, last) {
            // On a busy socket a cancel may miss a multishot (`uring-sys-notes/multishot-receive.md`).
            self.core().cancel(*token);
        }
        self.note(&mut inbox, completion);
        let mut starved = false;
        if last {
            inbox.receive = Receive::Idle;
            match completion.result {
                0 => inbox.end = Some(self.end()),
                1.. => {}
                _ => match completion.errno() {
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
        if completion.result > 0 && lease.is_none() {
            // Bytes that nobody can find: a stream with a hole in it must not go on.
            inbox.end = Some(End::Error(libc::EIO));
            self.disarm(&mut inbox);
        }
        if let Some(lease) = lease
            && !matches!(inbox.end, Some(End::Error(_)))
        {
            inbox.push(lease);
        }
        if last && !ending && inbox.wants_more() && (inbox.reader.is_some() || !inbox.is_empty()) {
            let _ = self.arm(&mut inbox);
        } else if inbox.parked() > inbox.total() as usize && !self.core().totals() && !last {
            inbox.one_shot = true;
            self.disarm(&mut inbox);
        } else if !last && (inbox.is_crowded() || self.core().pool().over_budget()) {
            self.disarm(&mut inbox);
        }
        let idle = matches!(inbox.receive, Receive::Idle);
        let news = !inbox.is_empty() || inbox.end.is_some() || idle;
        if news && let Some(reader) = inbox.reader.take() {
            wakes.push(reader);
        }
        drop(inbox);
        if starved {
            self.core().mark_starved(self.clone());
        }
        self.tell_failure(wakes);
    }

    /// How a receive of no bytes ended the stream. Of a lost connection the kernel tells once, and where
    /// a send was told it is no clean end.
    pub(super) fn end(&self) -> End {
        self.lost.get().map_or(End::Eof, End::Error)
    }

    /// A reset that a receive saw fails the next write.
    pub(super) fn tell_failure(&self, wakes: &mut Wakes) {
        let end = self.inbox.borrow().end;
        if let Some(End::Error(errno)) = end {
            self.fail_outbox(errno, wakes);
        }
    }

    /// Notes what kind of traffic it is. Bulk ends the multishot: by its total, or here.
    fn note(&self, inbox: &mut Inbox, completion: Completion) {
        let (core, before) = (self.core(), inbox.traffic.is_bulk());
        let full = completion.result as u32 == core.pool().size() && completion.flags.nonempty();
        if completion.result > 0 {
            inbox.traffic.came(full && core.limits().direct);
        }
        if inbox.traffic.is_bulk() && !before && !core.totals() && completion.flags.more() {
            self.disarm(inbox);
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
            Receive::Armed(_, block) | Receive::Ending(_, block) => block.take(),
            _ => None,
        };
        let block = block.filter(|_| len > 0)?;
        Some(pool.adopt_filled(block, len))
    }

    /// Puts back what a reader had taken out last.
    pub(super) fn put_back(&self, bytes: &[u8]) {
        put_back(&mut self.inbox.borrow_mut(), self.core().pool(), bytes);
    }

    /// Takes the waker of whoever waits for bytes: it has to look again.
    pub(super) fn take_reader(&self) -> Option<Waker> {
        self.inbox.borrow_mut().reader.take()
    }

    /// What is parked, for somebody else to keep; behind it is the end.
    pub(super) fn take_parked(&self) -> Inbox {
        let mut inbox = self.inbox.borrow_mut();
        let mut taken = Inbox::new();
        taken.set_limit(inbox.limit());
        while let Some(lease) = inbox.pop() {
            taken.push(lease);
        }
        taken
    }

    /// Ends reading: what is parked or still arrives is dropped.
    pub(super) fn close_read(&self) {
        self.read_closed.set(true);
        let mut inbox = self.inbox.borrow_mut();
        self.disarm(&mut inbox);
        let (parked, reader) = inbox.close();
        drop(inbox);
        drop(parked);
        drop(self.rights.take());
        discard(reader);
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
            self.core().may_wait()?;
            drop(inbox);
            self.park_reader(cx);
            Poll::Pending
        })
        .await
    }
}

/// Puts bytes back that were taken out last.
pub(super) fn put_back(inbox: &mut Inbox, pool: &Pool, bytes: &[u8]) {
    bytes.rchunks(MOST).for_each(|piece| inbox.put_back(pool.copy(piece)));
}
