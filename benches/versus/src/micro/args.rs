//! The options of `micro`.

use std::time::Duration;

use super::{Bench, Executor};
use crate::args::{list, number};

pub(super) const HELP: &str = "\
usage: cargo run --release -- micro [options]
  Measures what executors cost by themselves: tasks, wakes, synchronization,
  timers, reads of a cached file.

  --quick            short rounds: about a minute
  --runtimes LIST    only these, such as ringloop,tokio
  --benches LIST     only these, such as yield-1,queue-16
  --rounds N         rounds of each bench, in which all runtimes take turns (5)
  --seconds S        measured seconds of a runtime in each round (0.5)
  --list             name the runtimes and the benches, and end
  --help             this";

#[derive(Debug)]
pub(super) struct Options {
    pub(super) executors: Vec<Executor>,
    pub(super) benches: Vec<Bench>,
    pub(super) rounds: usize,
    pub(super) time: Duration,
}

#[derive(Debug)]
pub(super) enum Wish {
    Measure(Options),
    List,
    Help,
}

impl Wish {
    /// # Errors
    ///
    /// A sentence that names the argument.
    pub(super) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut executors, mut benches) = (Executor::ALL.to_vec(), Bench::ALL.to_vec());
        let (mut rounds, mut seconds, mut quick) = (None, None, false);
        while let Some(name) = args.next() {
            let name = name.as_str();
            let mut value = |wanted: &str| {
                args.next().ok_or_else(|| format!("{name} needs {wanted}; micro --help shows how"))
            };
            match name {
                "-h" | "--help" => return Ok(Self::Help),
                "--list" => return Ok(Self::List),
                "--quick" => quick = true,
                "--runtimes" => executors = list(name, &value("names")?, Executor::from_name)?,
                "--benches" => benches = list(name, &value("names")?, Bench::from_name)?,
                "--rounds" => {
                    rounds = Some(number(name, &value("a number")?, 1.0..=1000.0)? as usize);
                }
                "--seconds" => seconds = Some(number(name, &value("a number")?, 0.01..=3600.0)?),
                _ => return Err(format!("micro has no option {name}; micro --help lists them")),
            }
        }
        Ok(Self::Measure(Options {
            executors,
            benches,
            rounds: rounds.unwrap_or(if quick { 3 } else { 5 }),
            time: Duration::from_secs_f64(seconds.unwrap_or(if quick { 0.1 } else { 0.5 })),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Wish, String> {
        Wish::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn what_was_named_stands_over_quick() {
        let line = "--rounds 7 --quick --runtimes tokio,ringloop --benches read-32";
        let Ok(Wish::Measure(options)) = parse(line) else { panic!("it asks for figures") };
        assert_eq!((options.rounds, options.time), (7, Duration::from_millis(100)));
        assert_eq!(options.executors, [Executor::Tokio, Executor::Ringloop]);
        assert_eq!(options.benches, [Bench::Read32]);
    }

    #[test]
    fn a_bad_option_gets_one_sentence_that_names_it() {
        for line in ["--runtimes", "--runtimes tokyo", "--benches yield", "--rounds 0", "--slow"] {
            let sentence = parse(line).unwrap_err();
            assert!(sentence.contains(line.split(' ').next().unwrap()), "{line}: {sentence}");
        }
    }
}
