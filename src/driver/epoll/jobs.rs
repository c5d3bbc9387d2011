//! The requests that workers do, and how their results come back.

use crate::driver::perform::Job;
use crate::op::{Request, Token};
use crate::sys::Bell;
use crate::sys::sync::{Arc, AtomicBool, Mutex, Ordering, lock};
use crate::worker::{JobId, Refused, Workers};

/// The driver's side.
#[derive(Debug)]
pub(super) struct Jobs {
    workers: Arc<Workers>,
    results: Arc<Results>,
}

/// What both sides share. It outlives the driver while a worker is at it.
#[derive(Debug)]
struct Results {
    /// Set after a result was put in, cleared before they are taken: never clear over a result.
    any: AtomicBool,
    list: Mutex<Vec<(Token, i32)>>,
    bell: Bell,
}

impl Jobs {
    /// Results ring `bell`.
    pub(super) fn new(workers: Arc<Workers>, bell: Bell) -> Self {
        let results = Results { any: AtomicBool::new(false), list: Mutex::default(), bell };
        Self { workers, results: Arc::new(results) }
    }

    /// Has a worker do `request`.
    pub(super) fn start(&self, token: Token, request: Request) -> Result<JobId, Refused> {
        let job = Job::new(request);
        let results = self.results.clone();
        self.workers.submit(Box::new(move || {
            let result = job.run();
            lock(&results.list).push((token, result));
            // Release: who sees the flag sees the result.
            results.any.store(true, Ordering::Release);
            results.bell.ring();
        }))
    }

    /// Takes back what no worker has begun: whether it could.
    pub(super) fn withdraw(&self, job: JobId) -> bool {
        self.workers.withdraw(job)
    }

    /// The results that have come.
    pub(super) fn take(&self) -> Vec<(Token, i32)> {
        if !self.results.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.results.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *lock(&self.results.list))
    }
}
