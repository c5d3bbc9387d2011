//! The rounds: in each, every server has its turn on the same load.

use std::io::{self, IsTerminal as _, Write as _};

use crate::args::Options;
use crate::child::Child;
use crate::load::{self, Pace};
use crate::meter::{Until, Window};
use crate::plan::{Server, Workload};

/// What one server has shown in one round. Times of requests are in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Nanoseconds of the server's CPU time, a request.
    pub(crate) cpu: f64,
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// The load generator's busy share.
    pub(crate) busy: f64,
    /// The share of the server's CPU time outside the kernel.
    pub(crate) user: Option<f64>,
    /// Context switches of the server, a request.
    pub(crate) switches: f64,
    /// The share of time in which another process had the CPU of the server, or of the load.
    pub(crate) disturbed: f64,
}

impl Sample {
    fn new(window: &Window) -> Self {
        let (spent, requests) = (&window.spent, window.requests.max(1) as f64);
        let quantile = |share| window.latency.quantile(share).as_nanos() as f64 / 1e3;
        let took = spent.took.as_secs_f64();
        Self {
            cpu: spent.cpu.as_nanos() as f64 / requests,
            rate: requests / took,
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
            busy: window.busy,
            user: spent.user,
            switches: spent.switches as f64 / requests,
            disturbed: spent.waited.max(window.own.waited).as_secs_f64() / took,
        }
    }
}

/// All servers under one load.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) workload: Workload,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) server: Server,
    /// One sample a round, or the sentence why there are none.
    pub(crate) samples: Result<Vec<Sample>, String>,
    /// It did start, and then a byte was wrong, a connection was lost, or no answer came.
    pub(crate) broke: bool,
}

impl Panel {
    /// The samples of a server, one a round; none where it has failed.
    pub(crate) fn samples(&self, server: Server) -> &[Sample] {
        let row = self.rows.iter().find(|row| row.server == server);
        row.and_then(|row| row.samples.as_deref().ok()).unwrap_or_default()
    }
}

/// Measures all servers under `workload`.
pub(crate) fn panel(options: &Options, cpu: usize, workload: Workload, pace: Pace) -> Panel {
    let blank = |&server| Row { server, samples: Ok(Vec::new()), broke: false };
    let mut rows: Vec<Row> = options.servers.iter().map(blank).collect();
    for round in 0..options.rounds {
        for turn in 0..rows.len() {
            // Each round begins with another server: whatever the one before leaves behind meets
            // everybody in turn.
            let row = (turn + round) % rows.len();
            let row = &mut rows[row];
            let Ok(samples) = &mut row.samples else { continue };
            let what = format!("{}, round {}", workload.name, round + 1);
            progress(&format!("{what} of {}: {}", options.rounds, row.server));
            match Child::start(row.server, workload, cpu) {
                Err(error) => row.samples = Err(format!("cannot run here: {error}")),
                Ok(child) => match sample(child, options, workload, pace) {
                    Ok(sample) => samples.push(sample),
                    Err(error) => (row.samples, row.broke) = (Err(error.to_string()), true),
                },
            }
        }
    }
    progress("");
    Panel { workload, rows }
}

fn sample(child: Child, options: &Options, workload: Workload, pace: Pace) -> io::Result<Sample> {
    let until = Until::Time { warm_up: options.warm_up, window: options.window };
    match load::run(child.target, workload, pace, until) {
        Ok((_, Some(window))) if window.requests > 0 => Ok(Sample::new(&window)),
        Ok(_) => Err(io::Error::other("no answer came in the measured time: is the machine busy?")),
        Err(error) => Err(match child.last_words() {
            Some(reason) => io::Error::other(format!("{reason} ({error})")),
            None => error,
        }),
    }
}

/// Says on the terminal, if there is one, what is being done; the empty text wipes it away.
pub(crate) fn progress(what: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{what}");
    }
}
