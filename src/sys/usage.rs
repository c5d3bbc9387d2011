//! What this thread has used.
#![expect(unsafe_code, reason = "syscalls")]

use std::time::Duration;

use super::count;

/// CPU time of this thread, and how often it slept within a system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) sleeps: u64,
}

impl Usage {
    /// Up to now. Zeros where the kernel does not say.
    pub(crate) fn of_this_thread() -> Self {
        count::one();
        // SAFETY: all zeros is a valid rusage.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: it writes one rusage.
        unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
        let time = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec.unsigned_abs())
                + Duration::from_micros(time.tv_usec.unsigned_abs())
        };
        Self {
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
            sleeps: usage.ru_nvcsw.unsigned_abs(),
        }
    }

    /// Of the time since `before`, `took` in all: how much was spent off the CPU, and in how many sleeps.
    pub(crate) fn off_cpu(&self, before: &Self, took: Duration) -> (Duration, u64) {
        let on = self.cpu.saturating_sub(before.cpu);
        (took.saturating_sub(on), self.sleeps - before.sleeps)
    }
}
