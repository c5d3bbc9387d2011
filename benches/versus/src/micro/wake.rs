//! Two threads, a runtime on each, that wake each other.
//!
//! A CPU that sleeps takes its time to wake, tens of microseconds in a virtual machine, and that would
//! be all there is to see. So each is kept awake by a thread that gives way to any other. What one CPU
//! takes to interrupt the other is left; with both threads on one CPU it is not.

use std::future::poll_fn;
use std::hint::spin_loop;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;

use super::child::Job;
use super::clock::percentile;
use super::runtime::Runtime;
use crate::child::pin;

/// A flag that wakes the one who waits for it.
#[derive(Default)]
struct Flag {
    up: AtomicBool,
    waker: AtomicWaker,
}

impl Flag {
    fn raise(&self) {
        self.up.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Waits until it is up, and takes it down.
    async fn taken(&self) {
        poll_fn(|cx| {
            if self.up.swap(false, Ordering::Acquire) {
                return Poll::Ready(());
            }
            self.waker.register(cx.waker());
            // It may have gone up before the waker was there.
            if self.up.swap(false, Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[derive(Default)]
struct Court {
    there: Flag,
    back: Flag,
    over: AtomicBool,
}

/// Each thread on its own CPU.
///
/// # Errors
///
/// There is one CPU only.
pub(super) fn on_two_cpus<R: Runtime>(job: &Job) -> io::Result<Vec<f64>> {
    if job.cpus.shared() {
        return Err(io::Error::other("it takes two CPUs"));
    }
    keep_awake(job.cpus.server)?;
    keep_awake(job.cpus.load)?;
    there_and_back::<R>(job.time, job.cpus.load)
}

/// How long a wake of a thread on `cpu` and one back take: half of them at most, and 99 of 100; in µs.
pub(super) fn there_and_back<R: Runtime>(time: Duration, cpu: usize) -> io::Result<Vec<f64>> {
    let court = Arc::new(Court::default());
    let peer_court = court.clone();
    let peer = thread::spawn(move || {
        pin(cpu)?;
        R::run_task(move |_| async move {
            loop {
                peer_court.there.taken().await;
                if peer_court.over.load(Ordering::Relaxed) {
                    return;
                }
                peer_court.back.raise();
            }
        })
    });
    let mut times = R::run_task(move |_| async move {
        let mut times = Vec::with_capacity(1 << 20);
        let since = Instant::now();
        while since.elapsed() < time || times.is_empty() {
            let start = Instant::now();
            court.there.raise();
            court.back.taken().await;
            times.push(start.elapsed().as_nanos() as u64);
        }
        court.over.store(true, Ordering::Relaxed);
        court.there.raise();
        times
    })?;
    peer.join().map_err(|_| io::Error::other("the other thread panicked"))??;
    let warm = times.len() / 10;
    let times = &mut times[warm..];
    Ok(vec![percentile(times, 50) / 1e3, percentile(times, 99) / 1e3])
}

/// Lets a thread spin on `cpu` until the process ends; whoever else wants the CPU gets it at once.
fn keep_awake(cpu: usize) -> io::Result<()> {
    let spinner = thread::spawn(move || {
        pin(cpu)?;
        let zero = libc::sched_param { sched_priority: 0 };
        // SAFETY: reads `zero`, which lives over the call; 0 is this thread.
        if unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const zero) } < 0 {
            return Err(io::Error::last_os_error());
        }
        thread::spawn(|| {
            loop {
                spin_loop();
            }
        });
        Ok(())
    });
    spinner.join().map_err(|_| io::Error::other("a thread panicked"))?
}
