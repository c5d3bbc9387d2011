//! UDP echo servers side by side: ringloop, tokio, and a hand-written io_uring loop without tasks.
//!
//! ```text
//! cd benches/versus
//! cargo run --release --example udp                       # about a minute
//! cargo run --release --example udp -- 9 2                # nine rounds of two seconds
//! ```
//!
//! A server is a process of its own on the first CPU; the load generator spins on the second and keeps 50
//! datagrams under way. Shown is the server's CPU time a datagram, as a median over rounds in which all
//! servers have their turn, and its ratio to the hand-written loop's, taken within a round.
//!
//! `1200 B, segments`: the client sends 50 datagrams of 1200 bytes by one call (`UDP_SEGMENT`), a server
//! that can gets them as one (`UDP_GRO`), and sends them back as one. tokio offers neither.

mod limit;
mod load;
mod servers;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, io};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Datagrams under way.
const WINDOW: usize = 50;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Workload {
    name: &'static str,
    len: usize,
    segments: bool,
}

const WORKLOADS: [Workload; 2] = [
    Workload { name: "64 B", len: 64, segments: false },
    Workload { name: "1200 B, segments", len: 1200, segments: true },
];

/// A server of this program, in a process of its own. Dropping it ends the process.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(name: &str) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["serve", name]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line)?;
        match line.trim().parse() {
            Ok(port) => Ok(Self { process, port }),
            Err(_) => Err(io::Error::other(format!("{name} does not run here"))),
        }
    }

    /// Nanoseconds that it was on its CPU.
    fn spent(&self) -> io::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/schedstat", self.process.id()))?;
        let first = text.split(' ').next().and_then(|word| word.parse().ok());
        first.ok_or_else(|| io::Error::other("schedstat begins with nanoseconds on the CPU"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// CPU nanoseconds a datagram.
fn measure(name: &str, workload: Workload, window: Duration) -> io::Result<f64> {
    let server = Server::start(name)?;
    let mut load = load::Load::new(server.port, workload)?;
    load.run(window / 4)?;
    let before = server.spent()?;
    let answers = load.run(window)?;
    Ok((server.spent()? - before) as f64 / answers as f64)
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [serve, name] = &words[..]
        && serve == "serve"
    {
        pin(0)?;
        return servers::serve(name);
    }
    let number = |at: usize, default| words.get(at).map_or(Ok(default), |word| word.parse());
    let (Ok(rounds), Ok(seconds)) = (number(0, 5), number(1, 1)) else {
        return Err(io::Error::other("say how many rounds, and of how many seconds"));
    };
    pin(1)?;
    for workload in WORKLOADS {
        let names =
            servers::NAMES.into_iter().filter(|name| !workload.segments || *name != "tokio");
        let names: Vec<&str> = names.collect();
        let mut figures = vec![Vec::new(); names.len()];
        for round in 0..rounds {
            for turn in 0..names.len() {
                let which = (turn + round as usize) % names.len();
                let window = Duration::from_secs(seconds);
                figures[which].push(measure(names[which], workload, window)?);
            }
        }
        println!("\n{}: CPU ns a datagram, and its ratio to {}", workload.name, names[0]);
        for (name, row) in names.iter().zip(&figures) {
            let ratios: Vec<f64> = row.iter().zip(&figures[0]).map(|(a, b)| a / b).collect();
            println!("  {name:<18} {:>8.0}   {:.3}", median(row), median(&ratios));
        }
    }
    Ok(())
}
