//! System calls a request, as strace counts them.
//!
//! Two runs of different length are counted; their difference leaves out what starting, connecting
//! and ending cost. strace slows every call down, so a server finds more to do in each turn than it
//! would alone: above one connection the figure of a server that batches is a lower bound.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::child::Child;
use crate::load::{self, Pace};
use crate::meter::Until;
use crate::plan::{Server, Workload};

/// The workloads that are worth counting.
pub(crate) const WORKLOADS: [&str; 3] = ["64Bx1", "64Bx50", "churn"];

/// Requests of the short run and of the long one.
const LENGTHS: [u64; 2] = [1000, 6000];

/// Whether strace can be started.
pub(crate) fn can_count() -> bool {
    let mut strace = Command::new("strace");
    strace.arg("-V").stdout(Stdio::null()).stderr(Stdio::null());
    strace.status().is_ok_and(|status| status.success())
}

pub(crate) fn per_request(server: Server, workload: Workload, cpu: usize) -> io::Result<f64> {
    let short = counted(server, workload, cpu, LENGTHS[0])?;
    let long = counted(server, workload, cpu, LENGTHS[1])?;
    Ok((long.calls as f64 - short.calls as f64) / (long.requests - short.requests) as f64)
}

struct Counted {
    requests: u64,
    calls: u64,
}

fn counted(server: Server, workload: Workload, cpu: usize, length: u64) -> io::Result<Counted> {
    let file = File(env::temp_dir().join(format!("versus-{}.strace", std::process::id())));
    let child = Child::start_traced(server, workload, cpu, &file.0)?;
    let (requests, _) = load::run(child.target, workload, Pace::Closed, Until::Requests(length))
        .map_err(|error| io::Error::new(error.kind(), format!("under strace: {error}")))?;
    child.end()?;
    let table = fs::read_to_string(&file.0)?;
    Ok(Counted { requests, calls: sum(&table) })
}

/// A file that goes when its reader does.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The calls of strace's table: share, seconds, microseconds a call, **calls**, errors if any, name.
fn sum(table: &str) -> u64 {
    let calls = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = fields.last()?;
        fields.first()?.parse::<f64>().ok()?;
        if *name == "total" { None } else { fields.get(3)?.parse::<u64>().ok() }
    };
    table.lines().filter_map(calls).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_not_counted_twice() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 74.37    0.041000           4      9012           io_uring_enter
 25.63    0.014129           3      4000        12 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.055129           4     13012        12 total
";
        assert_eq!(sum(table), 13_012);
    }
}
