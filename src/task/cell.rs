//! One task: its future, then its output, in one allocation that the executor and the handle share.
//!
//! ```text
//!            poll Pending
//!           ┌───────────┐
//!           ▼           │
//!   new ► Idle ──────► Busy ──────► Done ──────► Taken
//!           poll, end     ended        handle took the output
//! ```
//!
//! *Busy* is set while user code — the future's poll or drop — runs; only the frame that set it may
//! touch the stage then. Whoever else comes along finds Busy and leaves a wish: `cancelled`.
#![expect(unsafe_code, reason = "polls a future in place, pinned by the Rc around it")]

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::budget::with_budget;
use super::info::TaskInfo;
use super::join::{JoinError, TaskId};
use super::locals::{Snapshot, Within};
use super::unhandled;
use super::waker::Address;

/// What the executor sees of a task.
pub(super) trait Run {
    /// Polls the future, or drops it if that was asked for. True: the task has ended.
    fn run(&self, cx: &mut Context<'_>) -> bool;
    /// Drops the future now, wherever it stands.
    fn end(&self);
    fn address(&self) -> Address;
    fn info(&self) -> TaskInfo;
    /// Whether its own code runs: it is polled or dropped.
    fn is_busy(&self) -> bool;
}

/// What a handle sees of a task.
pub(super) trait Join<T> {
    fn poll_join(&self, cx: &Context<'_>) -> Poll<Result<T, JoinError>>;
    fn cancel(&self);
    fn is_finished(&self) -> bool;
    /// Whether the result is there and is a panic, or a value of which `is_error` says yes.
    fn has_failed(&self, is_error: fn(&T) -> bool) -> bool;
    fn info(&self) -> TaskInfo;
    fn set_name(&self, name: Arc<str>);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    Busy,
    Done,
    Taken,
}

enum Stage<F: Future> {
    Future(F),
    Output(Result<F::Output, JoinError>),
    Empty,
}

pub(super) struct TaskCell<F: Future> {
    id: TaskId,
    address: Address,
    name: Cell<Option<Arc<str>>>,
    spawned_at: &'static Location<'static>,
    /// The task-locals of whoever spawned it.
    locals: Snapshot,
    state: Cell<State>,
    /// Set by a cancel; obeyed by the next `run`. Never set once the task is Done.
    cancelled: Cell<bool>,
    joiner: Cell<Option<Waker>>,
    stage: UnsafeCell<Stage<F>>,
}

impl<F: Future> TaskCell<F> {
    #[inline]
    pub(super) fn new(
        future: F,
        id: TaskId,
        address: Address,
        name: Option<Arc<str>>,
        spawned_at: &'static Location<'static>,
        locals: Snapshot,
    ) -> Rc<Self> {
        // Written where it stays: a copy of what was just written piece by piece waits for the pieces.
        let mut this = Rc::new_uninit();
        let place = Rc::get_mut(&mut this).expect("nobody else has it yet");
        place.write(Self {
            id,
            address,
            name: Cell::new(name),
            spawned_at,
            locals,
            state: Cell::new(State::Idle),
            cancelled: Cell::new(false),
            joiner: Cell::new(None),
            stage: UnsafeCell::new(Stage::Future(future)),
        });
        // SAFETY: it was written just now.
        unsafe { this.assume_init() }
    }

    /// Polls in place. The caller has set Busy.
    fn poll_future(&self, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: Busy is ours, so nobody else touches the stage. Nothing here unwinds past `run`,
        // which then replaces the stage.
        let stage = unsafe { &mut *self.stage.get() };
        let Stage::Future(future) = stage else { unreachable!("an idle task has a future") };
        // SAFETY: the cell is behind an Rc that nobody unwraps, so the future never moves: it is
        // dropped in place when the stage is replaced.
        unsafe { Pin::new_unchecked(future) }.poll(cx)
    }

    #[cold]
    fn fail(&self, error: JoinError) {
        self.finish(Err(error));
    }

    /// Drops the future and leaves the result; wakes the handle.
    #[inline(always)]
    fn finish(&self, result: Result<F::Output, JoinError>) {
        debug_assert_eq!(self.state.get(), State::Busy);
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: Busy is ours; the future is dropped in place, where it was pinned.
            unsafe { *self.stage.get() = Stage::Empty };
        }));
        let result = match dropped {
            Ok(()) => result,
            // The stage is Empty although the drop unwound: the assignment writes all the same.
            Err(payload) => {
                quietly(|| drop(result));
                Err(JoinError::panic(payload))
            }
        };
        // SAFETY: Busy is ours, and Stage::Empty has no drop that could run user code.
        unsafe { self.stage.get().write(Stage::Output(result)) };
        self.state.set(State::Done);
        if let Some(joiner) = self.joiner.take() {
            quietly(|| joiner.wake());
        }
    }
}

impl<F: Future> Run for TaskCell<F> {
    fn run(&self, cx: &mut Context<'_>) -> bool {
        if self.state.get() != State::Idle {
            return self.state.get() != State::Busy;
        }
        self.state.set(State::Busy);
        let _within = Within::if_any(&self.locals);
        if !self.cancelled.get() {
            let polled = catch_unwind(AssertUnwindSafe(|| with_budget(|| self.poll_future(cx))));
            match polled {
                Ok(Poll::Ready(output)) => {
                    self.finish(Ok(output));
                    return true;
                }
                Err(payload) => {
                    self.fail(JoinError::panic(payload));
                    return true;
                }
                Ok(Poll::Pending) if !self.cancelled.get() => {
                    self.state.set(State::Idle);
                    return false;
                }
                Ok(Poll::Pending) => {}
            }
        }
        self.fail(JoinError::cancelled());
        true
    }

    fn end(&self) {
        if self.state.get() == State::Idle {
            self.state.set(State::Busy);
            let _within = Within::if_any(&self.locals);
            self.fail(JoinError::cancelled());
        }
    }

    fn address(&self) -> Address {
        self.address
    }

    fn info(&self) -> TaskInfo {
        self.describe()
    }

    fn is_busy(&self) -> bool {
        self.state.get() == State::Busy
    }
}

impl<F: Future> TaskCell<F> {
    /// Whether nobody will ever poll it here: this process was forked from its runtime's.
    fn is_foreign(&self) -> bool {
        super::home::is_foreign(self.address.home())
    }

    #[cold]
    #[inline(never)]
    fn report(&mut self) {
        let task = self.describe();
        if let Stage::Output(Err(error)) = std::mem::replace(self.stage.get_mut(), Stage::Empty) {
            unhandled::report_task(task, error);
        }
    }

    fn describe(&self) -> TaskInfo {
        let name = self.name.take();
        self.name.set(name.clone());
        TaskInfo { id: self.id, name, spawned_at: self.spawned_at }
    }
}

impl<F: Future> Join<F::Output> for TaskCell<F> {
    fn poll_join(&self, cx: &Context<'_>) -> Poll<Result<F::Output, JoinError>> {
        let state = self.state.get();
        if state == State::Done {
            self.state.set(State::Taken);
            // SAFETY: Done: the executor has let go of the stage, and this thread has nobody else in it.
            let stage = unsafe { std::mem::replace(&mut *self.stage.get(), Stage::Empty) };
            let Stage::Output(result) = stage else { unreachable!("Done means an output") };
            return Poll::Ready(result);
        }
        assert!(state != State::Taken, "a JoinHandle was polled after it gave its result");
        if self.is_foreign() {
            return Poll::Ready(Err(JoinError::cancelled()));
        }
        let old = self.joiner.take();
        let known = old.as_ref().is_some_and(|joiner| joiner.will_wake(cx.waker()));
        self.joiner.set(old);
        if !known {
            let new = cx.waker().clone();
            super::discard(self.joiner.replace(Some(new)));
            // The clone is user code, which may have ended the runtime, and told nobody.
            if self.state.get() == State::Done
                && let Some(joiner) = self.joiner.take()
            {
                super::wake(joiner);
            }
        }
        Poll::Pending
    }

    fn cancel(&self) {
        if matches!(self.state.get(), State::Idle | State::Busy) && !self.cancelled.replace(true) {
            self.address.wake();
        }
    }

    fn is_finished(&self) -> bool {
        matches!(self.state.get(), State::Done | State::Taken) || self.is_foreign()
    }

    fn has_failed(&self, is_error: fn(&F::Output) -> bool) -> bool {
        if self.state.get() != State::Done {
            return false;
        }
        // SAFETY: Done: the executor has let go of the stage, and `is_error`, a function of this crate
        // that looks at a value, does not come back here.
        match unsafe { &*self.stage.get() } {
            Stage::Output(Ok(value)) => is_error(value),
            Stage::Output(Err(error)) => error.is_panic(),
            _ => unreachable!("Done means an output"),
        }
    }

    fn info(&self) -> TaskInfo {
        self.describe()
    }

    fn set_name(&self, name: Arc<str>) {
        self.name.set(Some(name));
    }
}

impl<F: Future> Drop for TaskCell<F> {
    /// Whoever holds it last, the executor or the handle: nobody has asked for its panic, nor will.
    #[inline]
    fn drop(&mut self) {
        if matches!(self.stage.get_mut(), Stage::Output(Err(_))) {
            self.report();
        }
    }
}

impl<F: Future> std::fmt::Debug for TaskCell<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskCell")
            .field("info", &self.describe())
            .field("state", &self.state.get())
            .finish_non_exhaustive()
    }
}

/// Runs user code whose panic has nobody to go to: the hook has printed it, the loop lives on.
pub(crate) fn quietly(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        forget_panicking(payload);
    }
}

/// Drops a payload; one whose own drop panics is leaked.
pub(super) fn forget_panicking(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}
