//! A bench on an executor, in a process of its own: no runtime finds what another has left.

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{self, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use super::{Bench, Executor};
use crate::child::{pin, report_panics, say_failed};
use crate::machine::Cpus;

/// The first argument that makes this program measure one bench on one executor.
pub(crate) const HIDDEN: &str = "micro-bench";

/// How long a bench may take beyond its time before it counts as hung.
const HANGS: Duration = Duration::from_secs(20);

/// What a bench needs to know.
pub(super) struct Job {
    pub(super) time: Duration,
    pub(super) cpus: Cpus,
    /// The file to read; see [`Pages`](super::files::Pages).
    pub(super) pages: PathBuf,
}

/// Measures in a child, and waits for it.
///
/// # Errors
///
/// The child's own sentence.
pub(super) fn start(bench: Bench, executor: Executor, job: &Job) -> io::Result<Vec<f64>> {
    let numbers = [job.time.as_millis() as usize, job.cpus.server, job.cpus.load];
    let output = Command::new(env::current_exe()?)
        .args([HIDDEN, bench.name(), executor.name()])
        .args(numbers.map(|number| number.to_string()))
        .arg(&job.pages)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    understand(&String::from_utf8_lossy(&output.stdout), bench.figures().len()).map_err(|error| {
        match error {
            Some(sentence) => io::Error::other(sentence),
            None => io::Error::other(format!("it broke off with {}", output.status)),
        }
    })
}

/// The figures in what a child has said, or its sentence, if it has said one.
fn understand(said: &str, figures: usize) -> Result<Vec<f64>, Option<String>> {
    if let Some(sentence) = said.lines().find_map(|line| line.strip_prefix("failed ")) {
        return Err(Some(sentence.into()));
    }
    let line = said.lines().find_map(|line| line.strip_prefix("figures ")).ok_or(None)?;
    let values: Result<Vec<f64>, _> = line.split_whitespace().map(str::parse).collect();
    values.ok().filter(|values| values.len() == figures).ok_or(None)
}

/// The child's whole life; `args` are those after [`HIDDEN`].
pub(crate) fn main(args: impl Iterator<Item = String>) -> ExitCode {
    report_panics();
    match measure(args) {
        Ok(values) => {
            let values: Vec<String> = values.iter().map(f64::to_string).collect();
            let _ = writeln!(io::stdout(), "figures {}", values.join(" "));
            // At once: a runtime's threads are of no interest any more.
            process::exit(0)
        }
        Err(error) => {
            say_failed(&error);
            ExitCode::FAILURE
        }
    }
}

fn measure(mut args: impl Iterator<Item = String>) -> io::Result<Vec<f64>> {
    let usage = || io::Error::other("its arguments are BENCH RUNTIME MILLISECONDS CPU CPU FILE");
    let bench = args.next().and_then(|arg| Bench::from_name(&arg)).ok_or_else(usage)?;
    let executor = args.next().and_then(|arg| Executor::from_name(&arg)).ok_or_else(usage)?;
    let mut number = || args.next().and_then(|arg| arg.parse::<usize>().ok()).ok_or_else(usage);
    let time = Duration::from_millis(number()? as u64);
    let cpus = Cpus { server: number()?, load: number()? };
    let job = Job { time, cpus, pages: args.next().ok_or_else(usage)?.into() };
    thread::spawn(move || {
        thread::sleep(time + HANGS);
        say_failed(&"it did not come to its end");
        process::exit(1)
    });
    // What a runtime makes inherits this.
    pin(cpus.server)?;
    executor.measure(bench, &job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_breaks_off_in_the_middle_gives_no_figures() {
        assert_eq!(understand("figures 1.5 2\n", 2), Ok(vec![1.5, 2.0]));
        assert_eq!(understand("failed no luck\n", 1), Err(Some("no luck".into())));
        for said in ["", "figures 1.5\n", "figures 1.5 x\n", "1 2"] {
            assert_eq!(understand(said, 2), Err(None), "{said:?}");
        }
    }
}
