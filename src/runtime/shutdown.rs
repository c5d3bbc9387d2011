//! The end of a runtime.
//!
//! 1. Refuse spawns.
//! 2. Cancel the root token, if anybody asked for it, and turn the loop until its holders have cleaned up,
//!    within the grace. Tasks that hold nothing of it are not waited for.
//! 3. Drop the tasks, in spawn order, then the callbacks that wait for their moment, nothing borrowed.
//! 4. Flush outboxes, within the grace.
//! 5. Cancel what is in flight and wait for the kernel: for what is left of the grace, but for at
//!    least [`CANCEL`], for a peer that does not read uses up the grace in step 4.
//! 6. Leak what is in flight even then, count it, say so; never free it.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::context::Entered;
use super::core::Core;
use super::run::Runtime;
use super::sink::Wakes;
use super::timers::Timers;
use crate::task::{quietly, wake};

/// How long the kernel has, at least, to end what was cancelled. Sockets answer within a turn or two;
/// what does not is leaked, and its descriptors stay open.
const CANCEL: Duration = Duration::from_secs(1);

impl Core {
    /// Lets those who asked for it clean up, until `deadline` at the latest.
    fn wind_up(&self, deadline: Instant) -> io::Result<()> {
        let Some(root) = self.root_token_if_any() else { return Ok(()) };
        root.cancel();
        let mut wound_up = Ok(());
        // Nobody rings when the last holder is done.
        while wound_up.is_ok()
            && self.now() < deadline
            && root.is_shared()
            && self.tasks.alive() > 0
        {
            let until = deadline.min(self.now() + GLANCE);
            wound_up = self.turn(Some(until), |_| false).map(drop);
        }
        wound_up
    }

    /// Asks everything in flight to end; from now on only closes are submitted.
    fn cancel_all(&self) {
        self.closing.set(true);
        let pending = self.inflight.borrow().pending();
        for token in pending {
            self.cancel(token);
        }
    }

    /// Lets go of whoever waits for buffers or a flush. The time of those that gathered writes is up.
    fn forget_waiting(&self) {
        let starved = std::mem::take(&mut *self.starved.borrow_mut());
        let dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        let mut wakes = Wakes::new();
        dirty.into_iter().for_each(|sink| sink.alarm(&mut wakes));
        drop(starved);
        wakes.into_iter().for_each(wake);
    }

    /// Closes the driver. What is still in flight is leaked, never freed; returns how much it was.
    fn close(&self) -> usize {
        self.ended_at.set(self.now());
        // The kernel writes into the memory of the process that asked, not into a child's copy.
        let leaked = if self.is_foreign() { 0 } else { self.in_flight() };
        if leaked > 0 {
            self.pool.leak();
            std::mem::forget(self.inflight.take());
        } else if self.is_foreign() {
            let copies = self.inflight.take();
            copies.into_slots().for_each(|copy| quietly(|| drop(copy)));
        }
        let now = self.ended_at.get();
        let timers = self.timers.replace(Timers::new(now));
        let driver = self.driver.borrow_mut().take();
        drop(driver);
        // What it holds may hold us.
        let dirty = self.dirty.take();
        drop(dirty);
        // User code: wakers, owners of sent bytes. Nothing is borrowed, and each by itself: two
        // panics at once would abort.
        for alarm in timers.into_values() {
            quietly(|| alarm.give_up());
        }
        self.drop_discarded();
        leaked
    }
}

impl Runtime {
    /// Ends the runtime as dropping it does, then waits until the calls of
    /// [`spawn_blocking`](crate::spawn_blocking) are done, those that still wait for a thread included: for
    /// `limit` at most. Returns how many were left: those that run go on without the runtime, those that
    /// wait are thrown away.
    ///
    /// Calls whose [handles](crate::blocking::BlockingTask) a task owned were taken back with it, where
    /// they had not started. A limit of zero only counts; `Duration::MAX` waits for all. asyncio's
    /// [`shutdown_default_executor`].
    ///
    /// [`shutdown_default_executor`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.shutdown_default_executor
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let mut runtime = ringloop::Builder::new().build()?;
    /// runtime.block_on(async {
    ///     ringloop::spawn_blocking(|| println!("somebody waits for this")).detach();
    /// });
    /// assert_eq!(runtime.shutdown_timeout(Duration::from_secs(10)), 0);
    /// # std::io::Result::Ok(())
    /// ```
    #[doc(alias = "shutdown_default_executor")]
    #[doc(alias = "shutdown_blocking")]
    pub fn shutdown_timeout(self, limit: Duration) -> usize {
        end(self.core());
        self.core().lanes().calls.finish(limit)
    }
}

/// How often it is looked whether the cleaning up is done, where nothing else happens.
const GLANCE: Duration = Duration::from_millis(5);

/// Ends `core`'s runtime.
pub(super) fn end(core: &Rc<Core>) {
    if core.is_closed() {
        return;
    }
    // Also within another runtime of this thread: what is dropped here belongs to ours.
    let entered = Entered::over(core);
    core.tasks().close();
    let deadline = core.now() + core.limits().grace;
    let wound_up = core.wind_up(deadline);
    if let Some(watcher) = core.watcher() {
        watcher.report_pending(core.tasks().all());
    }
    core.tasks().end_all();
    core.give_up_calls();
    let flushed = wound_up.and_then(|()| turn_until(core, deadline, || core.unsent() == 0));
    core.forget_waiting();
    core.cancel_all();
    let deadline = deadline.max(core.now() + CANCEL);
    let waited = flushed.and_then(|()| turn_until(core, deadline, || core.in_flight() == 0));
    core.tasks().move_out();
    if let Some(watcher) = core.watcher() {
        watcher.report_open();
    }
    let leaked = core.close();
    drop(entered);
    if crate::sys::is_debug_asked_for() {
        if let Err(error) = waited {
            eprintln!("ringloop: the runtime ended with an error of its driver: {error}");
        }
        if leaked > 0 {
            eprintln!(
                "ringloop: {leaked} operations did not end within the grace of {:?}; \
                 their memory is kept for the kernel",
                core.limits().grace
            );
        }
    }
}

fn turn_until(core: &Core, deadline: Instant, mut done: impl FnMut() -> bool) -> io::Result<()> {
    while !done() && core.now() < deadline {
        core.turn(Some(deadline), |_| false)?;
    }
    Ok(())
}
