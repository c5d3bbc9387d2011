//! Threads for calls that block.
//!
//! A bounded pool that knows nothing of requests: it runs closures, first in, first out. Who wants
//! the answer puts a way to send it into the closure.
//!
//! ```text
//!   submit ──► queue ──► a thread that idles
//!      │           └───► a new one, while there are fewer than `max_threads`; it ends after 10 s idle
//!      └► Refused: the queue is full, or the pool has ended
//! ```

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use std::{fmt, thread};

use crate::sys::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What a thread of the pool runs once.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A pool of threads. Dropping it throws away the jobs that have not started and leaves the running
/// ones alone: their threads end by themselves, and nobody waits for a stuck one. A forked child's
/// copy has no threads, and takes no jobs; what was queued may stay undropped there.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    name: Box<str>,
    max_threads: usize,
    /// Jobs that may wait for a thread.
    max_queued: usize,
}

/// Names a job that [`Workers::submit`] took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobId(u64);

/// Why a pool does not take a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// All threads are at work, and this many jobs wait.
    Full(usize),
    /// There is no thread, and the system gives none.
    NoThread,
    /// The pool has ended.
    Ended,
    /// This is a forked child: the threads are its parent's.
    Forked,
}

struct Shared {
    state: Mutex<State>,
    /// Signalled for each new job, and for all threads when the pool ends.
    work: Condvar,
    /// Signalled when a pool that has ended has nothing left to do.
    done: Condvar,
    idle_for: Duration,
    /// What each thread does first.
    prepare: Option<Box<dyn Fn() + Send + Sync>>,
}

struct State {
    /// Sorted by id, because ids only grow.
    queue: VecDeque<(JobId, Job)>,
    next: u64,
    threads: usize,
    /// Threads that wait for a job. One that was signalled counts until it has woken.
    idle: usize,
    /// Threads that run a job.
    running: usize,
    /// Set when the pool ends; never cleared.
    closed: bool,
}

impl State {
    /// Jobs that have not ended.
    fn left(&self) -> usize {
        self.running + self.queue.len()
    }
}

impl Workers {
    /// A pool of at most `max_threads` (at least one), which are called `name` and a number; none of
    /// them is started yet. Its queue has no end.
    pub(crate) fn new(max_threads: usize, name: &str) -> Self {
        let state = State {
            queue: VecDeque::new(),
            next: 0,
            threads: 0,
            idle: 0,
            running: 0,
            closed: false,
        };
        let shared = Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            idle_for: Duration::from_secs(10),
            prepare: None,
        };
        Self {
            shared: Arc::new(shared),
            name: name.into(),
            max_threads: max_threads.max(1),
            max_queued: usize::MAX,
        }
    }

    /// Refuses jobs for which no thread is free while `jobs` wait.
    pub(crate) fn max_queued(mut self, jobs: usize) -> Self {
        self.max_queued = jobs;
        self
    }

    /// How long a thread waits for its next job. Before the first submit.
    #[cfg(test)]
    fn idle_for(mut self, time: Duration) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.idle_for = time;
        }
        self
    }

    /// Has each thread call `prepare` before its first job. Before the first submit.
    pub(crate) fn prepared_by(mut self, prepare: impl Fn() + Send + Sync + 'static) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.prepare = Some(Box::new(prepare));
        }
        self
    }

    /// Queues `job`.
    ///
    /// # Errors
    ///
    /// The job comes back to nobody: it is dropped, with no lock held.
    pub(crate) fn submit(&self, job: Job) -> Result<JobId, Refused> {
        let Some(mut state) = self.state() else { return Err(Refused::Forked) };
        if state.closed {
            return Err(Refused::Ended);
        }
        // What stands in the queue for a thread that is free, or is yet to be made, does not wait.
        let free = self.max_threads - state.running;
        if state.queue.len() >= self.max_queued.saturating_add(free) {
            return Err(Refused::Full(state.queue.len()));
        }
        if state.queue.len() >= state.idle && state.threads < self.max_threads {
            let shared = self.shared.clone();
            let name = format!("{}-{}", self.name, state.threads);
            if thread::Builder::new().name(name).spawn(move || shared.run()).is_ok() {
                state.threads += 1;
            } else if state.threads == 0 {
                return Err(Refused::NoThread);
            }
        }
        let id = JobId(state.next);
        state.next += 1;
        state.queue.push_back((id, job));
        drop(state);
        self.shared.work.notify_one();
        Ok(id)
    }

    /// Takes back a job that has not started, for the caller to drop.
    pub(crate) fn withdraw(&self, id: JobId) -> Option<Job> {
        let mut state = self.shared.state.lock()?;
        let at = state.queue.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        let taken = state.queue.remove(at);
        if state.closed && state.left() == 0 {
            self.shared.done.notify_all();
        }
        taken.map(|(_, job)| job)
    }

    /// Takes no more jobs, and waits until those that it has are done: for `limit` at most. How many are
    /// left then.
    pub(crate) fn finish(&self, limit: Duration) -> usize {
        let Some(mut state) = self.state() else { return 0 };
        state.closed = true;
        self.shared.work.notify_all();
        let until = Instant::now().checked_add(limit);
        while state.left() > 0 {
            let left = until
                .map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            let waited = self.shared.done.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.left()
    }

    /// Takes no more jobs, and drops those that have not started. Threads end when their job has.
    pub(crate) fn close(&self) {
        let Some(mut state) = self.shared.state.lock() else { return };
        state.closed = true;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        self.shared.work.notify_all();
        // User code: one by one, for two panics at once would abort.
        for (_, job) in queue {
            quietly(|| drop(job));
        }
    }

    /// `None` in a forked child.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        let state = &self.shared.state;
        if state.is_foreign() { None } else { state.lock() }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(jobs) => write!(
                f,
                "all threads are at work and {jobs} jobs wait already: await some of them before more \
                 are submitted, or let more wait"
            ),
            Self::NoThread => f.write_str("the system gives no thread for it"),
            Self::Ended => f.write_str("the pool has ended"),
            Self::Forked => f.write_str("this process was forked from the one whose pool it is"),
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Workers");
        told.field("name", &self.name);
        if let Some(state) = self.shared.state.lock() {
            told.field("threads", &state.threads).field("idle", &state.idle);
            told.field("queued", &state.queue.len());
        }
        told.finish()
    }
}

impl Shared {
    /// The life of one thread.
    fn run(&self) {
        if let Some(prepare) = &self.prepare {
            prepare();
        }
        let Some(mut state) = self.state.lock() else { return };
        loop {
            if let Some((_, job)) = state.queue.pop_front() {
                state.running += 1;
                drop(state);
                // The panic hook has told the world; whoever waits for the answer sees the closure
                // dropped.
                quietly(job);
                if self.state.is_foreign() {
                    // The job forked, and this is the child: the queue is the parent's.
                    return;
                }
                let Some(again) = self.state.lock() else { return };
                state = again;
                state.running -= 1;
                if state.closed && state.left() == 0 {
                    self.done.notify_all();
                }
                continue;
            }
            let until = Instant::now() + self.idle_for;
            while state.queue.is_empty() && !state.closed {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                state.idle += 1;
                state =
                    self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                state.idle -= 1;
            }
            if state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

/// Runs what is not ours. A panic in it, or in the drop of its payload, must not end a thread that is
/// counted.
fn quietly(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        dropped.unwrap_or_else(std::mem::forget);
    }
}
