//! One turn of the loop.

use std::io;
use std::task::Context;
use std::time::Instant;

use super::alarms::{Alarm, Other};
use super::core::{Core, ended, forked};
use super::inflight::Settled;
use super::sink::{Sink, Wakes};
use super::watch::Watching;
use crate::driver::{Driver, Until};
use crate::task::{Ran, Unwatched, quietly};

/// Polls in one turn, at most: I/O is never far away.
const POLLS_PER_TURN: usize = 1024;

impl Core {
    /// One turn: polls, flushes, waits (until `deadline` at the latest), settles.
    ///
    /// # Errors
    ///
    /// The driver's wait failed: the loop cannot go on.
    pub(super) fn turn(
        &self,
        deadline: Option<Instant>,
        poll_root: impl FnMut(&mut Context<'_>) -> bool,
    ) -> io::Result<Ran> {
        self.counters.turn();
        self.may_be_quiet.set(deadline.is_none());
        let ran = match self.watcher() {
            None => self.tasks.run(POLLS_PER_TURN, poll_root, &Unwatched),
            Some(watcher) => {
                let watching = Watching { core: self, watcher };
                self.tasks.run(POLLS_PER_TURN, poll_root, &watching)
            }
        };
        if ran == Ran::All && self.is_quiet() {
            return Ok(ran);
        }
        // User code: before the flush decides which sends may be quiet.
        self.drop_discarded();
        self.flush();
        self.rearm();
        let until = match ran {
            Ran::RootEnded => Until::Now,
            Ran::All => self.until(deadline),
        };
        let until = match self.stays_awake(until) {
            Ok(true) => Until::Now,
            Ok(false) => until,
            Err(error) => {
                // What has come all the same is somebody's.
                self.settle();
                return Err(error);
            }
        };
        let mail = self.tasks.home().mail();
        let asleep = until != Until::Now && mail.fall_asleep();
        let waited = self.wait(if asleep { until } else { Until::Now });
        if asleep {
            self.counters.sleep();
            mail.wake_up();
        }
        self.settle();
        self.drop_discarded();
        waited?;
        self.expire();
        if mail.pending() {
            self.tasks.collect_mail();
        }
        Ok(ran)
    }

    /// Whether there is nothing but tasks to poll: the rest of the turn would do nothing.
    fn is_quiet(&self) -> bool {
        !self.tasks.is_idle()
            && self.dirty.borrow().is_empty()
            && self.starved.borrow().is_empty()
            && self.timers.borrow().is_empty()
            && !self.spares().has_discarded()
            && !self.tasks.home().mail().pending()
            && !self.is_foreign()
            && self.driver.borrow_mut().as_mut().is_some_and(Driver::is_quiet)
    }

    /// Waits; what comes lies in `done`.
    pub(super) fn wait(&self, until: Until) -> io::Result<()> {
        if self.is_foreign() {
            return Err(forked());
        }
        let mut driver = self.driver.borrow_mut();
        driver.as_mut().ok_or_else(ended)?.wait(until, &self.pool, &mut self.done.borrow_mut())
    }

    fn until(&self, deadline: Option<Instant>) -> Until {
        if self.tasks.is_idle() {
            // User code: before it is asked what there is to do.
            self.drop_forgotten();
        }
        if !self.tasks.is_idle() || !self.dirty.borrow().is_empty() {
            return Until::Now;
        }
        // Those that were armed just now may be idle and take no buffer: the rest has its turn next.
        // It ends: each turn lets at least one go.
        if !self.starved.borrow().is_empty() {
            return Until::Now;
        }
        match (self.timers.borrow().next(), deadline) {
            (Some(a), Some(b)) => Until::Instant(a.min(b)),
            (Some(one), None) | (None, Some(one)) => Until::Instant(one),
            (None, None) => Until::Event,
        }
    }

    /// Drops the owners of bytes that were sent. Those whose drops panic do not stop the loop.
    pub(super) fn drop_discarded(&self) {
        if self.spares().has_discarded() {
            self.drop_all_discarded();
        }
    }

    #[inline(never)]
    fn drop_all_discarded(&self) {
        while let Some(bytes) = self.spares().next_discarded() {
            quietly(|| drop(bytes));
        }
    }

    fn flush(&self) {
        if !self.dirty.borrow().is_empty() {
            self.flush_dirty();
        }
    }

    #[inline(never)]
    fn flush_dirty(&self) {
        let mut flushing = std::mem::take(&mut self.scratch.borrow_mut().flushing);
        std::mem::swap(&mut flushing, &mut self.dirty.borrow_mut());
        let mut wakes = std::mem::take(&mut self.scratch.borrow_mut().wakes);
        flushing.drain(..).for_each(|sink| sink.flush(&mut wakes));
        wake_all(&mut wakes);
        let mut scratch = self.scratch.borrow_mut();
        scratch.flushing = flushing;
        scratch.wakes = wakes;
    }

    /// Lets starved sinks receive again: as many as there are buffers, and all of them, one by one
    /// into the heap, when every buffer is lent.
    fn rearm(&self) {
        if !self.starved.borrow().is_empty() {
            self.rearm_starved();
        }
    }

    #[inline(never)]
    fn rearm_starved(&self) {
        self.pool.collect();
        let waiting = self.starved.borrow().len();
        let turns = if self.pool.exhausted() { waiting } else { self.pool.available() };
        for _ in 0..turns.min(waiting) {
            let sink = self.starved.borrow_mut().pop_front();
            sink.into_iter().for_each(Sink::rearm);
        }
    }

    /// Takes completions in; wakes when nothing is borrowed any more.
    fn settle(&self) {
        if !self.done.borrow().is_empty() {
            self.settle_done();
        }
    }

    #[inline(never)]
    fn settle_done(&self) {
        let mut done = self.done.take();
        self.counters.completed(done.len());
        let mut wakes = std::mem::take(&mut self.scratch.borrow_mut().wakes);
        for &completion in &done {
            debug_assert_ne!(completion.result, -libc::EFAULT, "the kernel met freed memory");
            let settled = self.inflight.borrow_mut().settle(completion);
            match settled {
                Settled::Nothing => {}
                Settled::Wake(waker) => wakes.push(waker),
                Settled::Sink(sink, role) => sink.settle(role, completion, &mut wakes),
                Settled::Orphan(orphan) => orphan.complete(completion),
                Settled::Stray => self.counters.stray(),
            }
        }
        wake_all(&mut wakes);
        self.scratch.borrow_mut().wakes = wakes;
        done.clear();
        self.done.replace(done);
    }

    /// Wakes what is due. Reads the clock only when there is a timer.
    fn expire(&self) {
        if !self.timers.borrow().is_empty() {
            self.expire_due();
        }
    }

    #[inline(never)]
    fn expire_due(&self) {
        self.drop_forgotten();
        let now = self.now();
        let mut due = std::mem::take(&mut self.scratch.borrow_mut().due);
        self.timers.borrow_mut().expire(now, &mut due);
        let mut wakes = std::mem::take(&mut self.scratch.borrow_mut().wakes);
        for alarm in due.drain(..) {
            match alarm {
                Alarm::Wake(waker) => wakes.push(waker),
                Alarm::Other(other) => match *other {
                    Other::Sink(sink) => {
                        if let Some(sink) = sink.upgrade() {
                            sink.alarm(&mut wakes);
                        }
                    }
                    Other::Call(call) => {
                        // In the order of their deadlines.
                        wake_all(&mut wakes);
                        // It is refused, and dropped, when the runtime ends.
                        quietly(|| self.tasks.call(call));
                    }
                },
            }
        }
        wake_all(&mut wakes);
        let mut scratch = self.scratch.borrow_mut();
        scratch.due = due;
        scratch.wakes = wakes;
    }
}

/// Wakes in order. A waker that is not ours may panic: that is its own affair.
fn wake_all(wakes: &mut Wakes) {
    for waker in wakes.drain(..) {
        crate::task::wake(waker);
    }
}
