//! All figures as JSON, every round of them.

use crate::extras::{FixedRate, Outcome, Syscalls};
use crate::idle::Idle;
use crate::measure::{Panel, Sample};
use crate::plan::Server;
use crate::quoted::quoted;
use crate::report::cpu_ratio;

/// The whole report. What was skipped is null.
pub(crate) fn document(
    machine: &str,
    panels: &[Panel],
    syscalls: Option<&Syscalls>,
    idle: &[(Server, Outcome<Idle>)],
    fixed_rate: Option<&FixedRate>,
) -> String {
    let null = || "null".to_owned();
    let fixed_rate = fixed_rate.map_or_else(null, |FixedRate { rate, panel: rows }| {
        format!("{{\"requests_per_second\": {}, \"panel\": {}}}", number(*rate), panel(rows))
    });
    object(&[
        ("machine", quoted(machine)),
        ("workloads", array(panels.iter().map(panel))),
        ("syscalls_per_request", syscalls.map_or_else(null, self::syscalls)),
        ("idle", array(idle.iter().map(idle_row))),
        ("fixed_rate", fixed_rate),
    ]) + "\n"
}

fn panel(panel: &Panel) -> String {
    let rows = panel.rows.iter().map(|row| {
        let ratio = |base| {
            let ratio = cpu_ratio(panel, row.server, base);
            ratio.map_or_else(|| "null".into(), |ratio| number(ratio.median))
        };
        let (rounds, error) = match &row.samples {
            Ok(samples) => (array(samples.iter().map(sample)), "null".into()),
            Err(sentence) => ("[]".into(), quoted(sentence)),
        };
        object(&[
            ("server", quoted(row.server.name())),
            ("cpu_to_limit_uring", ratio(Server::LimitUring)),
            ("cpu_to_tokio", ratio(Server::Tokio)),
            ("error", error),
            ("rounds", rounds),
        ])
    });
    object(&[
        ("workload", quoted(panel.workload.name)),
        ("bytes", panel.workload.size.to_string()),
        ("connections", panel.workload.connections.to_string()),
        ("in_flight", panel.workload.in_flight.to_string()),
        ("servers", array(rows)),
    ])
}

fn sample(sample: &Sample) -> String {
    object(&[
        ("cpu_ns_per_request", number(sample.cpu)),
        ("requests_per_second", number(sample.rate)),
        ("p50_us", number(sample.p50)),
        ("p99_us", number(sample.p99)),
        ("p99_9_us", number(sample.p999)),
        ("load_busy_share", number(sample.busy)),
        ("user_share", sample.user.map_or_else(|| "null".into(), number)),
        ("switches_per_request", number(sample.switches)),
        ("disturbed_share", number(sample.disturbed)),
    ])
}

fn syscalls(syscalls: &Syscalls) -> String {
    array(syscalls.rows.iter().map(|(server, figures)| {
        let mut members = vec![("server", quoted(server.name()))];
        for (workload, figure) in syscalls.workloads.iter().zip(figures) {
            let figure = match figure {
                Ok(calls) => number(*calls),
                Err(sentence) => quoted(sentence),
            };
            members.push((workload.name, figure));
        }
        object(&members)
    }))
}

fn idle_row((server, outcome): &(Server, Outcome<Idle>)) -> String {
    let server = ("server", quoted(server.name()));
    match outcome {
        Err(sentence) => object(&[server, ("error", quoted(sentence))]),
        Ok(Idle { connections, bytes, cpu }) => object(&[
            server,
            ("connections", connections.to_string()),
            ("bytes_per_connection", number(*bytes)),
            ("cpu_us_per_second", number(*cpu)),
        ]),
    }
}

fn object(members: &[(&str, String)]) -> String {
    let members = members.iter().map(|(name, value)| format!("{}: {value}", quoted(name)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
}

/// One item a line.
fn array(items: impl Iterator<Item = String>) -> String {
    format!("[\n{}]", items.collect::<Vec<_>>().join(",\n"))
}

/// JSON knows no infinity, and no "not a number".
fn number(number: f64) -> String {
    if number.is_finite() { format!("{number:.6}") } else { "null".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_line_ends_stay_inside_their_string() {
        assert_eq!(quoted("a \"b\"\n\\"), "\"a \\\"b\\\"\\u000a\\\\\"");
        assert_eq!(
            object(&[("a", number(f64::NAN)), ("b", array([].into_iter()))]),
            "{\"a\": null, \"b\": [\n]}"
        );
    }
}
