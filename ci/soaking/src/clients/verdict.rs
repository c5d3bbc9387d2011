//! The lines of the rounds, the table, and whether memory has grown.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Load;
use crate::books::{self, Books};

/// KiB by which the memory may differ. Measured over ten minutes with 10,000 connections it goes up and
/// down by 350, and a connection that leaks two bytes is found.
const TOLERANCE: u64 = 1024;

#[derive(Clone, Copy, Debug)]
pub(super) enum Row {
    Begin,
    Round(u64),
    End,
}

pub(super) struct Verdict {
    started: Instant,
    rounds: Vec<Books>,
}

impl Verdict {
    pub(super) fn new(started: Instant) -> Self {
        println!(
            "{:>7} {:>6} {:>11} {:>10} {:>10} {:>9} {:>9} {:>6} {:>10} {:>10}",
            "round",
            "s",
            "connections",
            "MB checked",
            "cancels",
            "RSS KiB",
            "heap KiB",
            "fds",
            "turns",
            "syscalls"
        );
        Self { started, rounds: Vec::new() }
    }

    pub(super) fn row(&mut self, row: Row, books: &Books, load: &Load<'_>) {
        let name = match row {
            Row::Begin => "begin".to_owned(),
            Row::Round(n) => n.to_string(),
            Row::End => "end".to_owned(),
        };
        if matches!(row, Row::Round(_)) {
            self.rounds.push(*books);
        }
        let b = &books.0;
        println!(
            "{name:>7} {:>6} {:>11} {:>10} {:>10} {:>9} {:>9} {:>6} {:>10} {:>10}",
            self.started.elapsed().as_secs(),
            load.connections.load(Ordering::Relaxed),
            (load.bytes.load(Ordering::Relaxed) + b[books::BYTES]) / 1_000_000,
            b[books::CANCELS],
            b[books::RSS],
            b[books::HEAP],
            b[books::DESCRIPTORS],
            b[books::TURNS],
            b[books::SYSCALLS],
        );
    }

    /// Memory does not grow from round to round.
    pub(super) fn growth(&self) -> Result<(), String> {
        match (self.rounds.first(), self.rounds.last()) {
            (Some(first), Some(last)) => grown(first, last, "the first round"),
            _ => Ok(()),
        }
    }

    pub(super) fn table(&self, begin: &Books, end: &Books, share: f64) {
        println!("\n{:<16} {:>14} {:>14}", "", "begin", "end");
        for at in 0..begin.0.len() {
            println!("{:<16} {:>14} {:>14}", Books::name(at), begin.0[at], end.0[at]);
        }
        println!(
            "an idle server took {share:.2} % of a CPU; all in {} s",
            self.started.elapsed().as_secs()
        );
    }

    pub(super) fn compare(&self, begin: &Books, end: &Books) -> Result<(), String> {
        let differences = end.differences(begin);
        if !differences.is_empty() {
            return Err(format!("at the end {}", differences.join("; ")));
        }
        grown(begin, end, "the beginning")?;
        println!("soak: passed");
        Ok(())
    }
}

fn grown(before: &Books, after: &Books, since: &str) -> Result<(), String> {
    for at in [books::RSS, books::HEAP] {
        let allowed = before.0[at] + TOLERANCE.max(before.0[at] / 100);
        if after.0[at] > allowed {
            let (before, after) = (before.0[at], after.0[at]);
            return Err(format!("{} grew from {before} to {after} since {since}", Books::name(at)));
        }
    }
    Ok(())
}
