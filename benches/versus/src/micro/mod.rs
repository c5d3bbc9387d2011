//! What an executor costs by itself: tasks, turns, wakes, synchronization, timers, reads of a cached file.
//!
//! ```text
//!   args ─► for each bench, round, executor:  child (first CPU) ─► figures ─► report
//!             on::<R>: tasks, sync, timers, wake, files ── R: Runtime ◄── ringloop.rs, tokio.rs, …
//! ```
//!
//! The benchmarks are written once, over [`Runtime`], and compiled for each runtime.

mod args;
mod child;
mod clock;
mod compio;
mod files;
mod glommio;
mod kimojio;
mod limit;
mod monoio;
mod primitives;
mod report;
mod ringloop;
mod runtime;
mod smol;
mod sync;
mod tasks;
mod timers;
mod tokio;
mod tokio_sync;
mod wake;

use std::io::{self, Write};

pub(crate) use child::{HIDDEN, main as child_main};

use args::{Options, Wish};
use child::Job;
use files::Pages;
use report::Rounds;
use runtime::Runtime;

use crate::machine::{self, Cpus};

/// The first argument that asks for these.
pub(crate) const NAME: &str = "micro";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bench {
    SpawnJoin,
    SpawnMany,
    Yield1,
    Yield100,
    PingPong,
    MutexFree,
    MutexHanded,
    Semaphore,
    Oneshot,
    MpscPingPong,
    Queue16,
    TimerCreate,
    TimerReplace,
    CrossWake,
    OneCpuWake,
    Read1,
    Read32,
}

impl Bench {
    const ALL: [Self; 17] = [
        Self::SpawnJoin,
        Self::SpawnMany,
        Self::Yield1,
        Self::Yield100,
        Self::PingPong,
        Self::MutexFree,
        Self::MutexHanded,
        Self::Semaphore,
        Self::Oneshot,
        Self::MpscPingPong,
        Self::Queue16,
        Self::TimerCreate,
        Self::TimerReplace,
        Self::CrossWake,
        Self::OneCpuWake,
        Self::Read1,
        Self::Read32,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::SpawnJoin => "spawn-join",
            Self::SpawnMany => "spawn-many",
            Self::Yield1 => "yield-1",
            Self::Yield100 => "yield-100",
            Self::PingPong => "ping-pong",
            Self::MutexFree => "mutex-free",
            Self::MutexHanded => "mutex-handed",
            Self::Semaphore => "semaphore",
            Self::Oneshot => "oneshot",
            Self::MpscPingPong => "mpsc-ping-pong",
            Self::Queue16 => "queue-16",
            Self::TimerCreate => "timer-create",
            Self::TimerReplace => "timer-replace",
            Self::CrossWake => "cross-wake",
            Self::OneCpuWake => "one-cpu-wake",
            Self::Read1 => "read-1",
            Self::Read32 => "read-32",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bench| bench.name() == name)
    }

    /// The names of its figures, which are nanoseconds an operation unless they say µs.
    fn figures(self) -> &'static [&'static str] {
        match self {
            Self::SpawnJoin => &["spawn + join, one task"],
            Self::SpawnMany => &["spawn 1000, join all"],
            Self::Yield1 => &["yield, 1 task"],
            Self::Yield100 => &["yield, 100 tasks"],
            Self::PingPong => &["ping-pong, there and back"],
            Self::MutexFree => &["mutex, free"],
            Self::MutexHanded => &["mutex, handed over"],
            Self::Semaphore => &["semaphore, free"],
            Self::Oneshot => &["oneshot, ask and answer"],
            Self::MpscPingPong => &["ping-pong, own channels"],
            Self::Queue16 => &["queue of 16, an item"],
            Self::TimerCreate => &["timer create + drop"],
            Self::TimerReplace => &["timer replace"],
            Self::CrossWake => &["thread wake p50, µs", "  its p99, µs"],
            Self::OneCpuWake => &["on one CPU p50, µs", "  its p99, µs"],
            Self::Read1 => &["4K read, 1 deep, µs", "  its CPU, µs"],
            Self::Read32 => &["4K read, 32 deep, µs", "  its CPU, µs"],
        }
    }

    /// In words.
    fn description(self) -> &'static str {
        match self {
            Self::SpawnJoin => "spawn a task and await it",
            Self::SpawnMany => "spawn 1000 tasks, then await all; each",
            Self::Yield1 => "one task gives way, with no other",
            Self::Yield100 => "100 tasks give way in turn; each",
            Self::PingPong => "two tasks of one thread over two local channels, there and back",
            Self::MutexFree => "lock and unlock a mutex that nobody else wants",
            Self::MutexHanded => "two tasks hand a mutex to each other; each lock",
            Self::Semaphore => "take and give back one of two permits of a semaphore",
            Self::Oneshot => "ask a task over a local channel; it answers over a new oneshot",
            Self::MpscPingPong => "as ping-pong, over two of the runtime's own channels",
            Self::Queue16 => "one task passes items to another through a queue of 16; each",
            Self::TimerCreate => "create up to 100,000 timers, then drop them; each",
            Self::TimerReplace => "drop one of 100,000 timers and create another",
            Self::CrossWake => "a runtime wakes one on another CPU, and is woken back",
            Self::OneCpuWake => "the same with both threads on one CPU",
            Self::Read1 => "read 4 KiB of a cached file at a random page",
            Self::Read32 => "the same by 32 tasks",
        }
    }
}

/// What it is measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Executor {
    Ringloop,
    /// `current_thread` with a `LocalSet`.
    Tokio,
    Monoio,
    Compio,
    Glommio,
    Kimojio,
    /// A `LocalExecutor` under `block_on`.
    Smol,
    /// No runtime: system calls, where a benchmark is about them.
    Limit,
}

impl Executor {
    const ALL: [Self; 8] = [
        Self::Ringloop,
        Self::Tokio,
        Self::Monoio,
        Self::Compio,
        Self::Glommio,
        Self::Kimojio,
        Self::Smol,
        Self::Limit,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Ringloop => "ringloop",
            Self::Tokio => "tokio",
            Self::Monoio => "monoio",
            Self::Compio => "compio",
            Self::Glommio => "glommio",
            Self::Kimojio => "kimojio",
            Self::Smol => "smol",
            Self::Limit => "limit",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|executor| executor.name() == name)
    }

    /// Why there is nothing to measure, where that is known beforehand.
    fn lacks(self, bench: Bench) -> Option<&'static str> {
        match (self, bench) {
            // Whoever wakes it from another thread touches its reference counts, unsynchronized.
            (Self::Kimojio, Bench::CrossWake | Bench::OneCpuWake) => {
                Some("its wakers must not leave their thread")
            }
            // One task starts them all. The count is 16 bits wide, and an assertion stops it.
            (Self::Glommio, Bench::TimerCreate | Bench::TimerReplace) => {
                Some("a task's waker is held 32,767 times at most")
            }
            (Self::Limit, Bench::Read1 | Bench::Read32) => None,
            (Self::Limit, _) => Some(""),
            _ => None,
        }
    }

    /// Measures, in this process.
    fn measure(self, bench: Bench, job: &Job) -> io::Result<Vec<f64>> {
        match self {
            Self::Ringloop => on::<ringloop::Ringloop>(bench, job),
            Self::Tokio => on::<tokio::Tokio>(bench, job),
            Self::Monoio => on::<monoio::Monoio>(bench, job),
            Self::Compio => on::<compio::Compio>(bench, job),
            Self::Glommio => on::<glommio::Glommio>(bench, job),
            Self::Kimojio => on::<kimojio::Kimojio>(bench, job),
            Self::Smol => on::<smol::Smol>(bench, job),
            Self::Limit => match bench {
                Bench::Read1 => limit::pread(job),
                Bench::Read32 => limit::uring(job),
                _ => Err(io::Error::other("there is no limit but for reads")),
            },
        }
    }
}

/// One value for each of the bench's figures.
fn on<R: Runtime>(bench: Bench, job: &Job) -> io::Result<Vec<f64>> {
    let time = job.time;
    let nanoseconds = match bench {
        Bench::SpawnJoin => R::run_task(move |runtime| tasks::spawn_join(runtime, time)),
        Bench::SpawnMany => R::run_task(move |runtime| tasks::spawn_many(runtime, time)),
        Bench::Yield1 => R::run_task(move |runtime| tasks::yields(runtime, 1, time)),
        Bench::Yield100 => R::run_task(move |runtime| tasks::yields(runtime, 100, time)),
        Bench::PingPong => R::run_task(move |runtime| tasks::ping_pong(runtime, time)),
        Bench::MutexFree => R::run_task(move |runtime| sync::mutex_free(runtime, time)),
        Bench::MutexHanded => R::run_task(move |runtime| sync::mutex_handed(runtime, time)),
        Bench::Semaphore => R::run_task(move |runtime| sync::semaphore(runtime, time)),
        Bench::Oneshot => R::run_task(move |runtime| sync::oneshot(runtime, time)),
        Bench::MpscPingPong => R::run_task(move |runtime| sync::mpsc_ping_pong(runtime, time)),
        Bench::Queue16 => R::run_task(move |runtime| sync::queue(runtime, time)),
        Bench::TimerCreate => R::run_task(move |runtime| timers::create(runtime, time)),
        Bench::TimerReplace => R::run_task(move |runtime| timers::replace(runtime, time)),
        Bench::CrossWake => return wake::on_two_cpus::<R>(job),
        Bench::OneCpuWake => return wake::there_and_back::<R>(time, job.cpus.server),
        Bench::Read1 => return files::reads::<R>(job, 1),
        Bench::Read32 => return files::reads::<R>(job, 32),
    };
    Ok(vec![nanoseconds?])
}

/// What `versus micro` does. False: something could not be measured.
pub(crate) fn run(
    arguments: impl Iterator<Item = String>,
    out: &mut dyn Write,
) -> Result<bool, io::Error> {
    match Wish::parse(arguments).map_err(io::Error::other)? {
        Wish::Help => writeln!(out, "{}", args::HELP)?,
        Wish::List => {
            writeln!(out, "runtimes:")?;
            for executor in Executor::ALL {
                writeln!(out, "  {}", executor.name())?;
            }
            writeln!(out, "benches:")?;
            for bench in Bench::ALL {
                writeln!(out, "  {:<14}  {}", bench.name(), bench.description())?;
            }
        }
        Wish::Measure(options) => return measure(&options, out),
    }
    Ok(true)
}

fn measure(options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    let cpus = Cpus::choose();
    writeln!(out, "{}; on CPU {}", machine::describe(), cpus.server)?;
    let pages = Pages::create()?;
    let job = Job { time: options.time, cpus, pages: pages.path().into() };
    let mut all = Vec::new();
    for &bench in &options.benches {
        let mut rows: Vec<Rounds> =
            options.executors.iter().map(|&executor| Rounds::new(bench, executor)).collect();
        for round in 0..options.rounds {
            // Another one first each time: nobody always follows the same one.
            let first = round % rows.len();
            for i in 0..rows.len() {
                let row = &mut rows[(first + i) % options.executors.len()];
                if row.failure.is_none() {
                    row.add(child::start(bench, row.executor, &job));
                }
            }
        }
        all.push(rows);
    }
    write!(out, "{}", report::text(&all, &options.executors))?;
    Ok(all.iter().flatten().all(Rounds::complete))
}
