//! A connected stream: a descriptor, its inbox and its outbox.
//!
//! Completions settle here, also when every handle is gone: requests in flight hold the socket, and
//! the last of them to end closes it.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};

use super::by_call::Pipe;
use super::direct::Traffic;
use super::inbox::{Inbox, Receive};
use super::outbox::Outbox;
use super::unix::Parked;
use super::waiters::Waiters;
use crate::op::{Call, Completion};
use crate::runtime::{Core, Fd, Role, Sink, TimerKey, Wakes};

pub(super) const RECEIVE: Role = Role(0);
pub(super) const SEND: Role = Role(1);
pub(super) const WATCH: Role = Role(2);

pub(super) struct Socket {
    pub(super) fd: Fd,
    /// What is known of one that is no socket: there is no receive and no send of it.
    pub(super) pipe: Option<Pipe>,
    pub(super) inbox: RefCell<Inbox>,
    pub(super) outbox: RefCell<Outbox>,
    /// The descriptors that came with the bytes of a Unix stream, where they are wanted.
    pub(super) rights: RefCell<Option<Box<Parked>>>,
    /// Set when nobody will read any more; what arrives is dropped.
    pub(super) read_closed: Cell<bool>,
    /// What to do when the outbox is empty, where nobody will write any more.
    pub(super) after_flush: Cell<AfterFlush>,
    /// Set while a dropped writer's bytes are on their way: the bound of their time.
    pub(super) lingering: Cell<Option<TimerKey>>,
    /// Set by a send that was told, by this errno, that the connection is lost.
    pub(super) lost: Cell<Option<i32>>,
    /// Set while `SO_LINGER` would let `close(2)` wait, and with it the loop.
    pub(super) close_waits: Cell<bool>,
    /// Set where it may be a socket in blocking mode, whose flags are not ours.
    pub(super) blocks: Cell<bool>,
    /// Who is told when the socket goes.
    heir: Cell<Option<Rc<Heir>>>,
    /// Its place with a server, where one accepted it.
    place: Cell<Option<Place>>,
}

/// Who counts sockets until they have gone.
pub(crate) trait Counts {
    /// The socket of that place has gone. Nothing of the loop is borrowed.
    fn gone(&self, place: usize);
}

/// A place with whoever counts a socket; it is given up where the socket goes.
pub(super) struct Place {
    pub(super) with: Rc<dyn Counts>,
    pub(super) number: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.with.gone(self.number);
    }
}

/// What is left of a socket that has gone, for those who wait for that.
#[derive(Debug, Default)]
pub(super) struct Heir {
    /// Why what was written could not be sent: an errno.
    pub(super) failed: Cell<Option<i32>>,
    /// Set by an abort that found all of it sent: that is no failure.
    pub(super) whole: Cell<bool>,
    pub(super) waiting: RefCell<Waiters>,
}

/// What happens once a dropped writer's bytes have left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AfterFlush {
    Nothing,
    /// The owned write half was dropped, or its user wrote the end: the peer sees it.
    Shutdown,
}

impl Socket {
    pub(super) fn new(fd: Fd) -> Rc<Self> {
        Self::of(fd, None, Traffic::new())
    }

    /// A pipe or one of its kin.
    pub(super) fn of_pipe(fd: Fd, pipe: Pipe) -> Rc<Self> {
        Self::of(fd, Some(pipe), Traffic::by_call())
    }

    fn of(fd: Fd, pipe: Option<Pipe>, traffic: Traffic) -> Rc<Self> {
        Rc::new(Self {
            fd,
            pipe,
            inbox: RefCell::new(Inbox::of(traffic)),
            outbox: RefCell::new(Outbox::new()),
            rights: RefCell::new(None),
            read_closed: Cell::new(false),
            after_flush: Cell::new(AfterFlush::Nothing),
            lingering: Cell::new(None),
            lost: Cell::new(None),
            close_waits: Cell::new(false),
            blocks: Cell::new(false),
            heir: Cell::new(None),
            place: Cell::new(None),
        })
    }

    pub(super) fn fd(&self) -> &Fd {
        &self.fd
    }

    pub(super) fn core(&self) -> &Rc<Core> {
        self.fd.core()
    }

    /// Tells `heir` how sending ended, when the socket goes.
    pub(super) fn bequeath(&self, heir: Rc<Heir>) {
        self.heir.set(Some(heir));
    }

    /// Counts it until it goes.
    pub(super) fn count(&self, place: Place) {
        self.place.set(Some(place));
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

    /// What was written has been discarded: the peer must not take it for a whole, so the close is a
    /// reset, and no end comes before it.
    pub(super) fn cut_off(&self) {
        if self.pipe.is_some() {
            // Its reader cannot be told.
            return;
        }
        self.close_waits.set(false);
        let reset = super::options::linger(libc::linger { l_onoff: 1, l_linger: 0 });
        let _ = super::options::set(self.core(), self.fd.raw(), reset);
        self.after_flush.set(AfterFlush::Nothing);
    }

    /// The write half is gone: sends what it had taken, then shuts down writing.
    pub(super) fn close_write(self: &Rc<Self>) {
        let ended = self.write_eof();
        let may_end = self.outbox.borrow().errno().is_none();
        if ended.is_err() && may_end && self.core().has_ended() {
            self.fd.end_writing();
        }
        if !self.outbox.borrow().is_empty() {
            self.linger();
        }
    }

    /// Shuts down writing, behind what has been taken. Does not wait for it.
    pub(super) fn write_eof(&self) -> io::Result<()> {
        let errno = self.outbox.borrow().errno();
        if let Some(errno) = errno.filter(|errno| *errno != libc::EPIPE) {
            // Some of it was discarded: a part with an end would look like the whole.
            return Err(io::Error::from_raw_os_error(errno));
        }
        self.after_flush.set(AfterFlush::Shutdown);
        if self.outbox.borrow().is_empty() {
            self.core().call(Call::Shutdown { fd: self.fd.raw(), how: libc::SHUT_WR })?;
        }
        Ok(())
    }

    /// The stream is gone: what it had taken is sent in the background.
    pub(super) fn close(self: &Rc<Self>) {
        self.close_read();
        if self.close_waits.get() {
            // The kernel sends what it has in the background instead.
            let off = super::options::linger(libc::linger { l_onoff: 0, l_linger: 0 });
            let _ = super::options::set(self.core(), self.fd.raw(), off);
        }
        if !self.outbox.borrow().is_empty() {
            self.linger();
        }
    }

    /// Bounds how long a dropped writer's bytes may take.
    fn linger(self: &Rc<Self>) {
        if self.lingering.get().is_some() {
            // The write half went first: its bound holds.
            return;
        }
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
        } else if role == WATCH {
            self.settle_watch(completion, wakes);
        } else if let Some(pipe) = &self.pipe {
            self.settle_room(pipe, completion, wakes);
        } else if !completion.flags.more() {
            // The kernel reads the bytes until the last one has come.
            self.settle_send(completion, wakes);
        }
    }

    fn flush(self: Rc<Self>, wakes: &mut Wakes) {
        self.outbox.borrow_mut().dirty = false;
        if let Some(pipe) = &self.pipe {
            return self.write_out(pipe, wakes);
        }
        // A close or a shutdown that follows the last byte must not wait for an unrelated event.
        let open = !self.read_closed.get() && self.after_flush.get() == AfterFlush::Nothing;
        self.send(open && self.core().may_be_quiet());
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

impl Drop for Socket {
    fn drop(&mut self) {
        // Nothing of the loop is borrowed where a socket goes.
        if let Some(heir) = self.heir.take() {
            let failed = self.outbox.get_mut().errno();
            heir.failed.set(failed.filter(|_| !heir.whole.get()));
            let waiting = heir.waiting.borrow_mut().take_all();
            waiting.for_each(crate::task::wake);
        }
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("fd", &self.fd).finish_non_exhaustive()
    }
}
