//! Threads for calls that block.
//!
//! A bounded pool that knows nothing of requests: it runs closures, first in, first out. Who wants
//! the answer puts a way to send it into the closure.
//!
//! ```text
//!   submit ──► queue ──► a thread that idles
//!                   └──► a new one, while there are fewer than `max_threads`; it ends after 10 s idle
//! ```

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use std::{fmt, thread};

use crate::sys::sync::{Arc, Condvar, Mutex};

type Job = Box<dyn FnOnce() + Send>;

/// A pool of threads. Dropping it throws away the jobs that have not started and leaves the running
/// ones alone: their threads end by themselves, and nobody waits for a stuck one. A forked child's
/// copy has no threads, and takes no jobs; what was queued may stay undropped there.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    name: String,
}

/// Names a job that [`Workers::submit`] took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobId(u64);

/// No thread could be made for the job, or this is a forked child.
#[derive(Debug)]
pub(crate) struct Refused;

struct Shared {
    state: Mutex<State>,
    /// Signalled for each new job, and for all threads when the pool is dropped.
    work: Condvar,
    max_threads: usize,
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
    /// Set when the pool is dropped; never cleared.
    closed: bool,
}

impl Workers {
    /// A pool of at most `max_threads` (at least one); none of them is started yet.
    pub(crate) fn new(max_threads: usize, name: &str) -> Self {
        Self::with_idle(max_threads, name, Duration::from_secs(10))
    }

    fn with_idle(max_threads: usize, name: &str, idle_for: Duration) -> Self {
        let state = State { queue: VecDeque::new(), next: 0, threads: 0, idle: 0, closed: false };
        let shared = Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            max_threads: max_threads.max(1),
            idle_for,
            prepare: None,
        };
        Self { shared: Arc::new(shared), name: name.to_owned() }
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
    /// [`Refused`] when there is no thread and the system gives none, and in a forked child.
    pub(crate) fn submit(&self, job: Job) -> Result<JobId, Refused> {
        if self.shared.state.is_foreign() {
            return Err(Refused);
        }
        let mut state = self.shared.state.lock().ok_or(Refused)?;
        if state.queue.len() >= state.idle && state.threads < self.shared.max_threads {
            let shared = self.shared.clone();
            let name = format!("{}-{}", self.name, state.threads);
            if thread::Builder::new().name(name).spawn(move || shared.run()).is_ok() {
                state.threads += 1;
            } else if state.threads == 0 {
                return Err(Refused);
            }
        }
        let id = JobId(state.next);
        state.next += 1;
        state.queue.push_back((id, job));
        drop(state);
        self.shared.work.notify_one();
        Ok(id)
    }

    /// Takes back a job that has not started: whether it had not.
    pub(crate) fn withdraw(&self, id: JobId) -> bool {
        let Some(mut state) = self.shared.state.lock() else { return false };
        let Ok(at) = state.queue.binary_search_by_key(&id, |&(id, _)| id) else { return false };
        let job = state.queue.remove(at);
        // What the job holds is dropped outside of the lock.
        drop(state);
        job.is_some()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let Some(mut state) = self.shared.state.lock() else { return };
        state.closed = true;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        self.shared.work.notify_all();
        drop(queue);
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Workers");
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
                drop(state);
                // The panic hook has told the world; whoever waits for the answer sees the closure
                // dropped.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
                    // Its drop may panic as well, and must not end a thread that is counted.
                    let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
                    dropped.unwrap_or_else(std::mem::forget);
                }
                if self.state.is_foreign() {
                    // The job forked, and this is the child: the queue is the parent's.
                    return;
                }
                let Some(again) = self.state.lock() else { return };
                state = again;
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// Fills one thread of the pool until the sender is dropped or sends.
    fn occupy(workers: &Workers) -> std::sync::mpsc::Sender<()> {
        let (release, held) = channel::<()>();
        let (started, starts) = channel();
        let job = move || {
            started.send(()).unwrap();
            let _ = held.recv();
        };
        workers.submit(Box::new(job)).unwrap();
        starts.recv_timeout(SOON).expect("the job starts");
        release
    }

    fn number(workers: &Workers, n: u32) -> (JobId, Receiver<u32>) {
        let (tx, rx) = channel();
        (workers.submit(Box::new(move || tx.send(n).unwrap())).unwrap(), rx)
    }

    #[test]
    fn jobs_run_in_order_on_one_thread() {
        let workers = Workers::new(1, "test");
        let hold = occupy(&workers);
        let (tx, rx) = channel();
        for n in 0..100 {
            let tx = tx.clone();
            workers.submit(Box::new(move || tx.send(n).unwrap())).unwrap();
        }
        drop((hold, tx));
        assert_eq!(rx.iter().collect::<Vec<u32>>(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_stuck_job_holds_up_nobody_while_threads_are_left_and_no_more_are_made() {
        let workers = Workers::new(3, "test");
        let holds: Vec<_> = (0..2).map(|_| occupy(&workers)).collect();
        for n in 0..100 {
            assert_eq!(number(&workers, n).1.recv_timeout(SOON), Ok(n));
        }
        let third = occupy(&workers);
        let (_, rx) = number(&workers, 7);
        assert_eq!(workers.shared.state.lock().unwrap().threads, 3);
        assert!(rx.try_recv().is_err(), "a fourth thread ran it");
        drop(third);
        assert_eq!(rx.recv_timeout(SOON), Ok(7));
        drop(holds);
    }

    #[test]
    fn a_burst_of_submits_before_the_threads_wake_still_spreads() {
        let workers = Workers::new(4, "test");
        let (tx, rx) = channel();
        let barrier = Arc::new(std::sync::Barrier::new(4));
        for _ in 0..4 {
            let (tx, barrier) = (tx.clone(), barrier.clone());
            let job = move || {
                barrier.wait();
                tx.send(thread::current().name().map(str::to_owned)).unwrap();
            };
            workers.submit(Box::new(job)).unwrap();
        }
        for _ in 0..4 {
            assert!(rx.recv_timeout(SOON).unwrap().unwrap().starts_with("test-"));
        }
    }

    #[test]
    fn a_withdrawn_job_never_runs_and_a_started_one_cannot_be_withdrawn() {
        let workers = Workers::new(1, "test");
        let hold = occupy(&workers);
        let (first, first_rx) = number(&workers, 1);
        let (second, second_rx) = number(&workers, 2);
        assert!(workers.withdraw(first));
        assert!(!workers.withdraw(first), "twice");
        drop(hold);
        assert_eq!(second_rx.recv_timeout(SOON), Ok(2));
        assert!(!workers.withdraw(second), "it has run");
        assert!(first_rx.try_recv().is_err());
    }

    #[test]
    fn a_panic_costs_no_thread() {
        let workers = Workers::new(1, "test");
        let (tx, rx) = channel::<()>();
        let job = move || {
            let _tx = tx;
            std::panic::resume_unwind(Box::new("quiet, on purpose"));
        };
        workers.submit(Box::new(job)).unwrap();
        assert!(rx.recv_timeout(SOON).is_err(), "the closure is dropped");
        assert_eq!(number(&workers, 3).1.recv_timeout(SOON), Ok(3));
        assert_eq!(workers.shared.state.lock().unwrap().threads, 1);
    }

    #[test]
    fn a_payload_whose_drop_panics_costs_no_thread() {
        struct Twice;
        impl Drop for Twice {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("quiet, on purpose"));
            }
        }
        let workers = Workers::new(1, "test");
        workers.submit(Box::new(|| std::panic::resume_unwind(Box::new(Twice)))).unwrap();
        assert_eq!(number(&workers, 3).1.recv_timeout(SOON), Ok(3));
    }

    #[test]
    fn a_thread_that_idled_out_is_replaced() {
        let workers = Workers::with_idle(1, "test", Duration::ZERO);
        for n in 0..100 {
            assert_eq!(number(&workers, n).1.recv_timeout(SOON), Ok(n));
        }
    }

    #[test]
    fn dropping_the_pool_drops_what_waits_and_does_not_wait_for_what_runs() {
        let workers = Workers::new(1, "test");
        let hold = occupy(&workers);
        let (_, rx) = number(&workers, 1);
        let shared = workers.shared.clone();
        drop(workers);
        assert!(rx.recv_timeout(SOON).is_err(), "it was dropped, not run");
        drop(hold);
        while shared.state.lock().unwrap().threads > 0 {
            thread::yield_now();
        }
    }
}
