//! The requests that workers do, and how their results come back.

use crate::driver::perform::Job;
use crate::op::{Request, Token};
use crate::sys::sync::{Arc, AtomicBool, Mutex, Ordering};
use crate::sys::{self, Bell};
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
    list: Mutex<Vec<Ended>>,
    bell: Bell,
}

/// What a job came to.
#[derive(Debug)]
struct Ended {
    token: Token,
    result: i32,
    /// Whether the result, if it is no error, is a descriptor that the job has opened.
    opened: bool,
}

impl Drop for Results {
    /// The driver ended while a worker was at it: nobody else knows of what it opened.
    fn drop(&mut self) {
        for ended in std::mem::take(self.list.get_mut()) {
            if ended.opened && ended.result >= 0 {
                let _ = sys::file::close(ended.result);
            }
        }
    }
}

impl Jobs {
    /// Results ring `bell`.
    pub(super) fn new(workers: Arc<Workers>, bell: Bell) -> Self {
        let results = Results { any: AtomicBool::new(false), list: Mutex::new(Vec::new()), bell };
        Self { workers, results: Arc::new(results) }
    }

    /// Has a worker do `request`.
    pub(super) fn start(&self, token: Token, request: Request) -> Result<JobId, Refused> {
        let job = Job::new(request);
        let results = self.results.clone();
        self.workers.submit(Box::new(move || {
            let opened = job.opens();
            let result = job.run();
            let Some(mut list) = results.list.lock() else { return };
            list.push(Ended { token, result, opened });
            drop(list);
            // Release: who sees the flag sees the result.
            results.any.store(true, Ordering::Release);
            results.bell.ring();
        }))
    }

    /// Takes back what no worker has begun: whether it could.
    pub(super) fn withdraw(&self, job: JobId) -> bool {
        self.workers.withdraw(job).is_some()
    }

    /// Whether results have come.
    pub(super) fn any_ended(&self) -> bool {
        self.results.any.load(Ordering::Acquire)
    }

    /// The results that have come.
    pub(super) fn take(&self) -> Vec<(Token, i32)> {
        if !self.any_ended() {
            return Vec::new();
        }
        self.results.any.store(false, Ordering::Relaxed);
        let ended = self.results.list.lock().map(|mut list| std::mem::take(&mut *list));
        ended.into_iter().flatten().map(|ended| (ended.token, ended.result)).collect()
    }
}
