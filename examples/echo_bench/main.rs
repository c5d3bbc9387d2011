//! Measures ringloop's echo server: throughput, server CPU, syscalls, latency and idle memory.
//!
//! ```text
//! cargo run --release --example echo_bench                        (under two minutes)
//! cargo run --release --example echo_bench -- --connections 50 --size 64,16K --json echo.json
//! ```
//!
//! The server is a child process on one CPU; the load generator, plain sockets of std, is on another.
//! Each cell is measured in short rounds, the servers taking turns, so that whatever else the
//! machine does meets all of them; what is shown are medians. Compare figures within one run only.
//!
//! ```text
//!   args ─► cells × kinds ─► for each round: server (child) ◄── load (pattern, histogram)
//!                                               └── counters, CPU, memory ─► report
//! ```

mod args;
mod histogram;
mod idle;
mod interrupt;
mod load;
mod machine;
mod pattern;
mod progress;
mod quoted;
mod report;
mod server;

use std::env;
use std::fs::File;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use args::{Cell, Kind, Options};
use interrupt::Interrupt;
use load::Round;
use machine::Cpus;
use progress::Progress;
use report::{Idle, Report, Row};
use server::Server;

/// The share of time above which waiting for the CPU is worth a word.
const DISTURBED: f64 = 0.05;
/// Descriptors that a side needs beside its connections.
const SPARE_FILES: usize = 64;

fn main() -> ExitCode {
    let mut args = env::args().skip(1).peekable();
    if args.next_if(|arg| arg == server::HIDDEN).is_some() {
        return server::main(args);
    }
    let options = match Options::parse(args) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(sentence) => return fail(&sentence),
    };
    match run(options) {
        Ok(report) if report.incomplete => ExitCode::from(130), // as a shell tells of Ctrl-C
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(sentence: &str) -> ExitCode {
    eprintln!("echo_bench: {sentence}");
    ExitCode::FAILURE
}

/// Finds out what can be measured, measures it, and writes the figures down.
fn run(mut options: Options) -> io::Result<Report> {
    let interrupt = Interrupt::new()?;
    let mut json = match &options.json {
        Some(path) => Some(File::create(path).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
        })?),
        None => None,
    };
    let cpus = Cpus::choose();
    let files = machine::raise_open_files();
    let mut report = Report { notes: notes(cpus, &options), ..Report::default() };
    drop_unavailable(&mut options, cpus, &mut report)?;
    let idle = fit(&mut options, files, &mut report)?;
    for note in &report.notes {
        println!("{note}");
    }

    let mut runtime = ringloop::Builder::new().cpu(cpus.load).build()?;
    let outcome = runtime.block_on(measure(&options, cpus, idle, &interrupt, &mut report));
    report.incomplete = outcome.is_err() || interrupt.seen();
    if interrupt.seen() {
        println!("interrupted: this is what there is");
    }
    if let Some(note) = disturbed(cpus, &report.rows) {
        println!("{note}");
        report.notes.push(note);
    }
    if let Some(json) = &mut json {
        json.write_all(report.json().as_bytes())?;
    }
    outcome.map(|()| report)
}

/// All cells, then the idle memory. Rows are printed as they are known.
async fn measure(
    options: &Options,
    cpus: Cpus,
    idle: usize,
    interrupt: &Interrupt,
    report: &mut Report,
) -> io::Result<()> {
    let Options { cells, kinds, rounds, window, .. } = options;
    let steps = cells.len() * kinds.len() * rounds + kinds.len();
    let mut progress = Progress::new(steps, load::WARM_UP + *window + Duration::from_millis(50));
    println!("\n{}", report::header());
    for &cell in cells {
        let rounds = measure_cell(options, cell, cpus, interrupt, &mut progress).await?;
        progress.wipe();
        let rows =
            kinds.iter().zip(&rounds).filter_map(|(&kind, rounds)| Row::new(cell, kind, rounds));
        for (i, row) in rows.enumerate() {
            println!("{}", row.line(i == 0));
            report.rows.push(row);
        }
        if interrupt.seen() {
            return Ok(());
        }
    }
    println!();
    for &kind in kinds {
        progress.say(&format!("{idle} idle connections on {kind}"));
        let server = Server::start(kind, cpus.server)?;
        let bytes = idle::bytes_per_connection(&server, idle, interrupt).await;
        progress.wipe();
        progress.step();
        match bytes.map_err(|error| during(&format!("idle connections on {kind}"), &error))? {
            Some(bytes) => {
                let idle = Idle { kind, connections: idle, bytes };
                println!("{}", idle.line());
                report.idle.push(idle);
            }
            None if interrupt.seen() => return Ok(()),
            None => println!("{kind}: this kernel does not tell what memory a process has written"),
        }
    }
    Ok(())
}

/// The rounds of a cell, a list for each server; fewer when interrupted. The servers take turns.
async fn measure_cell(
    options: &Options,
    cell: Cell,
    cpus: Cpus,
    interrupt: &Interrupt,
    progress: &mut Progress,
) -> io::Result<Vec<Vec<Round>>> {
    let kinds = &options.kinds;
    let mut rounds: Vec<_> = kinds.iter().map(|_| Vec::new()).collect();
    for turn in 0..options.rounds * kinds.len() {
        let which = turn % kinds.len();
        let what = format!("{cell} on {}", kinds[which]);
        progress.say(&what);
        let server = Server::start(kinds[which], cpus.server)?;
        let round = load::round(&server, cell, options.window, !cpus.shared(), interrupt).await;
        rounds[which].extend(round.map_err(|error| during(&what, &error))?);
        progress.step();
        if interrupt.seen() {
            break;
        }
    }
    Ok(rounds)
}

fn during(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// What a reader must know.
fn notes(cpus: Cpus, options: &Options) -> Vec<String> {
    let mut notes =
        vec![format!("ringloop {} on {}", env!("CARGO_PKG_VERSION"), machine::describe())];
    if cpus.shared() {
        notes.push(format!(
            "The server and the load generator share CPU {}, the only one:",
            cpus.server
        ));
        notes.push("requests/s and latencies contain the work of both, CPU and syscalls only the server's.".into());
    } else {
        let Cpus { server, load } = cpus;
        notes.push(format!(
            "The server runs on CPU {server}, the load generator spins on CPU {load}."
        ));
    }
    notes.push(format!(
        "Every byte is checked. Medians of {} × {:.1} s, the servers taking turns.",
        options.rounds,
        options.window.as_secs_f64()
    ));
    if cfg!(debug_assertions) {
        notes.push("This is a debug build: the figures say little. Add --release.".into());
    }
    notes
}

/// Whether something else kept the server from its CPU: then the figures say little.
fn disturbed(cpus: Cpus, rows: &[Row]) -> Option<String> {
    let waited = rows.iter().filter_map(|row| row.wait_share).fold(0.0, f64::max);
    (waited > DISTURBED && !cpus.shared()).then(|| {
        let percent = waited * 100.0;
        format!("Other processes took the server's CPU for up to {percent:.0} % of the time: measure again.")
    })
}

/// Starts each backend once: what cannot work here is left out, with its reason.
fn drop_unavailable(options: &mut Options, cpus: Cpus, report: &mut Report) -> io::Result<()> {
    let mut asked: Vec<Kind> = Vec::new();
    for kind in std::mem::take(&mut options.kinds) {
        if let Some(same) = asked.iter().find(|same| same.backend == kind.backend) {
            if options.kinds.contains(same) {
                options.kinds.push(kind);
            }
            continue;
        }
        asked.push(kind);
        match Server::start(kind, cpus.server) {
            Ok(server) => {
                report.notes.push(server.backend.clone());
                options.kinds.push(kind);
            }
            Err(error) => report.notes.push(format!("Without {}: {error}", kind.backend)),
        }
    }
    match options.kinds.is_empty() {
        true => Err(io::Error::other(report.notes.pop().unwrap_or_default())),
        false => Ok(()),
    }
}

/// Leaves out cells that need more open files than allowed; returns how many idle connections fit.
fn fit(options: &mut Options, files: usize, report: &mut Report) -> io::Result<usize> {
    let most = files.saturating_sub(SPARE_FILES);
    if options.cells.iter().any(|cell| cell.connections > most) {
        let note = format!("The limit of {files} open files (ulimit -n) allows {most} connections");
        options.cells.retain(|cell| cell.connections <= most);
        if options.cells.is_empty() {
            return Err(io::Error::other(note));
        }
        report.notes.push(format!("{note}: cells with more are left out."));
    }
    Ok(idle::CONNECTIONS.min(most))
}
