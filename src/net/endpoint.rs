//! A datagram socket: a descriptor, and what has come for whoever takes it.
//!
//! ```text
//!   internet   multishot recvmsg ──► inbox of datagrams ──► whose turn it is
//!   Unix       readiness ─────────────────────────────────► whose turn it is: recvfrom(2) within the poll
//!   both       sendmsg(2) within the poll; without room, readiness and another try
//! ```
//!
//! A buffer of the messages' pool holds any datagram of the internet. A Unix datagram may be longer than
//! any buffer, and its sender waits while its receiver does not take it: it stays in the kernel until
//! somebody with enough room asks. Sends are never in flight, so a dropped one has sent all or nothing.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::line::Line;
use super::udp::Parked;
use crate::note::{self, On};
use crate::op::{Completion, Request, Token};
use crate::runtime::{Core, Fd, Role, Sink, Waiting, Wakes};
use crate::task::{discard, poll_proceed, spend};

/// A datagram socket of either family.
pub(super) struct Endpoint {
    /// Shared with who waits for room.
    fd: Rc<Fd>,
    pub(super) state: RefCell<State>,
    pub(super) kind: Kind,
    /// Whether the kernel segments what is sent, once it was asked.
    pub(super) segments: Cell<Option<bool>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Datagrams come into the inbox by themselves.
    Inet,
    /// They are fetched.
    Unix,
}

pub(super) struct State {
    receive: Receive,
    pub(super) parked: Parked,
    /// Of a Unix socket: set while a call may find a datagram.
    pub(super) ready: bool,
    /// Of a Unix socket: set when its receiving side was found shut down. It then shows something to
    /// receive for ever.
    pub(super) shut: bool,
    line: Line,
    /// The place of whoever polls without a future.
    ticket: Option<u64>,
    /// Whoever waits for the receive to end.
    ender: Option<std::task::Waker>,
    /// Set when nothing more is to be asked for.
    stopped: bool,
    /// Set when nobody will take anything any more.
    closed: bool,
}

/// What the receiving side is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Receive {
    /// Nothing is asked of the kernel.
    Idle,
    /// A receive is in flight, or a watch for something to receive.
    Armed(Token),
    /// As Armed, and asked to end.
    Ending(Token),
    /// Found no buffer; stands in the core's queue.
    Starved,
}

impl State {
    /// How many takers could be served, as far as is known.
    fn there(&self, kind: Kind) -> usize {
        match kind {
            Kind::Inet => self.parked.len(),
            Kind::Unix => usize::from(self.ready),
        }
    }
}

impl Endpoint {
    /// `parked`: how many datagrams may wait for their takers.
    pub(super) fn new(fd: Fd, kind: Kind, parked: usize) -> io::Result<Rc<Self>> {
        if kind == Kind::Inet {
            fd.core().pool().open_messages()?;
        }
        let state = State {
            receive: Receive::Idle,
            parked: Parked::new(parked),
            ready: true,
            shut: false,
            line: Line::default(),
            ticket: None,
            ender: None,
            stopped: false,
            closed: false,
        };
        let (fd, state) = (Rc::new(fd), RefCell::new(state));
        Ok(Rc::new(Self { fd, state, kind, segments: Cell::new(None) }))
    }

    pub(super) fn fd(&self) -> &Rc<Fd> {
        &self.fd
    }

    pub(super) fn core(&self) -> &Rc<Core> {
        self.fd.core()
    }

    /// Waits its turn, then lets `take` have what is there. `take` gives `None` where there is nothing
    /// after all.
    pub(super) async fn take<T>(
        self: &Rc<Self>,
        what: &'static str,
        mut take: impl FnMut(&Self, &mut State) -> Option<io::Result<T>>,
    ) -> io::Result<T> {
        let mut turn = Turn { endpoint: self, ticket: None };
        std::future::poll_fn(|cx| self.poll_take(cx, &mut turn.ticket, what, &mut take)).await
    }

    /// As [`take`](Self::take), for one that has no future.
    pub(super) fn poll_next<T>(
        self: &Rc<Self>,
        cx: &Context<'_>,
        what: &'static str,
        mut take: impl FnMut(&Self, &mut State) -> Option<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut ticket = self.state.borrow_mut().ticket.take();
        let polled = self.poll_take(cx, &mut ticket, what, &mut take);
        self.state.borrow_mut().ticket = ticket;
        polled
    }

    fn poll_take<T>(
        self: &Rc<Self>,
        cx: &Context<'_>,
        ticket: &mut Option<u64>,
        what: &'static str,
        take: &mut impl FnMut(&Self, &mut State) -> Option<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        ready!(poll_proceed(cx));
        // Before the borrow: cloning a waker is user code.
        let waker = cx.waker().clone();
        let mut state = self.state.borrow_mut();
        if state.there(self.kind) > 0
            && state.line.is_turn_of(*ticket)
            && let Some(taken) = take(self, &mut state)
        {
            let old = state.line.leave(ticket.take());
            // A failure to ask for more is the next taker's to report.
            let _ = self.arm(&mut state);
            self.watch(&mut state);
            drop(state);
            discard(old);
            discard(waker);
            spend();
            return Poll::Ready(taken);
        }
        let waits = self.core().may_wait().and_then(|()| self.arm(&mut state));
        if let Err(error) = waits {
            drop(state);
            discard(waker);
            return Poll::Ready(Err(error));
        }
        let old = state.line.wait(ticket, waker);
        self.watch(&mut state);
        drop(state);
        discard(old);
        note::waits(what, On::Fd(self.fd.raw()));
        Poll::Pending
    }

    /// What is there now, unless it is somebody else's turn.
    pub(super) fn try_take<T>(
        self: &Rc<Self>,
        take: impl FnOnce(&Self, &mut State) -> Option<io::Result<T>>,
    ) -> io::Result<T> {
        let mut state = self.state.borrow_mut();
        self.core().may_wait()?;
        let there = state.there(self.kind) > 0;
        let is_turn = state.line.is_turn_of(None);
        let taken = if there && is_turn { take(self, &mut state) } else { None };
        if there && !is_turn {
            self.look_again(&mut state);
        }
        // What has come since shows when the loop has turned.
        let armed = self.arm(&mut state);
        taken.unwrap_or_else(|| armed.and(Err(io::ErrorKind::WouldBlock.into())))
    }

    /// Asks for what comes next, where that is not under way.
    fn arm(self: &Rc<Self>, state: &mut State) -> io::Result<()> {
        let there = state.there(self.kind) > 0;
        let pauses = match self.kind {
            Kind::Inet => !state.parked.wants_more() || there && self.core().pool().over_budget(),
            Kind::Unix => there,
        };
        if state.receive != Receive::Idle || state.stopped || pauses {
            return Ok(());
        }
        let fd = self.fd.raw();
        let request = match self.kind {
            Kind::Inet => Request::RecvMsg { fd },
            Kind::Unix => Request::Poll { fd, events: libc::POLLIN as u32 },
        };
        let token = self.core().submit(request, Waiting::Sink(self.clone(), Role(0)))?;
        state.receive = Receive::Armed(token);
        Ok(())
    }

    fn disarm(&self, state: &mut State) {
        if let Receive::Armed(token) = state.receive {
            state.receive = Receive::Ending(token);
            self.core().cancel(token);
        }
    }

    /// Whoever was woken may be gone, or never look: then it is the next one's turn.
    fn watch(self: &Rc<Self>, state: &mut State) {
        if state.there(self.kind) > 0 && !state.line.is_empty() {
            self.look_again(state);
        }
    }

    /// At the end of this turn, those who were woken have had theirs.
    fn look_again(self: &Rc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.line.watched, true) {
            self.core().mark_dirty(self.clone());
        }
    }

    /// Nobody will take anything any more.
    pub(super) fn close(&self) {
        let mut state = self.state.borrow_mut();
        (state.stopped, state.closed) = (true, true);
        self.disarm(&mut state);
        let parked = state.parked.take_all();
        // Of futures that were forgotten: nobody else is left.
        let waiters = state.line.dissolve();
        let ender = state.ender.take();
        drop(state);
        drop(parked);
        waiters.for_each(discard);
        discard(ender);
    }

    /// Stops receiving without losing anything: what was parked.
    pub(super) async fn quiesce(self: &Rc<Self>) -> io::Result<Parked> {
        std::future::poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut state = self.state.borrow_mut();
            state.stopped = true;
            self.disarm(&mut state);
            let polled = match state.receive {
                Receive::Idle | Receive::Starved => Poll::Ready(Ok(state.parked.take_all())),
                _ => match self.core().may_wait() {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                },
            };
            let waker = Some(waker);
            let old = if polled.is_pending() {
                std::mem::replace(&mut state.ender, waker)
            } else {
                waker
            };
            drop(state);
            discard(old);
            polled
        })
        .await
    }

    /// Takes in what an internet socket has received. Whether it found no buffer.
    fn park(&self, state: &mut State, completion: Completion) -> bool {
        let len = u32::try_from(completion.result).ok();
        let message = match (completion.flags.buffer(), len, self.core().pool().messages()) {
            (Some(id), Some(len), Some(pool)) => pool.lease(id, len),
            _ => None,
        };
        match (message, completion.errno()) {
            (Some(message), _) => state.parked.push(message),
            (None, libc::ECANCELED | libc::EINTR | libc::EAGAIN) => {}
            (None, libc::ENOBUFS) => return !matches!(state.receive, Receive::Ending(_)),
            // A datagram that nobody can find.
            (None, ..=0) => state.parked.fail(libc::EIO),
            (None, errno) => state.parked.fail(errno),
        }
        false
    }
}

impl Sink for Endpoint {
    fn settle(self: Rc<Self>, _role: Role, completion: Completion, wakes: &mut Wakes) {
        let mut state = self.state.borrow_mut();
        let last = !completion.flags.more();
        let mut starved = false;
        if state.closed {
            // What a buffer still brings goes back with its lease.
            let _ = self.park(&mut state, completion);
            drop(state.parked.take_all());
        } else if self.kind == Kind::Unix {
            state.ready = true;
            state.shut |= completion.result > 0 && completion.result & libc::POLLRDHUP as i32 != 0;
        } else {
            starved = self.park(&mut state, completion);
        }
        if last {
            state.receive = if starved { Receive::Starved } else { Receive::Idle };
            wakes.extend(state.ender.take());
            // After an error its taker asks again: it may be there to stay.
            if !state.parked.ends_with_error() {
                let wanted = !state.line.is_empty() || !state.parked.is_empty();
                let _ = if wanted { self.arm(&mut state) } else { Ok(()) };
            }
        } else if let Receive::Ending(token) = state.receive {
            // On a busy socket a cancel may miss a multishot (`uring-sys-notes/multishot-receive.md`).
            self.core().cancel(token);
        } else if state.parked.is_full() || self.core().pool().over_budget() {
            self.disarm(&mut state);
        }
        let there = state.there(self.kind);
        wakes.extend(state.line.call(there));
        self.watch(&mut state);
        drop(state);
        if starved {
            self.core().mark_starved(self.clone());
        }
    }

    fn flush(self: Rc<Self>, wakes: &mut Wakes) {
        let mut state = self.state.borrow_mut();
        state.line.end_turn();
        let there = state.there(self.kind);
        wakes.extend(state.line.call(there));
        self.watch(&mut state);
    }

    fn rearm(self: Rc<Self>) {
        let mut state = self.state.borrow_mut();
        state.receive = Receive::Idle;
        let _ = self.arm(&mut state);
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// A place in the line, given back when it is not needed.
struct Turn<'a> {
    endpoint: &'a Rc<Endpoint>,
    ticket: Option<u64>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.ticket.is_none() {
            return;
        }
        let mut state = self.endpoint.state.borrow_mut();
        // What it was woken for is watched: it is the next one's.
        let waker = state.line.leave(self.ticket.take());
        drop(state);
        discard(waker);
    }
}
