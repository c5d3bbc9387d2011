//! A runtime's ear: one read of its chime, for all who wait for signals in it.
//!
//! ```text
//!   poll ──► news? ──no──► keep the waker, arm the read (once for all)
//!                             │ the handler: counts, then rings
//!   settle: the read is over ─┴► whoever finds news is woken; armed again while somebody waits
//! ```
//!
//! The counts are the truth, the ring only says that it is worth a look: a ring too many is harmless. Each
//! look comes after the ring was taken, so a signal that comes later rings again.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use crate::buf::Block;
use crate::note::{self, On};
use crate::op::{Call, Completion, Request, Token};
use crate::runtime::{Core, Fd, Role, Sink, Waiting, Wakes};
use crate::sys::signal::{Chime, Interrupt, Subscription};
use crate::task::discard;

thread_local! {
    /// Of the runtimes of this thread that listen: rarely more than one.
    static HERE: RefCell<Vec<Weak<Listener>>> = const { RefCell::new(Vec::new()) };
}

/// Listens for one runtime, as long as somebody subscribes in it.
pub(super) struct Listener {
    core: Rc<Core>,
    /// Before the chime: its descriptor's duplicate, which is the runtime's own.
    fd: Fd,
    chime: Chime,
    /// What the read fills.
    block: RefCell<Block>,
    reading: Cell<Reading>,
    /// Why nothing more can be read: an errno.
    error: Cell<Option<i32>>,
    ears: RefCell<Vec<Rc<Ear>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Idle,
    Armed(Token),
    /// As Armed, and asked to end.
    Ending,
}

/// One subscriber.
pub(super) struct Ear {
    what: What,
    waker: Cell<Option<Waker>>,
}

/// What a subscriber waits for.
pub(super) enum What {
    /// A count that differs from this.
    Signal(Subscription, Cell<u64>),
    /// The SIGINT that interrupts.
    Interrupt(Interrupt),
}

impl What {
    pub(super) fn signal(subscription: Subscription) -> Self {
        let came = subscription.came();
        Self::Signal(subscription, Cell::new(came))
    }

    fn number(&self) -> i32 {
        match self {
            Self::Signal(subscription, _) => subscription.signal(),
            Self::Interrupt(interrupt) => interrupt.signal(),
        }
    }

    fn has_news(&self) -> bool {
        match self {
            Self::Signal(subscription, seen) => subscription.came() != seen.get(),
            Self::Interrupt(interrupt) => interrupt.fired(),
        }
    }

    /// Whether there was news, which then is none any more.
    fn take_news(&self) -> bool {
        match self {
            Self::Signal(subscription, seen) => {
                let came = subscription.came();
                seen.replace(came) != came
            }
            Self::Interrupt(interrupt) => interrupt.fired(),
        }
    }
}

impl Listener {
    /// The one of a runtime that runs on this thread.
    ///
    /// # Errors
    ///
    /// No descriptor is left.
    pub(super) fn of(core: &Rc<Core>) -> io::Result<Rc<Self>> {
        // A thread that is ending has no list any more.
        let known = HERE.try_with(|here| {
            let mut here = here.borrow_mut();
            here.retain(|listener| listener.strong_count() > 0);
            here.iter().filter_map(Weak::upgrade).find(|known| Rc::ptr_eq(&known.core, core))
        });
        if let Ok(Some(known)) = known {
            return Ok(known);
        }
        let chime = Chime::new()?;
        let fd = core.call(Call::Duplicate { fd: chime.fd() })?;
        let listener = Rc::new(Self {
            core: core.clone(),
            fd: Fd::new(fd, core.clone()),
            chime,
            block: RefCell::new(Block::with_capacity(8)),
            reading: Cell::new(Reading::Idle),
            error: Cell::new(None),
            ears: RefCell::default(),
        });
        let _ = HERE.try_with(|here| here.borrow_mut().push(Rc::downgrade(&listener)));
        Ok(listener)
    }

    /// Adds a subscriber.
    pub(super) fn listen(&self, what: What) -> Rc<Ear> {
        let ear = Rc::new(Ear { what, waker: Cell::new(None) });
        self.ears.borrow_mut().push(ear.clone());
        self.tell_chime();
        ear
    }

    /// Removes a subscriber. The read ends with the last one.
    pub(super) fn forget(&self, ear: &Rc<Ear>) {
        self.ears.borrow_mut().retain(|known| !Rc::ptr_eq(known, ear));
        self.tell_chime();
        if let Reading::Armed(token) = self.reading.get()
            && self.ears.borrow().is_empty()
        {
            self.reading.set(Reading::Ending);
            self.core.cancel(token);
        }
        discard(ear.waker.take());
    }

    /// Whether a subscriber's signal has come; else its task is woken when it does.
    pub(super) fn poll_news(self: &Rc<Self>, ear: &Ear, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if ear.what.take_news() {
            return Poll::Ready(Ok(()));
        }
        self.core.may_wait()?;
        if let Some(errno) = self.error.get() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(errno)));
        }
        let old = ear.waker.take();
        let known = old.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        ear.waker.set(old);
        if !known {
            let new = cx.waker().clone();
            discard(ear.waker.replace(Some(new)));
        }
        self.arm()?;
        note::waits("Signal::recv", On::Nothing);
        Poll::Pending
    }

    /// Sees to it that a read is, or will be, under way.
    fn arm(self: &Rc<Self>) -> io::Result<()> {
        if self.reading.get() != Reading::Idle {
            return Ok(());
        }
        let ptr = self.block.borrow_mut().as_mut_ptr();
        let request = Request::Read { fd: self.fd.raw(), ptr, len: 8, offset: Request::POSITION };
        let token = self.core.submit(request, Waiting::Sink(self.clone(), Role(0)))?;
        self.reading.set(Reading::Armed(token));
        Ok(())
    }

    fn tell_chime(&self) {
        self.chime.ring_for(self.ears.borrow().iter().map(|ear| ear.what.number()));
    }
}

impl Sink for Listener {
    fn settle(self: Rc<Self>, _role: Role, completion: Completion, wakes: &mut Wakes) {
        self.reading.set(Reading::Idle);
        match (completion.result, completion.errno()) {
            (0.., _) | (_, libc::EINTR | libc::ECANCELED) => {}
            // Of a descriptor that somebody closed behind our back.
            (_, errno) => self.error.set(Some(errno)),
        }
        let mut somebody_waits = false;
        for ear in self.ears.borrow().iter() {
            match ear.waker.take() {
                Some(waker) if ear.what.has_news() => wakes.push(waker),
                waiting => {
                    somebody_waits |= waiting.is_some();
                    ear.waker.set(waiting);
                }
            }
        }
        if somebody_waits && (self.error.get().is_some() || self.arm().is_err()) {
            // They learn why when they look.
            wakes.extend(self.ears.borrow().iter().filter_map(|ear| ear.waker.take()));
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("reading", &self.reading.get()).finish_non_exhaustive()
    }
}
