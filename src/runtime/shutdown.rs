//! The end of a runtime.
//!
//! 1. Refuse spawns.
//! 2. Trip what asked for it by [`Core::on_closing`] (the root cancel token), and turn the loop until its
//!    holders have cleaned up, within the grace. Tasks that hold nothing of it are not waited for.
//! 3. Drop the tasks, in spawn order, nothing borrowed.
//! 4. Flush outboxes, within the grace.
//! 5. Cancel what is in flight and wait for the kernel: for what is left of the grace, but for at
//!    least [`CANCEL`], for a peer that does not read uses up the grace in step 4.
//! 6. Leak what is in flight even then, count it, say so; never free it.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::builder::Runtime;
use super::context::Entered;
use super::core::Core;
use crate::task::quietly;

/// How long the kernel has, at least, to end what was cancelled. Sockets answer within a turn or two;
/// what does not is leaked, and its descriptors stay open.
const CANCEL: Duration = Duration::from_secs(1);

/// Who is told that the runtime ends, while its tasks still run.
pub(crate) trait Closing {
    /// The end has come. Called once, with nothing borrowed; may wake.
    fn trip(&self);

    /// Whether nobody is left who cleans up.
    fn is_done(&self) -> bool;
}

impl Core {
    /// Has `closing` told when the end comes. It is kept until then.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the root cancel token"))]
    pub(crate) fn on_closing(&self, closing: Rc<dyn Closing>) {
        self.closings.borrow_mut().push(closing);
    }

    /// Lets those who asked for it clean up, until `deadline` at the latest.
    fn wind_up(&self, deadline: Instant) -> io::Result<()> {
        let closings = self.closings.take();
        for closing in &closings {
            quietly(|| closing.trip());
        }
        let is_done = || closings.iter().all(|closing| closing.is_done());
        let mut wound_up = Ok(());
        // Nobody rings when the last of them is done.
        while wound_up.is_ok() && self.now() < deadline && !is_done() && self.tasks().alive() > 0 {
            let until = deadline.min(self.now() + GLANCE);
            wound_up = self.turn(Some(until), |_| false).map(drop);
        }
        for closing in closings {
            quietly(|| drop(closing));
        }
        wound_up
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
    if std::env::var_os("RINGLOOP_DEBUG").is_some() {
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn};
    use std::task::{Poll, Waker};

    use super::*;
    use crate::runtime::{Builder, current};
    use crate::task;

    /// The least that a root token must do: it is done when whoever waits for it has let go.
    #[derive(Default)]
    struct Token {
        tripped: Cell<bool>,
        waker: Cell<Option<Waker>>,
        holders: Cell<usize>,
    }

    impl Closing for Token {
        fn trip(&self) {
            self.tripped.set(true);
            self.waker.take().into_iter().for_each(task::wake);
        }

        fn is_done(&self) -> bool {
            self.holders.get() == 0
        }
    }

    /// A task that cleans up for so many turns, or for ever, once the end has come.
    fn cleans_up(runtime: &mut Runtime, turns: usize) -> Rc<Cell<bool>> {
        let cleaned = Rc::new(Cell::new(false));
        let done = cleaned.clone();
        runtime.block_on(async move {
            let token = Rc::new(Token::default());
            token.holders.set(1);
            current().unwrap().on_closing(token.clone());
            task::spawn(pending::<()>());
            task::spawn(async move {
                poll_fn(|cx| {
                    token.waker.set(Some(cx.waker().clone()));
                    if token.tripped.get() { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                for _ in 0..turns {
                    task::yield_now().await;
                }
                token.holders.set(0);
                done.set(true);
                pending::<()>().await;
            });
            task::yield_now().await;
        });
        cleaned
    }

    // Seen to fail when the tasks were dropped first, and to hang when nobody looked again.
    #[test]
    fn whoever_asked_for_it_cleans_up_before_the_tasks_are_dropped_and_the_rest_is_not_waited_for()
    {
        let mut runtime = Builder::new().grace(Duration::from_secs(3600)).build().unwrap();
        let cleaned = cleans_up(&mut runtime, 10);
        drop(runtime);
        assert!(cleaned.get());
    }

    #[test]
    fn a_clean_up_that_takes_too_long_is_cut_off_by_the_grace() {
        let mut runtime = Builder::new().grace(Duration::from_millis(20)).build().unwrap();
        let cleaned = cleans_up(&mut runtime, usize::MAX);
        drop(runtime);
        assert!(!cleaned.get());
    }
}
