//! The figures: medians over rounds, as a table and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use crate::args::{Cell, Kind};
use crate::load::Round;
use crate::quoted::quoted;
use crate::server::CpuTime;

/// The medians of the rounds of one server under one load.
pub(crate) struct Row {
    cell: Cell,
    kind: Kind,
    rounds: usize,
    requests_per_second: f64,
    /// Millions of bytes echoed, each counted once.
    megabytes_per_second: f64,
    cpu_nanos: Option<f64>,
    /// How much of its CPU the server used: near 1, it was the bottleneck.
    cpu_share: Option<f64>,
    /// How much of the time it was ready to run, but another process had its CPU.
    pub(crate) wait_share: Option<f64>,
    syscalls: f64,
    /// Microseconds: p50, p99, p99.9.
    latency: [f64; 3],
}

/// What an idle connection costs.
pub(crate) struct Idle {
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
    pub(crate) bytes: f64,
}

/// Everything that was found out.
#[derive(Default)]
pub(crate) struct Report {
    /// What a reader must know about the machine and the method, a line each.
    pub(crate) notes: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) idle: Vec<Idle>,
    /// The user has interrupted, or something failed.
    pub(crate) incomplete: bool,
}

impl Row {
    /// `None` without a round.
    pub(crate) fn new(cell: Cell, kind: Kind, rounds: &[Round]) -> Option<Self> {
        let of = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
        let of_cpu = |figure: &dyn Fn(&Round, &CpuTime) -> f64| {
            let known = |round: &Round| Some(figure(round, round.cpu.as_ref()?));
            median(rounds.iter().map(known).collect::<Option<_>>()?)
        };
        let per_request = |round: &Round, sum: f64| sum / round.requests.max(1) as f64;
        let share = |round: &Round, time: Duration| time.as_secs_f64() / round.took.as_secs_f64();
        let latency = |share| of(&|round| round.latency.quantile(share).as_secs_f64() * 1e6);
        let requests_per_second = of(&|round| round.requests as f64 / round.took.as_secs_f64())?;
        Some(Self {
            cell,
            kind,
            rounds: rounds.len(),
            requests_per_second,
            megabytes_per_second: requests_per_second * cell.size as f64 / 1e6,
            cpu_nanos: of_cpu(&|round, cpu| per_request(round, cpu.used.as_nanos() as f64)),
            cpu_share: of_cpu(&|round, cpu| share(round, cpu.used)),
            wait_share: of_cpu(&|round, cpu| share(round, cpu.waited)),
            syscalls: of(&|round| per_request(round, round.syscalls as f64))?,
            latency: [latency(0.5)?, latency(0.99)?, latency(0.999)?],
        })
    }

    /// Its line in the table. The first of a cell names the cell.
    pub(crate) fn line(&self, first: bool) -> String {
        let Cell { connections, size, pipeline } = self.cell;
        let cell = [connections, size, pipeline]
            .map(|n| if first { n.to_string() } else { String::new() });
        let latency = self.latency.map(|micros| match micros {
            0.0..100.0 => format!("{micros:.1}"),
            _ => format!("{micros:.0}"),
        });
        columns([
            &cell[0],
            &cell[1],
            &cell[2],
            &self.kind.to_string(),
            &grouped(self.requests_per_second),
            &format!("{:.1}", self.megabytes_per_second),
            &self.cpu_nanos.map_or_else(|| "?".into(), grouped),
            &self.cpu_share.map_or_else(|| "?".into(), |share| format!("{:.0} %", share * 100.0)),
            &format!("{:.3}", self.syscalls),
            &latency[0],
            &latency[1],
            &latency[2],
        ])
    }

    fn json(&self) -> String {
        let Cell { connections, size, pipeline } = self.cell;
        let or_null =
            |figure: Option<f64>| figure.map_or_else(|| "null".into(), |n| format!("{n:.3}"));
        format!(
            "{{\"backend\": \"{}\", \"api\": \"{}\", \"connections\": {connections}, \"size\": {size}, \
             \"pipeline\": {pipeline}, \"rounds\": {}, \"requests_per_second\": {:.1}, \
             \"megabytes_per_second\": {:.3}, \"server_cpu_nanos_per_request\": {}, \
             \"server_cpu_share\": {}, \"server_wait_share\": {}, \"syscalls_per_request\": {:.5}, \"p50_micros\": {:.2}, \
             \"p99_micros\": {:.2}, \"p999_micros\": {:.2}}}",
            self.kind.backend,
            self.kind.api,
            self.rounds,
            self.requests_per_second,
            self.megabytes_per_second,
            or_null(self.cpu_nanos),
            or_null(self.cpu_share),
            or_null(self.wait_share),
            self.syscalls,
            self.latency[0],
            self.latency[1],
            self.latency[2],
        )
    }
}

/// The table's first line.
pub(crate) fn header() -> String {
    columns([
        "conns",
        "bytes",
        "pipeline",
        "server",
        "requests/s",
        "MB/s",
        "CPU ns/req",
        "CPU",
        "syscalls/req",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
    ])
}

/// One line: text to the left, numbers to the right, 118 columns.
fn columns(texts: [&str; 12]) -> String {
    let [conns, bytes, pipeline, server, requests, mb, cpu, share, syscalls, p50, p99, p999] =
        texts;
    format!(
        "{conns:>5}  {bytes:>6}  {pipeline:>8}  {server:<11}  {requests:>10}  {mb:>7}  {cpu:>10}  \
         {share:>5}  {syscalls:>12}  {p50:>7}  {p99:>7}  {p999:>8}"
    )
}

impl Idle {
    pub(crate) fn line(&self) -> String {
        format!(
            "{:<11}  {} bytes of server memory an idle connection ({} connections)",
            self.kind.to_string(),
            grouped(self.bytes),
            self.connections
        )
    }

    fn json(&self) -> String {
        let Self { kind: Kind { backend, api }, connections, bytes } = self;
        format!(
            "{{\"backend\": \"{backend}\", \"api\": \"{api}\", \"connections\": {connections}, \
             \"bytes_per_connection\": {bytes:.1}}}"
        )
    }
}

impl Report {
    /// All of it as one JSON object.
    pub(crate) fn json(&self) -> String {
        let mut json = format!(
            "{{\n  \"ringloop\": {},\n  \"complete\": {}",
            quoted(env!("CARGO_PKG_VERSION")),
            !self.incomplete
        );
        let lists = [
            ("notes", self.notes.iter().map(|note| quoted(note)).collect::<Vec<_>>()),
            ("cells", self.rows.iter().map(Row::json).collect()),
            ("idle", self.idle.iter().map(Idle::json).collect()),
        ];
        for (name, items) in lists {
            let _ = write!(json, ",\n  \"{name}\": [");
            for (i, item) in items.iter().enumerate() {
                let _ = write!(json, "{}\n    {item}", if i == 0 { "" } else { "," });
            }
            json.push_str("\n  ]");
        }
        json.push_str("\n}\n");
        json
    }
}

/// The value in the middle, or between the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 0 => Some(f64::midpoint(values[half - 1], values[half])),
        _ => Some(values[half]),
    }
}

/// A whole number with a comma between thousands.
fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = if number <= -0.5 { "-".to_owned() } else { String::new() };
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in
            [(0.0, "0"), (999.6, "1,000"), (1234567.0, "1,234,567"), (-1500.0, "-1,500")]
        {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn the_table_fits_into_120_columns() {
        assert!(header().chars().count() <= 120);
    }
}
