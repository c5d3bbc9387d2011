//! The future of one operation.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::core::Core;
use super::inflight::{Orphan, Waiting};
use super::op::Op;
use crate::note;
use crate::op::{Completion, Token};
use crate::task::{poll_proceed, spend};

/// Submits its operation at the first poll and resolves with its outcome.
///
/// Dropped in flight, the operation goes on as an orphan: it is asked to end, and whatever comes of
/// it is dropped. What the kernel may touch lives with the operation, so forgetting the future leaks
/// and does not dangle.
#[derive(Debug)]
pub(crate) struct Submit<O: Op> {
    core: Rc<Core>,
    state: State<O>,
    /// How many times the kernel gave it up.
    given_up: u8,
}

/// What the kernel gives up more often than this it cannot do.
const PATIENCE: u8 = 64;

#[derive(Debug)]
enum State<O> {
    New(O),
    InFlight(O, Token),
    Done,
}

impl<O: Op> Submit<O> {
    pub(crate) fn new(core: Rc<Core>, op: O) -> Self {
        Self { core, state: State::New(op), given_up: 0 }
    }

    /// Whether the kernel gave it up although nobody asked: a signal came between, or it could not start
    /// a thread for it just then (`uring-sys-notes/io-wq.md`).
    fn was_given_up(&mut self, completion: Completion) -> bool {
        let given_up = matches!(completion.errno(), libc::EINTR | libc::ECANCELED);
        if !O::REPEATS || !given_up || self.given_up == PATIENCE {
            return false;
        }
        self.given_up += 1;
        true
    }

    fn submit(&mut self, mut op: O, cx: &Context<'_>) -> io::Result<()> {
        let waiting = Waiting::Future(cx.waker().clone());
        let token = self.core.submit(op.request(), waiting)?;
        note::waits_for(|| op.note());
        self.state = State::InFlight(op, token);
        Ok(())
    }
}

// Nothing is pinned in place: what the kernel sees stands on the heap.
impl<O: Op> Unpin for Submit<O> {}

impl<O: Op> Future for Submit<O> {
    type Output = io::Result<O::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        std::task::ready!(poll_proceed(cx));
        let this = &mut *self;
        // User code runs in there, and may panic: until it is back the operation stays where it is, for
        // the kernel may be at its memory.
        let taken = match this.state {
            State::InFlight(_, token) => this.core.take(token, cx.waker()),
            _ => Ok(None),
        };
        match std::mem::replace(&mut this.state, State::Done) {
            State::New(op) => {
                this.core.may_wait()?;
                this.submit(op, cx)?;
                Poll::Pending
            }
            State::InFlight(op, token) => match taken {
                Ok(Some(completion)) if this.was_given_up(completion) => {
                    this.submit(op, cx)?;
                    Poll::Pending
                }
                Ok(Some(completion)) => {
                    spend();
                    let output = op.complete(completion);
                    // Nobody but the end cancels what a future waits for.
                    if completion.result == -libc::ECANCELED && this.core.has_ended() {
                        return Poll::Ready(Err(super::core::ended()));
                    }
                    Poll::Ready(output)
                }
                Ok(None) => {
                    note::waits_for(|| op.note());
                    this.state = State::InFlight(op, token);
                    Poll::Pending
                }
                Err(ended) => {
                    // The kernel may still be at it: the drop finds out.
                    this.state = State::InFlight(op, token);
                    Poll::Ready(Err(ended))
                }
            },
            State::Done => panic!("an operation was polled after it ended"),
        }
    }
}

impl<O: Op> Drop for Submit<O> {
    fn drop(&mut self) {
        if let State::InFlight(op, token) = std::mem::replace(&mut self.state, State::Done) {
            self.core.orphan(token, Box::new(Orphaned(op)));
        }
    }
}

struct Orphaned<O>(O);

impl<O: Op> Orphan for Orphaned<O> {
    fn complete(self: Box<Self>, completion: Completion) {
        drop(self.0.complete(completion));
    }
}
