//! Callbacks at a moment, and callbacks from other threads.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::context::current;
use super::core::Core;
use super::timers::Key;
use crate::sys::sync::{Arc, Mutex};
use crate::task::{self, Call};

/// Runs `callback` once `delay` has passed, counted from this call; asyncio's [`call_later`].
///
/// Never early, and never before the next turn of the loop; those of equal deadlines run in the order of
/// their calls. A delay that the clock cannot count to is a hundred years. Otherwise as
/// [`call_soon`](crate::call_soon).
///
/// [`call_later`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.call_later
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let mut runtime = ringloop::Builder::new().build()?;
/// let handle = runtime.handle();
/// runtime.block_on(async {
///     let never = ringloop::call_later(Duration::from_secs(60), || unreachable!());
///     never.cancel();
///     ringloop::call_later(Duration::from_millis(1), move || handle.stop());
/// });
/// runtime.run_forever();
/// # std::io::Result::Ok(())
/// ```
#[track_caller]
pub fn call_later(delay: Duration, callback: impl FnOnce() + 'static) -> TimerHandle {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    let core = core();
    let now = core.now();
    let when = now.checked_add(delay).unwrap_or(now + CENTURY);
    schedule(core, when, task::new_call(callback, Location::caller()))
}

/// Runs `callback` at `when`, by the clock of [`time::now`](crate::time::now); asyncio's [`call_at`].
///
/// A moment in the past is the next turn of the loop. Otherwise as [`call_later`].
///
/// [`call_at`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.call_at
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn call_at(when: Instant, callback: impl FnOnce() + 'static) -> TimerHandle {
    schedule(core(), when, task::new_call(callback, Location::caller()))
}

#[track_caller]
fn core() -> Rc<Core> {
    match current() {
        Ok(core) => core,
        Err(error) => panic!("{error}"),
    }
}

fn schedule(core: Rc<Core>, when: Instant, call: Rc<dyn Call>) -> TimerHandle {
    if core.tasks().is_closed() {
        call.cancel();
        return TimerHandle { core, key: None, when, call };
    }
    let key = Some(core.set_call(when, call.clone()));
    TimerHandle { core, key, when, call }
}

/// A callback that [`call_later`] or [`call_at`] scheduled. Dropping the handle changes nothing.
///
/// asyncio's [`TimerHandle`].
///
/// [`TimerHandle`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.TimerHandle
pub struct TimerHandle {
    core: Rc<Core>,
    /// `None`: it was refused.
    key: Option<Key>,
    when: Instant,
    call: Rc<dyn Call>,
}

impl TimerHandle {
    /// Drops the callback, with what it captured, now, so that it never runs. Does nothing once it has begun.
    pub fn cancel(&self) {
        if let Some(key) = self.key {
            self.core.clear_timer(key);
        }
        self.call.cancel();
    }

    /// Whether it was cancelled in time, and so never ran.
    #[doc(alias = "cancelled")]
    pub fn is_cancelled(&self) -> bool {
        self.call.is_cancelled()
    }

    /// When it is due, or was.
    pub fn when(&self) -> Instant {
        self.when
    }
}

impl fmt::Debug for TimerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerHandle")
            .field("when", &self.when)
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

/// A callback that [`Handle::call_soon`](crate::Handle::call_soon) posted. Dropping the handle changes nothing.
#[derive(Clone)]
pub struct RemoteCallHandle {
    posted: Arc<Posted>,
}

struct Posted {
    state: Mutex<State>,
    posted_at: &'static Location<'static>,
}

enum State {
    Waits(Box<dyn FnOnce() + Send>),
    Begun,
    Cancelled,
}

/// The side that runs it; dropped unrun, it cancels.
pub(super) struct Receipt(Arc<Posted>);

impl RemoteCallHandle {
    #[track_caller]
    pub(super) fn new(callback: Box<dyn FnOnce() + Send>) -> (Self, Receipt) {
        let (state, posted_at) = (Mutex::new(State::Waits(callback)), Location::caller());
        let posted = Arc::new(Posted { state, posted_at });
        (Self { posted: posted.clone() }, Receipt(posted))
    }

    /// Drops the callback, with what it captured, now and on this thread, so that it never runs. Does nothing
    /// once it has begun: it runs whole or not at all.
    pub fn cancel(&self) {
        drop(self.posted.take(State::Cancelled));
    }

    /// Whether it was cancelled in time, and so never ran; also by the end of the runtime.
    #[doc(alias = "cancelled")]
    pub fn is_cancelled(&self) -> bool {
        self.posted.state.lock().is_some_and(|state| matches!(*state, State::Cancelled))
    }
}

impl Posted {
    /// The callback, for whoever comes first.
    fn take(&self, then: State) -> Option<Box<dyn FnOnce() + Send>> {
        let mut state = self.state.lock()?;
        if !matches!(*state, State::Waits(_)) {
            return None;
        }
        match std::mem::replace(&mut *state, then) {
            State::Waits(callback) => Some(callback),
            _ => unreachable!("it was looked at just now"),
        }
    }
}

impl Receipt {
    pub(super) fn run(self) {
        if let Some(callback) = self.0.take(State::Begun) {
            task::run_callback(callback, self.0.posted_at);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        drop(self.0.take(State::Cancelled));
    }
}

impl fmt::Debug for RemoteCallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteCallHandle").field("is_cancelled", &self.is_cancelled()).finish()
    }
}
