//! ringloop beside other runtimes, and beside hand-written loops, in one run.
//!
//! ```text
//!   args ─► for each workload, round, server:  server (child, first CPU) ◄── load (second CPU)
//!                                                   └── clock, /proc ─► meter ─► report
//! ```

mod account;
mod args;
mod chart;
mod child;
mod churn;
mod extras;
#[path = "../../../examples/echo_bench/histogram.rs"]
mod histogram;
mod idle;
mod json;
mod load;
#[path = "../../../examples/echo_bench/machine.rs"]
mod machine;
mod measure;
mod meter;
mod micro;
#[path = "../../../examples/echo_bench/pattern.rs"]
mod pattern;
mod plan;
#[path = "../../../examples/echo_bench/quoted.rs"]
mod quoted;
mod report;
mod servers;
mod statistics;
mod syscalls;
mod table;

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use args::{Options, Wish};
use extras::{FixedRate, Outcome, Syscalls};
use load::Pace;
use machine::Cpus;
use plan::{Server, Workload};

fn main() -> ExitCode {
    let mut args = env::args().skip(1).peekable();
    if args.next_if(|arg| arg == child::HIDDEN).is_some() {
        return child::main(args);
    }
    if args.next_if(|arg| arg == micro::HIDDEN).is_some() {
        return micro::child_main(args);
    }
    if args.next_if(|arg| arg == micro::NAME).is_some() {
        return end(micro::run(args, &mut io::stdout()));
    }
    match Wish::parse(args) {
        Err(sentence) => fail(&sentence),
        Ok(wish) => end(fulfil(&wish, &mut io::stdout())),
    }
}

/// `done`, false: a run has broken off.
fn end(done: io::Result<bool>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => fail("not every run came to its end; its row says why"),
        // Who reads has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(sentence: &str) -> ExitCode {
    eprintln!("versus: {sentence}");
    ExitCode::FAILURE
}

/// False: a run has broken off.
fn fulfil(wish: &Wish, out: &mut dyn Write) -> io::Result<bool> {
    match wish {
        Wish::Help => writeln!(out, "{}", args::HELP)?,
        Wish::List => {
            writeln!(out, "servers:")?;
            for server in Server::ALL {
                writeln!(out, "  {server}")?;
            }
            writeln!(out, "workloads:")?;
            for workload in Workload::ALL {
                writeln!(out, "  {:<10}  {workload}", workload.name)?;
            }
        }
        Wish::Measure(options) => return run(options, out),
    }
    Ok(true)
}

/// Measures, and prints each table as soon as it stands. False: a run has broken off.
fn run(options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    // Before anything is measured: a file that cannot be written would be found out too late.
    let create = |path: &Option<PathBuf>| match path {
        None => Ok(None),
        Some(path) => File::create(path).map(Some).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
        }),
    };
    let (json, chart) = (create(&options.json)?, create(&options.chart)?);
    let cpus = Cpus::choose();
    let files = machine::raise_open_files();
    child::pin(cpus.load)?;
    let machine = machine::describe();
    writeln!(out, "{machine}; servers on CPU {}, load on CPU {}", cpus.server, cpus.load)?;
    if cpus.shared() {
        writeln!(out, "note: one CPU for both sides: only CPU per request means anything")?;
    }
    writeln!(out)?;

    let mut panels = Vec::new();
    for &workload in &options.workloads {
        let panel = measure::panel(options, cpus.server, workload, Pace::Closed);
        writeln!(out, "{}", report::panel(&panel))?;
        panels.push(panel);
    }
    let (mut syscalls, mut idle, mut fixed_rate) = (None, Vec::new(), None);
    if !options.only_load {
        fixed_rate = told(out, FixedRate::measure(options, cpus.server, &panels), FixedRate::text)?;
        syscalls = told(out, Syscalls::count(options, cpus.server), Syscalls::text)?;
        idle = extras::idle(options, cpus.server, files);
        writeln!(out, "{}", extras::idle_text(&idle))?;
    }
    write!(out, "{}", report::summary(&panels))?;

    if let Some(mut file) = json {
        let (syscalls, fixed_rate) = (syscalls.as_ref(), fixed_rate.as_ref());
        let document = json::document(&machine, &panels, syscalls, &idle, fixed_rate);
        file.write_all(document.as_bytes())?;
    }
    if let Some(mut file) = chart {
        let svg = chart::svg(&panels, &machine);
        let svg = svg.ok_or_else(|| io::Error::other("no chart: limit-uring has no figures"))?;
        file.write_all(svg.as_bytes())?;
    }
    panels.extend(fixed_rate.map(|fixed_rate| fixed_rate.panel));
    Ok(!panels.iter().flat_map(|panel| &panel.rows).any(|row| row.broke))
}

/// Prints an outcome, or why there is none.
fn told<T>(
    out: &mut dyn Write,
    outcome: Outcome<T>,
    text: impl Fn(&T) -> String,
) -> io::Result<Option<T>> {
    match outcome {
        Ok(outcome) => {
            writeln!(out, "{}", text(&outcome))?;
            Ok(Some(outcome))
        }
        Err(sentence) => {
            writeln!(out, "NOTE: {sentence}\n")?;
            Ok(None)
        }
    }
}
