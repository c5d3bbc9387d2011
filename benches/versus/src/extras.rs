//! What is measured once the load is through: system calls, idle connections, and a fixed rate.

use crate::args::Options;
use crate::idle::{self, Idle};
use crate::load::Pace;
use crate::measure::{self, Panel, progress};
use crate::plan::{Server, Workload};
use crate::report;
use crate::statistics::Spread;
use crate::syscalls;
use crate::table::{Table, short};

/// Connections that are left idle, and in a quick run.
const IDLE: [usize; 2] = [10_000, 2_000];
/// The rate of the open loop, as a share of the slowest server's peak.
const SHARE: f64 = 0.7;
/// Below this share of the planned rate a server did not keep up.
const KEPT_UP: f64 = 0.98;

/// A figure, or the sentence why there is none.
pub(crate) type Outcome<T> = Result<T, String>;

/// System calls a request: for each server, one figure a workload.
pub(crate) struct Syscalls {
    pub(crate) workloads: Vec<Workload>,
    pub(crate) rows: Vec<(Server, Vec<Outcome<f64>>)>,
}

impl Syscalls {
    /// The sentence why there are none.
    pub(crate) fn count(options: &Options, cpu: usize) -> Outcome<Self> {
        if !syscalls::can_count() {
            return Err("strace is not installed: system calls were NOT counted".into());
        }
        let mut workloads = options.workloads.clone();
        workloads.retain(|workload| syscalls::WORKLOADS.contains(&workload.name));
        if workloads.is_empty() {
            return Err(format!("system calls are counted for {}", syscalls::WORKLOADS.join(", ")));
        }
        let row = |&server: &Server| {
            let figures = workloads.iter().map(|&workload| {
                progress(&format!("system calls, {}: {server}", workload.name));
                let calls = syscalls::per_request(server, workload, cpu);
                calls.map_err(|error| error.to_string())
            });
            (server, figures.collect())
        };
        let rows = options.servers.iter().map(row).collect();
        progress("");
        Ok(Self { workloads, rows })
    }

    pub(crate) fn text(&self) -> String {
        let names = self.workloads.iter().map(|workload| workload.name);
        let mut table = Table::new(["server"].into_iter().chain(names));
        for (server, figures) in &self.rows {
            match figures.iter().find_map(|figure| figure.as_ref().err()) {
                Some(sentence) => table.sentence(server.name(), sentence),
                None => table.row(
                    [server.name().into()]
                        .into_iter()
                        .chain(figures.iter().flatten().map(|&calls| short(calls))),
                ),
            }
        }
        format!("System calls a request, under strace (which helps who batches)\n{}", table.text())
    }
}

/// Idle connections, server by server.
pub(crate) fn idle(options: &Options, cpu: usize, files: usize) -> Vec<(Server, Outcome<Idle>)> {
    let workload = Workload::from_name("64Bx1000").unwrap_or(Workload::ALL[0]);
    let wanted = IDLE[usize::from(options.quick)];
    let row = |&server: &Server| {
        progress(&format!("{wanted} idle connections: {server}"));
        let idle = idle::cost(server, workload, cpu, wanted, files);
        (server, idle.map_err(|error| error.to_string()))
    };
    let rows = options.servers.iter().map(row).collect();
    progress("");
    rows
}

pub(crate) fn idle_text(rows: &[(Server, Outcome<Idle>)]) -> String {
    let mut table = Table::new(["server", "connections", "bytes each", "CPU µs a second"]);
    for (server, outcome) in rows {
        match outcome {
            Err(sentence) => table.sentence(server.name(), sentence),
            Ok(Idle { connections, bytes, cpu }) => table.row([
                server.name().into(),
                connections.to_string(),
                format!("{bytes:.0}"),
                format!("{cpu:.0}"),
            ]),
        }
    }
    format!("Idle connections, each of which has echoed once\n{}", table.text())
}

/// All servers at one rate, which the slowest of them can bear.
pub(crate) struct FixedRate {
    pub(crate) rate: f64,
    pub(crate) panel: Panel,
}

impl FixedRate {
    /// The sentence why it was not measured.
    pub(crate) fn measure(options: &Options, cpu: usize, panels: &[Panel]) -> Outcome<Self> {
        let workload = fixed_rate_workload();
        let skipped = || format!("the fixed rate follows from {}: not measured", workload.name);
        let peaks = panels.iter().find(|panel| panel.workload == workload).ok_or_else(skipped)?;
        let limits = [Server::LimitUring, Server::LimitEpoll];
        let peak = |row: &measure::Row| {
            Spread::of(row.samples.iter().flatten().map(|sample| sample.rate))
                .map(|rate| rate.median)
        };
        let rivals = peaks.rows.iter().filter(|row| !limits.contains(&row.server));
        let slowest = rivals.filter_map(peak).min_by(f64::total_cmp).ok_or_else(skipped)?;
        let rate = slowest * SHARE;
        let panel = measure::panel(options, cpu, workload, Pace::Open(rate));
        Ok(Self { rate, panel })
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} at {:.0} requests a second, {:.0} % of the slowest server's peak; time counts from \
             the planned sending\n{}",
            self.panel.workload.name,
            self.rate,
            SHARE * 100.0,
            report::latencies(&self.panel)
        );
        for row in &self.panel.rows {
            let rates = row.samples.iter().flatten().map(|sample| sample.rate);
            if let Some(rate) = Spread::of(rates).filter(|rate| rate.median < self.rate * KEPT_UP) {
                let (server, rate) = (row.server, rate.median);
                text.push_str(&format!("  note: {server} answered only {rate:.0} a second\n"));
            }
        }
        text
    }
}

/// The load of many small connections.
fn fixed_rate_workload() -> Workload {
    let workload = Workload::from_name("64Bx50");
    workload.unwrap_or(Workload::ALL[0])
}
