//! Accepting: a multishot accept that fills an inbox of connections.
//!
//! The first `accept` arms it and it stays armed (`uring-sys-notes/multishot-accept.md`). When the
//! inbox is full it is cancelled, and the rest stays in the kernel's backlog. Short of descriptors it
//! backs off by the clock: the kernel says EMFILE at once and again, whether or not anybody dials
//! (`uring-sys-notes/accept-emfile.md`).
//!
//! With an inbox of no connections, none is accepted before somebody takes it: an `accept` calls for
//! one, and what is armed is a poll that says when to call again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::line::Line;
use crate::note::{self, On};
use crate::op::{Call, Completion, Request, Token};
use crate::runtime::{Core, Fd, Role, Sink, Waiting, Wakes};
use crate::task::{discard, poll_proceed, proceed, spend, yield_now};

/// How long accepting pauses when descriptors or memory are short: at first, and at most.
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(40);

/// A listening socket and what it has accepted.
pub(super) struct Acceptor {
    core: Rc<Core>,
    state: RefCell<State>,
    /// How many connections may be parked. None: they are accepted one by one.
    limit: usize,
}

struct State {
    /// `None` once it was closed and no request is on it.
    fd: Option<Fd>,
    accept: Accepting,
    parked: VecDeque<Fd>,
    line: Line,
    pause: Duration,
    /// Why nothing more can be accepted: an errno.
    error: Option<i32>,
    /// Set by `close`: what is parked or in the backlog is still handed out.
    closing: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Accepting {
    Idle,
    Armed(Token),
    /// As Armed, and asked to end.
    Ending,
    /// Short of descriptors; an alarm is set.
    Pausing,
}

impl Acceptor {
    pub(super) fn new(fd: Fd, limit: usize) -> Rc<Self> {
        Rc::new(Self {
            core: fd.core().clone(),
            state: RefCell::new(State {
                fd: Some(fd),
                accept: Accepting::Idle,
                parked: VecDeque::new(),
                line: Line::default(),
                pause: PAUSE,
                error: None,
                closing: false,
            }),
            limit,
        })
    }

    /// Waits for the next connection.
    pub(super) fn accept(self: &Rc<Self>) -> Accept<'_> {
        Accept { acceptor: self, ticket: None }
    }

    /// Works on the listening descriptor.
    ///
    /// # Errors
    ///
    /// It has been closed.
    pub(super) fn with_fd<T>(&self, f: impl FnOnce(&Fd) -> io::Result<T>) -> io::Result<T> {
        match &self.state.borrow().fd {
            Some(fd) => f(fd),
            None => Err(closed()),
        }
    }

    /// Stops listening. What has been accepted, and what the kernel had queued, is still handed out.
    pub(super) fn close(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        state.closing = true;
        self.end(&mut state);
        let mut wakes = Wakes::new();
        // When it pauses, the alarm drains.
        if state.accept == Accepting::Idle {
            self.drain(&mut state, &mut wakes);
        }
        drop(state);
        wakes.drain(..).for_each(crate::task::wake);
    }

    /// Stops listening and closes what nobody took.
    pub(super) fn abandon(&self) {
        let mut state = self.state.borrow_mut();
        self.end(&mut state);
        state.error = Some(libc::EBADF);
        let parked = std::mem::take(&mut state.parked);
        // Of accepts that were forgotten: nobody else is left.
        let waiters = state.line.dissolve();
        drop(state);
        drop(parked);
        waiters.for_each(discard);
    }

    fn is_one_by_one(&self) -> bool {
        self.limit == 0
    }

    /// Whether nothing is armed that would tell of the next connection: whoever is woken must call.
    fn is_to_call(&self, state: &State) -> bool {
        self.is_one_by_one()
            && state.accept == Accepting::Idle
            && state.fd.is_some()
            && state.error.is_none()
            && !state.closing
    }

    /// How many could be served, as far as is known.
    fn there(&self, state: &State) -> usize {
        if self.is_to_call(state) { 1 } else { state.parked.len() }
    }

    fn arm(self: &Rc<Self>, state: &mut State) -> io::Result<()> {
        let Some(fd) = &state.fd else { return Ok(()) };
        debug_assert_eq!(state.accept, Accepting::Idle);
        let request = if self.is_one_by_one() {
            Request::Poll { fd: fd.raw(), events: libc::POLLIN as u32 }
        } else {
            Request::Accept { fd: fd.raw(), multi: true }
        };
        let token = self.core.submit(request, Waiting::Sink(self.clone(), Role(0)))?;
        state.accept = Accepting::Armed(token);
        Ok(())
    }

    fn end(&self, state: &mut State) {
        if let Accepting::Armed(token) = state.accept {
            state.accept = Accepting::Ending;
            self.core.cancel(token);
        }
    }

    /// Takes one out of the backlog. `None`: there is none now, or none any more.
    fn call(self: &Rc<Self>, state: &mut State) -> Option<Fd> {
        loop {
            match self.core.call(Call::AcceptNow { fd: state.fd.as_ref()?.raw() }) {
                Ok(accepted) => {
                    state.pause = PAUSE;
                    return Some(Fd::new(accepted, self.core.clone()));
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO) => {}
                    Some(libc::EAGAIN) => return None,
                    Some(errno) if is_shortage(errno) => {
                        self.pause(state);
                        return None;
                    }
                    errno => {
                        state.error = errno.or(Some(libc::EIO));
                        return None;
                    }
                },
            }
        }
    }

    /// Accepts what the backlog holds, then lets the descriptor go. Short of descriptors of its own it
    /// keeps it and comes back: those who had dialled are still served.
    fn drain(self: &Rc<Self>, state: &mut State, wakes: &mut Wakes) {
        while let Some(fd) = &state.fd {
            match self.core.call(Call::AcceptNow { fd: fd.raw() }) {
                Ok(accepted) => state.parked.push_back(Fd::new(accepted, self.core.clone())),
                Err(error) => match error.raw_os_error() {
                    Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO) => {}
                    Some(errno) if is_shortage(errno) => {
                        self.pause(state);
                        break;
                    }
                    _ => state.fd = None,
                },
            }
        }
        // Everybody looks: some get a connection, the rest learns that there will be none.
        wakes.extend(state.line.dissolve());
    }

    /// Whether there may be a connection to wait for; there is where somebody else was woken for one.
    fn may_wait(&self, state: &State, is_anothers: bool) -> io::Result<()> {
        match state.error {
            _ if is_anothers => self.core.may_wait(),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None if state.closing && state.fd.is_none() => Err(closed()),
            None => self.core.may_wait(),
        }
    }

    /// Whoever was woken may be gone, or never look: then it is the next one's turn.
    fn watch(self: &Rc<Self>, state: &mut State) {
        if self.there(state) > 0
            && !state.line.is_empty()
            && !std::mem::replace(&mut state.line.watched, true)
        {
            self.core.mark_dirty(self.clone());
        }
    }

    /// Tries again by the clock.
    fn pause(self: &Rc<Self>, state: &mut State) {
        state.accept = Accepting::Pausing;
        let this: Weak<Self> = Rc::downgrade(self);
        self.core.set_alarm(self.core.now() + state.pause, this);
        state.pause = (state.pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether descriptors or memory are short, or a firewall forbids: it says so at once and again,
/// whoever dials.
fn is_shortage(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EPERM)
}

impl Sink for Acceptor {
    fn settle(self: Rc<Self>, _role: Role, completion: Completion, wakes: &mut Wakes) {
        let mut state = self.state.borrow_mut();
        let last = !completion.flags.more();
        if last {
            state.accept = Accepting::Idle;
        }
        let mut unwanted = None;
        match completion.result {
            // The poll's: there is a connection, for whoever comes first.
            0.. if self.is_one_by_one() => {}
            accepted @ 0.. => {
                let fd = Fd::new(accepted, self.core.clone());
                state.pause = PAUSE;
                if state.error.is_some() {
                    unwanted = Some(fd);
                } else {
                    state.parked.push_back(fd);
                }
            }
            _ => match completion.errno() {
                libc::ECANCELED
                | libc::ECONNABORTED
                | libc::EINTR
                | libc::EAGAIN
                | libc::EPROTO => {}
                errno if is_shortage(errno) => self.pause(&mut state),
                errno => {
                    state.error.get_or_insert(errno);
                    wakes.extend(state.line.dissolve());
                }
            },
        }
        if state.accept == Accepting::Idle && state.closing {
            self.drain(&mut state, wakes);
        } else if self.is_one_by_one() {
            // Armed by an accept that finds none.
        } else if state.parked.len() >= self.limit {
            self.end(&mut state);
        } else if state.accept == Accepting::Idle && state.error.is_none() && !state.line.is_empty()
        {
            let _ = self.arm(&mut state);
        }
        let there = self.there(&state);
        wakes.extend(state.line.call(there));
        self.watch(&mut state);
        drop(state);
        drop(unwanted);
    }

    fn flush(self: Rc<Self>, wakes: &mut Wakes) {
        let mut state = self.state.borrow_mut();
        state.line.end_turn();
        let there = self.there(&state);
        wakes.extend(state.line.call(there));
        self.watch(&mut state);
    }

    fn alarm(self: Rc<Self>, wakes: &mut Wakes) {
        let mut state = self.state.borrow_mut();
        if state.accept == Accepting::Pausing {
            state.accept = Accepting::Idle;
            if state.closing {
                self.drain(&mut state, wakes);
            } else if state.error.is_none() && !state.line.is_empty() {
                let _ = self.arm(&mut state);
            }
        }
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").field("fd", &self.state.borrow().fd).finish_non_exhaustive()
    }
}

/// The next connection of an acceptor.
pub(super) struct Accept<'a> {
    acceptor: &'a Rc<Acceptor>,
    ticket: Option<u64>,
}

impl Future for Accept<'_> {
    type Output = io::Result<Fd>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Fd>> {
        ready!(poll_proceed(cx));
        let acceptor = self.acceptor;
        // Before the borrow: cloning a waker is user code.
        let waker = cx.waker().clone();
        let mut state = acceptor.state.borrow_mut();
        let is_turn = state.line.is_turn_of(self.ticket);
        let mut next = if is_turn { state.parked.pop_front() } else { None };
        let calls = is_turn && next.is_none() && acceptor.is_to_call(&state);
        if calls && acceptor.core.may_wait().is_ok() {
            next = acceptor.call(&mut state);
        }
        // What is there is for somebody who was woken before.
        let is_anothers = !is_turn && acceptor.there(&state) > 0;
        let result = match next {
            Some(fd) => Ok(fd),
            None => match acceptor.may_wait(&state, is_anothers) {
                Err(error) => Err(error),
                Ok(()) => {
                    if state.accept == Accepting::Idle && !state.closing && !is_anothers {
                        acceptor.arm(&mut state)?;
                    }
                    let old = state.line.wait(&mut self.ticket, waker);
                    acceptor.watch(&mut state);
                    let fd = state.fd.as_ref().map(Fd::raw);
                    drop(state);
                    discard(old);
                    note::waits("accept", fd.map_or(On::Nothing, On::Fd));
                    return Poll::Pending;
                }
            },
        };
        // The ticket stays: who has no use for this one waits for the next where it stood.
        let old = state.line.leave(self.ticket);
        let more = match acceptor.limit {
            0 => !state.line.is_empty(),
            limit => state.parked.len() <= limit / 2,
        };
        if result.is_ok() && more && state.accept == Accepting::Idle && !state.closing {
            // A failure to ask for more is the next accept's to report.
            let _ = acceptor.arm(&mut state);
        }
        acceptor.watch(&mut state);
        // A call of this one's may be the first to have failed.
        let others = state.error.map(|_| state.line.dissolve());
        drop(state);
        // A connection that was taken is handed out, whatever they do.
        discard(waker);
        discard(old);
        others.into_iter().flatten().for_each(crate::task::wake);
        spend();
        Poll::Ready(result)
    }
}

impl Drop for Accept<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.acceptor.state.borrow_mut();
        // One that had been woken need not pass it on: what it does not take is watched.
        let waker = state.line.leave(Some(ticket));
        drop(state);
        discard(waker);
    }
}

/// Turns of the loop that an address which is in use is given: a listener that was dropped or closed a
/// moment ago holds it until its accept has ended and its descriptor is closed.
const CLOSING: usize = 16;

/// Binds, and again as long as the address may be about to become free.
pub(super) async fn bind_patiently<T>(mut bind: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    // A refusal counts, too: whoever tries again and again holds up nobody.
    proceed().await;
    let mut bound = bind();
    for _ in 0..CLOSING {
        if !bound.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::AddrInUse) {
            break;
        }
        yield_now().await;
        bound = bind();
    }
    bound
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the listener is closed")
}
