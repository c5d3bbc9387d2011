//! The options.

use std::path::PathBuf;
use std::time::Duration;

use crate::plan::{Server, Workload};

pub(crate) const HELP: &str = "\
usage: cargo run --release -- [options]
  Measures echo servers side by side: CPU per request, throughput, latency, syscalls, idle memory.

  --quick            a few workloads in short rounds: two or three minutes
  --servers LIST     only these, such as limit-uring,ringloop,tokio
  --workloads LIST   only these, such as 64Bx50,churn
  --rounds N         rounds of each workload, in which all servers take turns (3)
  --seconds S        measured seconds of a server in each round (1)
  --only-load        skip syscalls, idle memory and the fixed rate
  --json FILE        also write all figures to this file
  --chart FILE       also draw CPU per request to this file, as SVG
  --list             name the servers and the workloads, and end
  --help             this";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) servers: Vec<Server>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    pub(crate) quick: bool,
    pub(crate) only_load: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) chart: Option<PathBuf>,
}

/// What the arguments ask for.
#[derive(Debug)]
pub(crate) enum Wish {
    Measure(Options),
    List,
    Help,
}

/// The workloads of `--quick`.
const QUICK: [&str; 4] = ["64Bx1", "64Bx50", "64Kx8x4", "churn"];

impl Wish {
    /// # Errors
    ///
    /// A sentence that names the argument.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut servers = Server::ALL.to_vec();
        let (mut workloads, mut seconds) = (None, None);
        let (mut rounds, mut quick, mut only_load) = (3, false, false);
        let (mut json, mut chart) = (None, None);
        while let Some(name) = args.next() {
            let name = name.as_str();
            let mut value = |wanted: &str| {
                args.next().ok_or_else(|| format!("{name} needs {wanted}; --help shows how"))
            };
            match name {
                "-h" | "--help" => return Ok(Self::Help),
                "--list" => return Ok(Self::List),
                "--quick" => quick = true,
                "--only-load" => only_load = true,
                "--servers" => servers = list(name, &value("names")?, Server::from_name)?,
                "--workloads" => {
                    workloads = Some(list(name, &value("names")?, Workload::from_name)?);
                }
                "--rounds" => {
                    rounds = number(name, &value("a number")?, 1.0..=1000.0)? as usize;
                }
                "--seconds" => {
                    seconds = Some(number(name, &value("a number")?, 0.05..=3600.0)?);
                }
                "--json" => json = Some(value("a file")?.into()),
                "--chart" => chart = Some(value("a file")?.into()),
                _ => return Err(format!("there is no option {name}; --help lists them")),
            }
        }
        let all = || {
            let chosen = |workload: &Workload| !quick || QUICK.contains(&workload.name);
            Workload::ALL.into_iter().filter(chosen).collect()
        };
        let window = seconds.unwrap_or(if quick { 0.3 } else { 1.0 });
        Ok(Self::Measure(Options {
            servers,
            workloads: workloads.unwrap_or_else(all),
            rounds,
            warm_up: Duration::from_millis(if quick { 100 } else { 300 }),
            window: Duration::from_secs_f64(window),
            quick,
            only_load,
            json,
            chart,
        }))
    }
}

/// Comma-separated names; doubles are dropped.
fn list<T: PartialEq>(
    option: &str,
    text: &str,
    from_name: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, String> {
    let mut list = Vec::new();
    for name in text.split(',').map(str::trim) {
        let item = from_name(name)
            .ok_or_else(|| format!("{option} knows no {name:?}; --list names what there is"))?;
        if !list.contains(&item) {
            list.push(item);
        }
    }
    Ok(list)
}

fn number(option: &str, text: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    let (from, to) = range.into_inner();
    number.ok_or_else(|| format!("{option} needs a number from {from} to {to}, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Wish, String> {
        Wish::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn quick_chooses_workloads_that_exist_unless_they_were_named() {
        let Ok(Wish::Measure(options)) = parse("--quick") else { panic!("it asks for figures") };
        assert_eq!(options.workloads.len(), QUICK.len());
        let Ok(Wish::Measure(options)) = parse("--workloads 1Kx50 --quick --seconds 2") else {
            panic!("it asks for figures")
        };
        assert_eq!(options.workloads.iter().map(|w| w.name).collect::<Vec<_>>(), ["1Kx50"]);
        assert_eq!(options.window, Duration::from_secs(2));
    }

    #[test]
    fn a_bad_option_gets_one_sentence_that_names_it() {
        for line in [
            "--servers",
            "--servers tokyo",
            "--workloads 64Bx1,,churn",
            "--rounds 0",
            "--rounds many",
            "--seconds NaN",
            "--seconds -1",
            "--slow",
        ] {
            let sentence = parse(line).unwrap_err();
            assert!(sentence.contains(line.split(' ').next().unwrap()), "{line}: {sentence}");
            assert!(!sentence.contains('\n'), "{sentence}");
        }
    }
}
