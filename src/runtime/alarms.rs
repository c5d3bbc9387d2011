//! The core's clock and its timers: whom they tell, and how they are given up.

use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::Instant;

use super::core::Core;
use super::sink::Sink;
use super::timers::Key;
use crate::driver::Driver;
use crate::task::{Call, discard, quietly};

/// Timers that may lie outside of the CPU's own caches.
const VERY_MANY: usize = 20_000;

/// Whom a timer tells. As small as a waker: the other kinds are rare.
pub(super) enum Alarm {
    Wake(Waker),
    Other(Box<Other>),
}

pub(super) enum Other {
    Sink(Weak<dyn Sink>),
    Call(Rc<dyn Call>),
}

impl Alarm {
    /// Nothing comes of it any more: a callback is dropped although its handle may live.
    pub(super) fn give_up(self) {
        if let Self::Other(other) = self
            && let Other::Call(call) = *other
        {
            call.cancel();
        }
    }
}

const _: () = assert!(size_of::<Alarm>() == size_of::<Waker>());

impl Core {
    /// The driver's clock; the moment of its end once the runtime has ended.
    pub(crate) fn now(&self) -> Instant {
        self.driver.borrow().as_ref().map_or_else(|| self.ended_at.get(), Driver::now)
    }

    /// Wakes `waker` at `deadline`.
    pub(crate) fn set_timer(&self, deadline: Instant, waker: Waker) -> Key {
        self.timers.borrow_mut().insert(deadline, Alarm::Wake(waker))
    }

    /// Calls `sink.alarm` at `deadline`.
    pub(crate) fn set_alarm(&self, deadline: Instant, sink: Weak<dyn Sink>) -> Key {
        self.timers.borrow_mut().insert(deadline, Alarm::Other(Box::new(Other::Sink(sink))))
    }

    /// Queues `call` at `deadline`.
    pub(super) fn set_call(&self, deadline: Instant, call: Rc<dyn Call>) -> Key {
        self.timers.borrow_mut().insert(deadline, Alarm::Other(Box::new(Other::Call(call))))
    }

    /// Drops the callbacks that wait for their moment, with what they captured.
    pub(super) fn give_up_calls(&self) {
        let call_of = |alarm: &Alarm| match alarm {
            Alarm::Other(other) => match &**other {
                Other::Call(call) => Some(call.clone()),
                Other::Sink(_) => None,
            },
            Alarm::Wake(_) => None,
        };
        // Outside of the borrow: what they captured is user code.
        let calls: Vec<_> = self.timers.borrow().values().filter_map(call_of).collect();
        calls.into_iter().for_each(|call| quietly(|| call.cancel()));
    }

    /// Changes whom a timer wakes. False: it has fired.
    pub(crate) fn update_timer(&self, key: Key, waker: &Waker) -> bool {
        match self.timers.borrow_mut().get_mut(key) {
            None => return false,
            Some(Alarm::Wake(old)) if old.will_wake(waker) => return true,
            Some(_) => {}
        }
        // Outside of the borrow: cloning and dropping wakers is user code.
        let new = Alarm::Wake(waker.clone());
        let old = self.timers.borrow_mut().get_mut(key).map(|alarm| std::mem::replace(alarm, new));
        let there = old.is_some();
        discard_alarm(old);
        there
    }

    /// Forgets a timer. Where there are very many, its waker is dropped a little later: before the
    /// loop waits.
    pub(crate) fn clear_timer(&self, key: Key) {
        let mut timers = self.timers.borrow_mut();
        if timers.len() < VERY_MANY {
            let alarm = timers.remove(key);
            drop(timers);
            discard_alarm(alarm);
        } else if timers.forget(key) {
            drop(timers);
            self.drop_forgotten();
        }
    }

    /// Forgets an alarm, with which no user code goes.
    pub(crate) fn clear_alarm(&self, key: Key) {
        let alarm = self.timers.borrow_mut().remove(key);
        debug_assert!(!matches!(alarm, Some(Alarm::Wake(_))), "a sink's");
    }

    /// Drops the wakers of timers that were forgotten: user code, so nothing is borrowed.
    #[inline]
    pub(super) fn drop_forgotten(&self) {
        let next = || self.timers.borrow_mut().next_forgotten();
        while let Some(alarm) = next() {
            discard_alarm(Some(alarm));
        }
    }
}

fn discard_alarm(alarm: Option<Alarm>) {
    // A callback belongs to its handle as well, which cancels it.
    if let Some(Alarm::Wake(waker)) = alarm {
        discard(waker);
    }
}
