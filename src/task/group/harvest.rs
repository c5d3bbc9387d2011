//! What comes out of a block: values, errors, and panics, of which one can go on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

use super::error::GroupError;
use crate::task::info::TaskInfo;
use crate::task::unhandled::{Hook, report_panic};

/// A panic of a child or of the body, and whom to tell if nobody gets it.
pub(super) struct Panic {
    payload: Box<dyn Any + Send>,
    hook: Option<Hook>,
    message: &'static str,
    task: Option<TaskInfo>,
    location: &'static Location<'static>,
}

impl Panic {
    /// Of a child that is a task.
    pub(super) fn of_task(
        payload: Box<dyn Any + Send>,
        hook: Option<Hook>,
        task: TaskInfo,
    ) -> Self {
        let location = task.spawned_at();
        Self { payload, hook, message: "a task panicked", task: Some(task), location }
    }

    /// Of what was polled or dropped just now, and is no task.
    pub(super) fn here(
        message: &'static str,
        payload: Box<dyn Any + Send>,
        location: &'static Location<'static>,
    ) -> Self {
        Self { payload, hook: Hook::current(), message, task: None, location }
    }

    pub(super) fn report(self) {
        let Self { payload, hook, message, task, location } = self;
        report_panic(hook.as_ref(), message, payload, location, task);
    }
}

/// What has come out of a block so far. Where it is dropped, so is all of it: each by itself, for two panics
/// at once would abort.
pub(super) struct Harvest<R, E> {
    pub(super) value: Option<R>,
    pub(super) errors: Vec<E>,
    /// The body's, which goes last.
    pub(super) own: Option<E>,
    /// That the block will pass on. If it is dropped before, the hook is told.
    panic: Option<Panic>,
    opened_at: &'static Location<'static>,
}

impl<R, E> Harvest<R, E> {
    pub(super) fn new(opened_at: &'static Location<'static>) -> Self {
        Self { value: None, errors: Vec::new(), own: None, panic: None, opened_at }
    }

    /// Keeps the first, and tells of the others.
    pub(super) fn panicked(&mut self, panic: Panic) {
        match self.panic {
            None => self.panic = Some(panic),
            Some(_) => panic.report(),
        }
    }

    /// As [`panicked`](Self::panicked), of the block's own code.
    pub(super) fn panicked_here(&mut self, payload: Box<dyn Any + Send>) {
        self.panicked(Panic::here(OWN, payload, self.opened_at));
    }

    /// What the block gives.
    pub(super) fn finish(mut self) -> Result<Option<R>, GroupError<E>> {
        if let Some(panic) = self.panic.take() {
            drop(self);
            resume_unwind(panic.payload);
        }
        let own = self.own.take();
        self.errors.extend(own);
        match self.errors.is_empty() {
            true => Ok(self.value.take()),
            false => Err(GroupError::new(std::mem::take(&mut self.errors))),
        }
    }

    /// Drops what nobody gets: user code.
    fn lose<T>(&self, lost: T) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(lost))) {
            Panic::here(OWN, payload, self.opened_at).report();
        }
    }
}

impl<R, E> Drop for Harvest<R, E> {
    fn drop(&mut self) {
        if let Some(panic) = self.panic.take() {
            panic.report();
        }
        let (value, errors, own) =
            (self.value.take(), std::mem::take(&mut self.errors), self.own.take());
        self.lose(value);
        errors.into_iter().chain(own).for_each(|error| self.lose(error));
    }
}

const OWN: &str = "a task group panicked";
