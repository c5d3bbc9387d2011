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
#[path = "../../../examples/echo_bench/pattern.rs"]
mod pattern;
mod plan;
mod report;
mod servers;
mod statistics;
mod syscalls;
mod table;

use std::env;
use std::fs::File;
use std::io::{self, Write as _};
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
    match Wish::parse(args) {
        Ok(Wish::Help) => println!("{}", args::HELP),
        Ok(Wish::List) => list(),
        Ok(Wish::Measure(options)) => match run(&options) {
            Ok(true) => {}
            Ok(false) => return fail("not every run came to its end; its row says why"),
            Err(error) => return fail(&error.to_string()),
        },
        Err(sentence) => return fail(&sentence),
    }
    ExitCode::SUCCESS
}

fn fail(sentence: &str) -> ExitCode {
    eprintln!("versus: {sentence}");
    ExitCode::FAILURE
}

fn list() {
    println!("servers:");
    Server::ALL.iter().for_each(|server| println!("  {server}"));
    println!("workloads:");
    Workload::ALL.iter().for_each(|workload| println!("  {:<10}  {workload}", workload.name));
}

/// Measures, and prints each table as soon as it stands. False: a run has broken off.
fn run(options: &Options) -> io::Result<bool> {
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
    println!("{machine}; servers on CPU {}, load on CPU {}", cpus.server, cpus.load);
    if cpus.shared() {
        println!("note: one CPU for both sides: only CPU per request means anything");
    }
    println!();

    let mut panels = Vec::new();
    for &workload in &options.workloads {
        let panel = measure::panel(options, cpus.server, workload, Pace::Closed);
        println!("{}", report::panel(&panel));
        panels.push(panel);
    }
    let (mut syscalls, mut idle, mut fixed_rate) = (None, Vec::new(), None);
    if !options.only_load {
        fixed_rate = told(FixedRate::measure(options, cpus.server, &panels), FixedRate::text);
        syscalls = told(Syscalls::count(options, cpus.server), Syscalls::text);
        idle = extras::idle(options, cpus.server, files);
        println!("{}", extras::idle_text(&idle));
    }
    print!("{}", report::summary(&panels));

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
    Ok(!panels.iter().flat_map(|panel| &panel.rows).any(|row| row.broke))
}

/// Prints an outcome, or why there is none.
fn told<T>(outcome: Outcome<T>, text: impl Fn(&T) -> String) -> Option<T> {
    match outcome {
        Ok(outcome) => {
            println!("{}", text(&outcome));
            Some(outcome)
        }
        Err(sentence) => {
            println!("NOTE: {sentence}\n");
            None
        }
    }
}
