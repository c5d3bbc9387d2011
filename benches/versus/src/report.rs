//! The figures as text.

use crate::measure::{Panel, Row, Sample};
use crate::plan::Server;
use crate::statistics::Spread;
use crate::table::{Table, note, ratio, short, spread};

/// Above this share of another process on the CPUs, a figure deserves a word.
const DISTURBED: f64 = 0.05;
/// Above this busy share the load generator is the bottleneck.
const BUSY: f64 = 0.95;

/// A figure of a sample.
type Figure = fn(&Sample) -> f64;

/// One workload in full.
pub(crate) fn panel(panel: &Panel) -> String {
    let rounds = panel.rows.iter().filter_map(|row| Some(row.samples.as_ref().ok()?.len())).max();
    let mut text = format!("{}: {}", panel.workload.name, panel.workload);
    if let Some(rounds) = rounds {
        let plural = if rounds == 1 { "" } else { "s" };
        text.push_str(&format!("; medians and min-max of {rounds} round{plural}"));
    }
    text.push('\n');
    text.push_str(&costs(panel));
    if rounds.is_some() {
        text.push('\n');
        text.push_str(&latencies(panel));
    }
    for (figure, limit, sentence) in [
        (
            (|sample| sample.busy) as Figure,
            BUSY,
            "the load generator was the bottleneck (load above 95 %): judge by CPU",
        ),
        (|sample| sample.disturbed, DISTURBED, "other processes ran on these CPUs meanwhile"),
    ] {
        let above = |row: &&Row| of(row, figure).is_some_and(|share| share.median > limit);
        let names: Vec<_> = panel.rows.iter().filter(above).map(|row| row.server.name()).collect();
        if names.len() == panel.rows.len() {
            text.push_str(&note(&format!("{sentence}: all of them")));
        } else if !names.is_empty() {
            text.push_str(&note(&format!("{sentence}: {}", names.join(", "))));
        }
    }
    text
}

fn costs(panel: &Panel) -> String {
    let streams = panel.workload.streams();
    let rate = if streams { "MB/s" } else { "1000/s" };
    let titles = ["server", "CPU ns", "min-max", "/limit", "/tokio", rate, "min-max"];
    let more = ["load %", "min-max", "user %", "switches"];
    let mut table = Table::new(titles.into_iter().chain(more));
    for row in &panel.rows {
        if let Err(sentence) = &row.samples {
            table.sentence(row.server.name(), sentence);
            continue;
        }
        let unit = if streams { panel.workload.size as f64 / 1e6 } else { 1e-3 };
        let scaled = |spread: Option<Spread>, by: f64| {
            let scale = |Spread { median, min, max }| Spread {
                median: median * by,
                min: min * by,
                max: max * by,
            };
            self::spread(spread.map(scale))
        };
        let [cpu, cpus] = spread(of(row, |sample| sample.cpu));
        let [rate, rates] = scaled(of(row, |sample| sample.rate), unit);
        let [load, loads] = scaled(of(row, |sample| sample.busy), 100.0);
        let users = row.samples.iter().flatten().filter_map(|sample| sample.user);
        let user = Spread::of(users).map_or_else(|| "-".into(), |user| short(user.median * 100.0));
        let switches = of(row, |sample| sample.switches).map_or(0.0, |spread| spread.median);
        let to = |base| ratio(cpu_ratio(panel, row.server, base).map(|ratio| ratio.median));
        let (limit, tokio) = (to(Server::LimitUring), to(Server::Tokio));
        let name = row.server.name().into();
        let switches = short(switches);
        table.row([name, cpu, cpus, limit, tokio, rate, rates, load, loads, user, switches]);
    }
    table.text()
}

/// In microseconds.
pub(crate) fn latencies(panel: &Panel) -> String {
    let titles = ["µs", "p50", "min-max", "p99", "min-max", "p99.9", "min-max"];
    let mut table = Table::new(titles);
    for row in &panel.rows {
        if row.samples.is_err() {
            continue;
        }
        let quantiles: [Figure; 3] =
            [|sample| sample.p50, |sample| sample.p99, |sample| sample.p999];
        let cells = quantiles.into_iter().flat_map(|quantile| spread(of(row, quantile)));
        table.row([row.server.name().into()].into_iter().chain(cells));
    }
    table.text()
}

/// One figure of all workloads: the CPU, and its ratio to the best loop that is known and to tokio.
pub(crate) fn summary(panels: &[Panel]) -> String {
    let names = || panels.iter().map(|panel| panel.workload.name);
    let servers: Vec<Server> = panels
        .first()
        .map_or(Vec::new(), |panel| panel.rows.iter().map(|row| row.server).collect());
    let matrix = |title: &str, cell: &dyn Fn(&Panel, Server) -> Option<String>| {
        let mut table = Table::new(["server"].into_iter().chain(names()));
        for &server in &servers {
            let cells =
                panels.iter().map(|panel| cell(panel, server).unwrap_or_else(|| "-".into()));
            table.row([server.name().into()].into_iter().chain(cells));
        }
        format!("{title}\n{}\n", table.text())
    };
    let to = |base| {
        move |panel: &Panel, server| Some(ratio(Some(cpu_ratio(panel, server, base)?.median)))
    };
    let cpu = |panel: &Panel, server| {
        let spread = Spread::of(panel.samples(server).iter().map(|sample| sample.cpu));
        Some(short(spread?.median))
    };
    let rate = |panel: &Panel, server| {
        let unit = if panel.workload.streams() { panel.workload.size as f64 / 1e6 } else { 1e-3 };
        let spread = Spread::of(panel.samples(server).iter().map(|sample| sample.rate * unit));
        Some(short(spread?.median))
    };
    let mut text = matrix("Server CPU, ns a request", &cpu);
    text += &matrix("Server CPU, ratio to limit-uring (pairwise, median)", &to(Server::LimitUring));
    text += &matrix("Server CPU, ratio to tokio (pairwise, median)", &to(Server::Tokio));
    text += &matrix("Thousand requests a second; streams: MB/s", &rate);
    text
}

/// CPU per request of `server` to that of `base`, round by round.
pub(crate) fn cpu_ratio(panel: &Panel, server: Server, base: Server) -> Option<Spread> {
    let cpu = |server| panel.samples(server).iter().map(|sample| sample.cpu);
    Spread::of_ratios(cpu(server), cpu(base))
}

/// One figure of all rounds.
fn of(row: &Row, figure: Figure) -> Option<Spread> {
    Spread::of(row.samples.iter().flatten().map(figure))
}
