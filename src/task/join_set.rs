//! Tasks whose results come as they end.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use super::join::{JoinError, JoinHandle, TaskId};
use super::ready_set::ReadySet;
use super::{poll_proceed, quietly, spawn, spend};
use crate::note::{self, On};

/// Tasks of this thread that yield their results as they end. Dropping it cancels those that run.
///
/// A task that ends costs the same however many others there are. Where the failure of one should end
/// the others, use a [`TaskGroup`](super::TaskGroup). It has the place of asyncio's [`as_completed`] for
/// tasks that come one by one.
///
/// [`as_completed`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.as_completed
///
/// # Examples
///
/// ```
/// use ringloop::task::JoinSet;
///
/// ringloop::run(async {
///     let mut set = JoinSet::new();
///     for n in [1, 2, 3] {
///         set.spawn(async move { n * n });
///     }
///     let mut sum = 0;
///     while let Some(square) = set.join_next().await {
///         sum += square.unwrap();
///     }
///     assert_eq!(sum, 14);
/// });
/// ```
pub struct JoinSet<T> {
    tasks: ReadySet<Member<T>>,
}

/// What it gives for a task that has ended.
type Ended<T> = (TaskId, Result<T, JoinError>);

/// A task of a set. No question of budget: whoever takes a result asks for it once.
struct Member<T>(JoinHandle<T>);

impl<T> Future for Member<T> {
    type Output = Ended<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_join(cx).map(|result| (self.0.id(), result))
    }
}

impl<T> JoinSet<T> {
    /// A set without tasks.
    pub fn new() -> Self {
        Self { tasks: ReadySet::new() }
    }

    /// Runs `future` as a task of the current runtime, and adds it; see [`spawn`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[doc(alias = "create_task")]
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> TaskId
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(spawn(future))
    }

    /// Adds a task that runs already, for example one with a [name](super::Spawn).
    pub fn insert(&mut self, task: JoinHandle<T>) -> TaskId {
        let id = task.id();
        self.tasks.insert(Member(task));
        id
    }

    /// Waits for the next task that ends, in whatever order they do: its result. `None` when no task is
    /// left.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a result leaves the set in the poll that gives it.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.join_next_with_id().await.map(|(_, result)| result)
    }

    /// As [`join_next`](Self::join_next), with the number that [`spawn`](Self::spawn) gave.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn join_next_with_id(&mut self) -> Option<(TaskId, Result<T, JoinError>)> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// The result of a task that has ended. `None` where none has, or none is left.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        // Whoever waits next says so anew: a set that is borrowed mutably has no other.
        match self.tasks.poll_next(&Context::from_waker(Waker::noop())) {
            Poll::Ready(next) => next.map(|(_, (_, result))| result),
            Poll::Pending => None,
        }
    }

    /// Waits for all: their results, in the order in which they ended.
    ///
    /// # Cancel safety
    ///
    /// It owns the set: dropping it cancels the tasks, and drops the results. Call
    /// [`join_next`](Self::join_next) until `None` where that may happen.
    pub async fn join_all(mut self) -> Vec<Result<T, JoinError>> {
        let mut results = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            results.push(result);
        }
        results
    }

    /// Cancels all tasks and waits until their futures are dropped. Results, and panics, are dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves the rest in the set, cancelled.
    pub async fn shutdown(&mut self) {
        self.cancel_all();
        while self.join_next().await.is_some() {}
    }

    /// [Cancels](JoinHandle::cancel) all tasks. They stay in the set until they were joined.
    #[doc(alias = "abort_all")]
    pub fn cancel_all(&self) {
        self.tasks.iter().for_each(|task| task.0.cancel());
    }

    /// Lets all tasks run on alone, and empties the set. Results that were not taken are dropped.
    pub fn detach_all(&mut self) {
        drop_each(self.tasks.drain());
    }

    /// How many tasks there are, with those whose results were not taken.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether no task is left.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    fn poll_join_next(&mut self, cx: &Context<'_>) -> Poll<Option<Ended<T>>> {
        ready!(poll_proceed(cx));
        let Poll::Ready(next) = self.tasks.poll_next(cx) else {
            note::waits("JoinSet::join_next", On::Nothing);
            return Poll::Pending;
        };
        spend();
        Poll::Ready(next.map(|(_, ended)| ended))
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        // In the order of their coming, and each before the first result is dropped, which is user code.
        let tasks = self.tasks.drain();
        tasks.iter().for_each(|task| task.0.cancel());
        drop_each(tasks);
    }
}

/// Drops handles with the results that nobody took. Two of them may panic.
fn drop_each<T>(tasks: Vec<Member<T>>) {
    for task in tasks {
        quietly(|| drop(task));
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + 'static,
{
    /// [Spawns](JoinSet::spawn) each.
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = Self::new();
        for future in futures {
            set.spawn(future);
        }
        set
    }
}
