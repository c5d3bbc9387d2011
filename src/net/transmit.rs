//! The sending half of a socket: writes fill the outbox, one send at a time empties it.

use std::cell::RefMut;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use super::direct::MOST;
use super::outbox::{Outbox, Piece};
use super::socket::{AfterFlush, SEND, Socket};
use crate::note::{self, On};
use crate::op::{Call, Completion};
use crate::runtime::{Waiting, Wakes};
use crate::task::{discard, poll_proceed, spend};

impl Socket {
    /// Waits until the outbox has room, then lets `put` have it.
    fn poll_put<T>(
        self: &Rc<Self>,
        cx: &Context<'_>,
        put: impl FnOnce(&mut Outbox) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        ready!(poll_proceed(cx));
        let mut outbox = self.outbox.borrow_mut();
        outbox.check().inspect_err(|_| spend())?;
        self.core().may_wait()?;
        if outbox.room() == 0 {
            return self.park_writer(outbox, cx);
        }
        let was_empty = outbox.is_empty();
        let put = put(&mut outbox);
        self.filled(outbox, was_empty);
        spend();
        Poll::Ready(put)
    }

    /// After a push: counts the outbox and has it flushed in this turn.
    pub(super) fn filled(self: &Rc<Self>, mut outbox: RefMut<'_, Outbox>, was_empty: bool) {
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
        if bytes.is_empty() {
            return self.outbox.borrow().check();
        }
        while !bytes.is_empty() {
            let n = poll_fn(|cx| {
                self.poll_put(cx, |outbox| {
                    let went = self.send_now(outbox, bytes)?;
                    if went == MOST {
                        // The call was cut short, not the kernel.
                        return Ok(went);
                    }
                    let rest = &bytes[went..];
                    let n = outbox.room().min(rest.len());
                    outbox.push_copy(&rest[..n], self.core().spares());
                    Ok(went + n)
                })
            })
            .await?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Takes all of `bytes` in, without waiting for room.
    pub(super) fn put(self: &Rc<Self>, bytes: &[u8]) -> io::Result<()> {
        let mut outbox = self.may_put()?;
        let was_empty = outbox.is_empty();
        let went = self.send_now(&mut outbox, bytes)?;
        outbox.push_copy(&bytes[went..], self.core().spares());
        self.filled(outbox, was_empty);
        Ok(())
    }

    /// As [`put`](Self::put), without copying.
    pub(super) fn put_piece(self: &Rc<Self>, piece: Piece) -> io::Result<()> {
        // Refused or empty, it is dropped when nothing is borrowed: the owner of foreign bytes is user code.
        let mut outbox = self.may_put()?;
        if piece.bytes().is_empty() {
            drop(outbox);
            return Ok(());
        }
        let was_empty = outbox.is_empty();
        let taken = self.take_piece(&mut outbox, piece);
        self.filled(outbox, was_empty);
        taken
    }

    /// Takes a piece in: a large one is sent at once, as far as it goes. It is not empty.
    fn take_piece(&self, outbox: &mut Outbox, mut piece: Piece) -> io::Result<()> {
        let len = piece.bytes().len();
        match self.send_now(outbox, piece.bytes()) {
            Ok(went) if went < len => {
                piece.advance(went);
                outbox.push(piece, self.core().pool());
                Ok(())
            }
            sent => {
                piece.discard(self.core().spares());
                sent.map(drop)
            }
        }
    }

    /// The outbox, if it takes more.
    pub(super) fn may_put(&self) -> io::Result<RefMut<'_, Outbox>> {
        if self.after_flush.get() == AfterFlush::Shutdown {
            let kind = io::ErrorKind::BrokenPipe;
            return Err(io::Error::new(kind, "a write after the end of writing (write_eof)"));
        }
        // Between two runs of the runtime it may be: nobody waits.
        if self.core().has_ended() {
            self.core().may_wait()?;
        }
        let outbox = self.outbox.borrow_mut();
        outbox.check()?;
        Ok(outbox)
    }

    pub(super) fn buffered(&self) -> usize {
        self.outbox.borrow().buffered()
    }

    /// Waits until no more than `low` bytes are left of what was taken. An error comes at once.
    pub(super) fn poll_drained(&self, cx: &Context<'_>, low: usize) -> Poll<io::Result<()>> {
        ready!(poll_proceed(cx));
        let outbox = self.outbox.borrow_mut();
        match self.drained(&outbox, low) {
            Poll::Pending => self.park_writer(outbox, cx),
            drained => drained,
        }
    }

    /// As [`poll_drained`](Self::poll_drained), of one among several, whose place is `ticket`.
    pub(super) fn poll_drained_beside(
        &self,
        cx: &Context<'_>,
        low: usize,
        ticket: &mut Option<u64>,
    ) -> Poll<io::Result<()>> {
        ready!(poll_proceed(cx));
        let drained = self.drained(&self.outbox.borrow(), low);
        if drained.is_pending() {
            let waker = cx.waker().clone();
            let old = self.outbox.borrow_mut().drains.wait(ticket, waker);
            self.parked_writer(old, cx);
            note::waits("write", On::Fd(self.fd.raw()));
        }
        drained
    }

    fn drained(&self, outbox: &Outbox, low: usize) -> Poll<io::Result<()>> {
        outbox.check().inspect_err(|_| spend())?;
        if outbox.buffered() <= low {
            spend();
            return Poll::Ready(Ok(()));
        }
        self.core().may_wait()?;
        Poll::Pending
    }

    /// Waits until sending fails.
    pub(super) fn poll_failed(&self, cx: &Context<'_>) -> Poll<io::Error> {
        let outbox = self.outbox.borrow();
        if let Err(error) = outbox.check().and_then(|()| self.core().may_wait()) {
            return Poll::Ready(error);
        }
        let known = outbox.watcher.as_ref().is_some_and(|old| old.will_wake(cx.waker()));
        drop(outbox);
        if !known {
            let new = cx.waker().clone();
            let old = self.outbox.borrow_mut().watcher.replace(new);
            discard(old);
        }
        Poll::Pending
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
                Ok(taken)
            })
        })
        .await
    }

    pub(super) async fn write_piece(self: &Rc<Self>, piece: Piece) -> io::Result<()> {
        let mut piece = Some(piece);
        poll_fn(|cx| {
            self.poll_put(cx, |outbox| {
                match piece.take_if(|piece| !piece.bytes().is_empty()) {
                    Some(whole) => self.take_piece(outbox, whole),
                    // Dropped outside of the borrow: the owner of foreign bytes is user code.
                    None => Ok(()),
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
            self.core().may_wait()?;
            self.park_writer(outbox, cx)
        })
        .await
    }

    /// Keeps the waker of whoever waits for the outbox. Its clone is user code.
    pub(super) fn park_writer<T>(&self, outbox: RefMut<'_, Outbox>, cx: &Context<'_>) -> Poll<T> {
        let known = outbox.knows(cx.waker());
        drop(outbox);
        if !known {
            let new = cx.waker().clone();
            let old = self.outbox.borrow_mut().wake_later(new);
            self.parked_writer(old, cx);
        }
        note::waits("write", On::Fd(self.fd.raw()));
        Poll::Pending
    }

    /// Whoever waits for the outbox has given its waker, in place of an old one. The clone may have closed
    /// the connection.
    fn parked_writer(&self, old: Option<Waker>, cx: &Context<'_>) {
        discard(old);
        if self.outbox.borrow().has_failed() {
            cx.waker().wake_by_ref();
        }
    }

    /// Sends the next bytes, if there are any and nothing is in flight.
    /// `quiet`: it may take until the next event that this is noticed.
    pub(super) fn send(self: &Rc<Self>, quiet: bool) {
        let mut outbox = self.outbox.borrow_mut();
        if !outbox.wants_flush() {
            return;
        }
        let (core, fd) = (self.core(), self.fd.raw());
        let request = outbox.request(fd, quiet, core.spares());
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

    pub(super) fn settle_send(self: &Rc<Self>, completion: Completion, wakes: &mut Wakes) {
        let core = self.core();
        let mut outbox = self.outbox.borrow_mut();
        outbox.settle(completion, core.spares());
        self.note_loss(completion.errno());
        if matches!(completion.errno(), libc::ENOMEM | libc::ENOBUFS) {
            // The connection stands, and a part must not look like the whole.
            self.cut_off();
        }
        if outbox.has_failed() {
            outbox.fail(libc::EIO, core.spares());
        }
        let empty = outbox.is_empty();
        outbox.take_writers().for_each(|writer| wakes.push(writer));
        if outbox.has_failed() {
            wakes.extend(outbox.watcher.take());
        }
        drop(outbox);
        if !empty {
            return self.send(false);
        }
        if completion.errno() == libc::ECANCELED {
            self.cut_off();
        }
        self.emptied();
        if self.after_flush.get() == AfterFlush::Shutdown {
            let _ = core.call(Call::Shutdown { fd: self.fd.raw(), how: libc::SHUT_WR });
        }
    }

    /// The last byte has gone, or been dropped.
    pub(super) fn emptied(&self) {
        let core = self.core();
        core.outbox_emptied();
        if let Some(alarm) = self.lingering.take() {
            core.clear_alarm(alarm);
        }
    }

    /// Notes that a send was told of the connection's loss: no receive will be. Not of a broken pipe,
    /// where the peer has ended its side cleanly.
    pub(super) fn note_loss(&self, errno: i32) {
        if matches!(
            errno,
            libc::ECONNRESET | libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH
        ) {
            self.lost.set(Some(errno));
        }
    }

    /// Ends sending because of `errno`.
    pub(super) fn fail_outbox(&self, errno: i32, wakes: &mut Wakes) {
        let core = self.core();
        let mut outbox = self.outbox.borrow_mut();
        let was_empty = outbox.is_empty();
        outbox.fail(errno, core.spares());
        let emptied = !was_empty && outbox.is_empty();
        outbox.take_writers().for_each(|writer| wakes.push(writer));
        wakes.extend(outbox.watcher.take());
        let sending = outbox.sending();
        drop(outbox);
        if emptied {
            self.emptied();
        }
        if let Some(sending) = sending {
            core.cancel(sending);
        }
    }
}
