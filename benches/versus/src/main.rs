//! ringloop beside other runtimes, and beside hand-written loops, in one run.
//!
//! ```text
//!   args ─► for each workload, round, server:  server (child, first CPU) ◄── load (second CPU)
//!                                                   └── clock, /proc ─► meter ─► report
//! ```

mod account;
mod args;
mod child;
mod churn;
#[path = "../../../examples/echo_bench/histogram.rs"]
mod histogram;
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
mod table;

use std::env;
use std::io;
use std::process::ExitCode;

use args::{Options, Wish};
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
        Ok(Wish::Measure(options)) => {
            if let Err(error) = run(&options) {
                return fail(&error.to_string());
            }
        }
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

fn run(options: &Options) -> io::Result<()> {
    let cpus = Cpus::choose();
    let _files = machine::raise_open_files();
    child::pin(cpus.load)?;
    println!("{}; servers on CPU {}, load on CPU {}", machine::describe(), cpus.server, cpus.load);
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
    print!("{}", report::summary(&panels));
    Ok(())
}
