//! The tables of `micro`: a row a figure, a column a runtime.

use std::fmt::Write as _;
use std::io;

use super::{Bench, Executor};
use crate::statistics::Spread;
use crate::table::{Table, note, ratio, short, spread};

/// What the rounds of one bench on one executor have shown.
pub(super) struct Rounds {
    pub(super) bench: Bench,
    pub(super) executor: Executor,
    /// By round, then by figure.
    values: Vec<Vec<f64>>,
    /// Why there are no more rounds. Empty: it goes without saying.
    pub(super) failure: Option<String>,
}

impl Rounds {
    pub(super) fn new(bench: Bench, executor: Executor) -> Self {
        let failure = executor.lacks(bench).map(String::from);
        Self { bench, executor, values: Vec::new(), failure }
    }

    pub(super) fn add(&mut self, round: io::Result<Vec<f64>>) {
        match round {
            Ok(values) => self.values.push(values),
            Err(error) => {
                // The others have rounds that this one has not: no comparing with them.
                self.values.clear();
                self.failure = Some(error.to_string());
            }
        }
    }

    /// Whether all that can be measured was.
    pub(super) fn complete(&self) -> bool {
        self.failure.is_none() || self.executor.lacks(self.bench).is_some()
    }

    fn figure(&self, figure: usize) -> impl Iterator<Item = f64> {
        self.values.iter().map(move |round| round[figure])
    }

    fn spread(&self, figure: usize) -> Option<Spread> {
        Spread::of(self.figure(figure))
    }
}

/// All tables, and a note for each cell that is empty for a reason.
pub(super) fn text(all: &[Vec<Rounds>], executors: &[Executor]) -> String {
    let titles = |first: &'static str| {
        [first].into_iter().chain(executors.iter().map(|executor| executor.name()))
    };
    let mut medians =
        Table::new(titles("ns an operation, medians").chain(["/limit", "/best", "best rival"]));
    let mut ranges = Table::new(titles("min-max of the rounds"));
    let mut notes = String::new();
    for rows in all {
        let Some(bench) = rows.first().map(|row| row.bench) else { continue };
        for (figure, name) in bench.figures().iter().enumerate() {
            let mut cells = vec![String::from(*name)];
            cells.extend(rows.iter().map(|row| match row.spread(figure) {
                Some(spread) => short(spread.median),
                None => "-".into(),
            }));
            let limit = rows.iter().find(|row| row.executor == Executor::Limit);
            let best = best_rival(rows, figure);
            cells.push(ratio(limit.and_then(|limit| against(rows, limit, figure))));
            cells.push(ratio(best.and_then(|best| against(rows, best, figure))));
            cells.push(best.map_or("-", |best| best.executor.name()).into());
            medians.row(cells);

            let mut cells = vec![String::from(*name)];
            cells.extend(rows.iter().map(|row| {
                let [_, range] = spread(row.spread(figure));
                range
            }));
            ranges.row(cells);
        }
        for row in rows {
            if let Some(sentence) = row.failure.as_ref().filter(|sentence| !sentence.is_empty()) {
                let name = row.executor.name();
                notes += &note(&format!("{name} has no {}: {sentence}", bench.name()));
            }
        }
    }
    let mut text = String::new();
    let _ = write!(text, "\n{}\n{}{notes}", medians.text(), ranges.text());
    text
}

/// The one with the lowest median that is a runtime, and not ringloop.
fn best_rival(rows: &[Rounds], figure: usize) -> Option<&Rounds> {
    let median = |row: &&Rounds| row.spread(figure).map_or(f64::INFINITY, |spread| spread.median);
    rows.iter()
        .filter(|row| !matches!(row.executor, Executor::Ringloop | Executor::Limit))
        .filter(|row| !row.values.is_empty())
        .min_by(|a, b| median(a).total_cmp(&median(b)))
}

/// ringloop's share of another's cost.
fn against(rows: &[Rounds], other: &Rounds, figure: usize) -> Option<f64> {
    let ringloop = rows.iter().find(|row| row.executor == Executor::Ringloop)?;
    Spread::of_ratios(ringloop.figure(figure), other.figure(figure)).map(|spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(bench: Bench, executor: Executor, values: &[f64]) -> Rounds {
        let mut rounds = Rounds::new(bench, executor);
        for &value in values {
            rounds.add(Ok(vec![value; bench.figures().len()]));
        }
        rounds
    }

    #[test]
    fn the_limit_is_no_rival_and_a_failure_is_told_under_the_table() {
        let bench = Bench::Read1;
        let executors = [Executor::Ringloop, Executor::Tokio, Executor::Monoio, Executor::Limit];
        let mut rows = vec![
            rounds(bench, Executor::Ringloop, &[1.0, 1.1, 9.0]),
            rounds(bench, Executor::Tokio, &[4.0, 4.4, 36.0]),
            rounds(bench, Executor::Monoio, &[1.0]),
            rounds(bench, Executor::Limit, &[0.5, 0.55, 4.5]),
        ];
        rows[2].add(Err(io::Error::other("it lost a page")));
        assert!(!rows[2].complete());
        let text = text(&[rows], &executors);
        let line = text.lines().find(|line| line.contains("1 deep")).unwrap();
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|s| !s.is_empty()).collect();
        let expected =
            ["4K read, 1 deep, µs", "1.10", "4.40", "-", "0.55", "2.00", "0.25", "tokio"];
        assert_eq!(cells, expected, "{text}");
        assert!(text.contains("note: monoio has no read-1: it lost a page"), "{text}");
    }

    #[test]
    fn what_nobody_expects_is_no_failure() {
        let row = Rounds::new(Bench::Yield1, Executor::Limit);
        assert!(row.complete());
        let executors = [Executor::Limit];
        assert!(!text(&[vec![row]], &executors).contains("note"));
    }

    #[test]
    fn the_widest_table_keeps_to_the_width() {
        let row = |bench| {
            Executor::ALL.iter().map(move |&executor| rounds(bench, executor, &[2345.0, 2468.0]))
        };
        let all: Vec<Vec<Rounds>> = Bench::ALL.iter().map(|&bench| row(bench).collect()).collect();
        for line in text(&all, &Executor::ALL).lines() {
            assert!(line.chars().count() <= crate::table::WIDTH, "{line}");
        }
    }
}
