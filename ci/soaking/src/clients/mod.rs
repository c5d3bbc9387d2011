//! The clients: they start the server, put it under load round by round, and compare its books.

mod idle;
mod link;
mod scenarios;
mod talk;
mod verdict;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::books::{self, Books};
use crate::numbers::Numbers;
use crate::pattern::Pattern;
use crate::sys;
use idle::Idle;
use link::Link;
use verdict::{Row, Verdict};

/// Clients that are at it at the same time, each with one connection.
const WORKERS: u64 = 24;

/// The warm-up has more of them, so that whatever the server keeps for reuse is as large as it gets.
const WARMING: u64 = 3 * WORKERS;

/// A round, at most.
const ROUND: u64 = 30;

/// How long the server may take to come to rest after a round. Its threads for blocking calls end
/// after 10 s without work.
const REST: Duration = Duration::from_secs(20);

/// What all workers share.
struct Load<'a> {
    link: &'a Link,
    pattern: &'a Pattern,
    seed: u64,
    stop: AtomicBool,
    connections: AtomicU64,
    bytes: AtomicU64,
    failed: Mutex<Option<String>>,
}

impl Load<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn fail(&self, sentence: String) {
        self.stop.store(true, Ordering::Relaxed);
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(sentence);
    }

    fn check(&self) -> Result<(), String> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), Err)
    }

    /// The workers and the idle ones, for so long.
    fn run(
        &self,
        idle: &mut Idle<'_>,
        round: u64,
        workers: u64,
        time: Duration,
    ) -> Result<(), String> {
        self.stop.store(false, Ordering::Relaxed);
        self.link.ask("on")?;
        thread::scope(|scope| {
            for worker in 0..workers {
                let numbers = Numbers::new(self.seed ^ (round << 32) ^ (worker << 16));
                scope.spawn(move || self.work(numbers));
            }
            scope.spawn(|| {
                if let Err(sentence) = idle.chat(self, Numbers::new(self.seed ^ round)) {
                    self.fail(sentence);
                }
            });
            let end = Instant::now() + time;
            while !self.stopped() && Instant::now() < end {
                thread::park_timeout(Duration::from_millis(100));
            }
            self.stop.store(true, Ordering::Relaxed);
        });
        self.check()?;
        self.link.ask("off").map(drop)
    }

    fn work(&self, mut numbers: Numbers) {
        while !self.stopped() {
            if let Err(sentence) = scenarios::one(self, &mut numbers) {
                self.fail(sentence);
            }
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), String> {
    let started = Instant::now();
    let room = args.connections as u64 + 1000;
    sys::allow_files(room)?;
    watchdog(args);
    let link = Link::start(args)?;
    let passed = soak(args, &link, started);
    passed.map_err(|sentence| match link.ended() {
        Some(status) => format!("the server ended with {status}; seen from a client: {sentence}"),
        None => sentence,
    })
}

fn soak(args: &Args, link: &Link, started: Instant) -> Result<(), String> {
    println!(
        "soak: {} s, {} connections, seed {}, on {}",
        args.seconds, args.connections, args.seed, link.backend
    );
    let pattern = Pattern::new();
    let load = Load {
        link,
        pattern: &pattern,
        seed: args.seed,
        stop: AtomicBool::new(false),
        connections: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        failed: Mutex::new(None),
    };
    let bare = at_rest(link, None)?;

    let warming = (args.seconds / 10).clamp(4, 30);
    let mut idle = Idle::open(&load, args.connections)?;
    load.run(&mut idle, 0, WARMING, Duration::from_secs(warming))?;
    drop(idle);
    let begin = at_rest(link, Some(&bare))?;
    let mut verdict = Verdict::new(started);
    verdict.row(Row::Begin, &begin, &load);

    let mut idle = Idle::open(&load, args.connections)?;
    let seconds = args.seconds.saturating_sub(warming).max(2);
    let rounds = seconds.div_ceil(ROUND).max(2);
    let time = Duration::from_secs(seconds) / rounds as u32;
    for round in 1..=rounds {
        load.run(&mut idle, round, WORKERS, time)?;
        let now = at_rest(link, Some(&bare.with_idle(args.connections)))?;
        verdict.row(Row::Round(round), &now, &load);
        verdict.growth()?;
    }
    idle.chat_with_all()?;
    let share = idle_share(link)?;
    drop(idle);

    at_rest(link, Some(&bare))?;
    let end = alone(link, &bare)?;
    verdict.row(Row::End, &end, &load);
    link.end()?;
    verdict.table(&begin, &end, share);
    verdict.compare(&begin, &end)
}

/// The books once they are `wanted`, or once two in a row are the same.
fn at_rest(link: &Link, wanted: Option<&Books>) -> Result<Books, String> {
    let deadline = Instant::now() + REST;
    let mut before: Option<Books> = None;
    loop {
        let now = link.books()?;
        let same = before.is_some_and(|before| now.differences(&before).is_empty());
        if wanted.map_or(same, |wanted| now.differences(wanted).is_empty()) {
            return Ok(now);
        }
        if Instant::now() > deadline {
            let differences = wanted.map(|wanted| now.differences(wanted)).unwrap_or_default();
            return Err(format!("{REST:?} after a round: {}", differences.join("; ")));
        }
        before = Some(now);
        thread::park_timeout(Duration::from_millis(50));
    }
}

/// The books once the threads for blocking calls have ended.
fn alone(link: &Link, bare: &Books) -> Result<Books, String> {
    let deadline = Instant::now() + REST;
    loop {
        let now = link.books()?;
        let (threads, wanted) = (now.0[books::THREADS], bare.0[books::THREADS]);
        if threads == wanted {
            return Ok(now);
        }
        if Instant::now() > deadline {
            return Err(format!("{threads} threads at the end, {wanted} at the beginning"));
        }
        thread::park_timeout(Duration::from_millis(100));
    }
}

/// CPU time that the server takes in a second in which nothing happens, in percent; 5 is too much.
fn idle_share(link: &Link) -> Result<f64, String> {
    let books = link.books()?;
    // It still has the answer's turn to end.
    thread::park_timeout(Duration::from_millis(50));
    let (cpu, began) = (link.cpu_time()?, Instant::now());
    thread::park_timeout(Duration::from_secs(1));
    let cpu = link.cpu_time()? - cpu;
    let share = 100.0 * cpu as f64 / began.elapsed().as_nanos() as f64;
    let turns = link.books()?.0[books::TURNS] - books.0[books::TURNS];
    if share > 5.0 || turns > 10 {
        return Err(format!(
            "an idle server took {share:.1} % of a CPU and {turns} turns in a second"
        ));
    }
    Ok(share)
}

/// Ends everything when it takes far longer than it should.
fn watchdog(args: &Args) {
    let limit = Duration::from_secs(args.seconds + 150 + args.connections as u64 / 200);
    thread::spawn(move || {
        thread::sleep(limit);
        eprintln!("soak: FAILED: no end after {limit:?}");
        std::process::exit(1);
    });
}
