//! Driving a runtime.

use std::marker::PhantomData;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::builder::Builder;
use super::context::Entered;
use super::core::Core;
use super::metrics::{self, Metrics};
use super::shutdown;
use crate::driver::BackendInfo;
use crate::task::Ran;

/// Runs `future` on a new runtime of this thread, to its end; asyncio's [`run`].
///
/// Tasks that still run then are dropped, outboxes are flushed. SIGINT is left alone. The backend is
/// the best that this machine gives; `RINGLOOP_BACKEND` overrides it.
///
/// [`run`]: https://docs.python.org/3/library/asyncio-runner.html#asyncio.run
///
/// # Panics
///
/// If no backend can be made, or a runtime runs on this thread already. [`Builder`] is the form that
/// gives errors.
///
/// # Examples
///
/// ```
/// let answer = ringloop::run(async { 6 * 7 });
/// assert_eq!(answer, 42);
/// ```
#[doc(alias = "asyncio.run")]
#[doc(alias = "Runner")]
pub fn run<F: Future>(future: F) -> F::Output {
    match Builder::new().build() {
        Ok(mut runtime) => runtime.block_on(future),
        Err(error) => panic!("ringloop cannot run here: {error}"),
    }
}

/// An event loop with its tasks, timers and I/O, bound to the thread that built it.
///
/// Dropping it ends it: tasks are dropped in the order of their spawning, outboxes are flushed, what
/// is in flight is cancelled and awaited, all within the [grace](Builder::grace). Calls of
/// [`spawn_blocking`](crate::spawn_blocking) that have not started are thrown away, and the others run on
/// without it: [`shutdown_timeout`](Self::shutdown_timeout) waits for them.
#[derive(Debug)]
pub struct Runtime {
    core: Rc<Core>,
    info: BackendInfo,
    not_send: PhantomData<*const ()>,
}

impl Runtime {
    pub(super) fn new(core: Rc<Core>, info: BackendInfo) -> Self {
        Self { core, info, not_send: PhantomData }
    }

    /// Runs `future` to its end, and with it all tasks. May be called again: tasks that have not
    /// ended go on then.
    ///
    /// # Panics
    ///
    /// If a runtime runs on this thread already, or the kernel refuses to go on (then with its
    /// error). A panic of `future` itself passes through.
    #[doc(alias = "run_until_complete")]
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        let _entered = self.enter();
        // Dropped before that: what the future owns may spawn, sleep, and close.
        let mut future = pin!(future);
        let mut output = None;
        self.drive(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => {
                output = Some(value);
                true
            }
            Poll::Pending => false,
        });
        output.expect("the loop ends when the future has")
    }

    /// Runs tasks and callbacks until [`Handle::stop`](super::Handle::stop).
    ///
    /// The turn in which it is stopped is its last: what was ready when that began runs, what became ready
    /// meanwhile waits for the next run, and nothing is lost. Stopped before, it makes one turn, which does not
    /// wait.
    ///
    /// # Panics
    ///
    /// As [`block_on`](Self::block_on).
    pub fn run_forever(&mut self) {
        let _entered = self.enter();
        let core = self.core.clone();
        core.tasks().wake_root();
        loop {
            turn(&core, |_cx| {
                if core.is_stopped() {
                    // Whoever is ready does not let the turn wait.
                    core.tasks().wake_root();
                }
                false
            });
            if core.take_stopped() {
                return;
            }
        }
    }

    /// Which backend it is, and why.
    pub fn backend(&self) -> &BackendInfo {
        &self.info
    }

    /// What it has done so far.
    pub fn metrics(&self) -> Metrics {
        metrics::of(&self.core)
    }

    pub(crate) fn core(&self) -> &Rc<Core> {
        &self.core
    }

    fn enter(&self) -> Entered {
        let Some(entered) = Entered::new(&self.core) else {
            panic!("a ringloop runtime runs on this thread already: spawn a task instead");
        };
        entered
    }

    /// Turns the loop until `poll` says that the root future has ended.
    fn drive(&mut self, mut poll: impl FnMut(&mut Context<'_>) -> bool) {
        self.core.tasks().wake_root();
        while turn(&self.core, &mut poll) != Ran::RootEnded {}
    }
}

fn turn(core: &Core, poll: impl FnMut(&mut Context<'_>) -> bool) -> Ran {
    match core.turn(None, poll) {
        Ok(ran) => ran,
        Err(error) => panic!("the ringloop runtime cannot go on: {error}"),
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        shutdown::end(&self.core);
        self.core.lanes().close();
    }
}
