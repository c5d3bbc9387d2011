//! Plain text in columns, and numbers in few digits.

use std::fmt::Write as _;

use crate::statistics::Spread;

/// The widest line.
pub(crate) const WIDTH: usize = 120;

/// Columns under titles: the first one to the left, the others to the right.
#[derive(Default)]
pub(crate) struct Table {
    titles: Vec<String>,
    rows: Vec<Row>,
}

enum Row {
    Cells(Vec<String>),
    /// A name, and a sentence in place of figures.
    Sentence(String, String),
}

impl Table {
    pub(crate) fn new(titles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { titles: titles.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        assert_eq!(cells.len(), self.titles.len(), "a cell for each title");
        self.rows.push(Row::Cells(cells));
    }

    /// A row that says why it has no figures.
    pub(crate) fn sentence(&mut self, name: &str, sentence: &str) {
        self.rows.push(Row::Sentence(name.into(), sentence.into()));
    }

    pub(crate) fn text(&self) -> String {
        let mut widths: Vec<usize> =
            self.titles.iter().map(|title| title.chars().count()).collect();
        for row in &self.rows {
            match row {
                Row::Cells(cells) => {
                    for (width, cell) in widths.iter_mut().zip(cells) {
                        *width = (*width).max(cell.chars().count());
                    }
                }
                Row::Sentence(name, _) => widths[0] = widths[0].max(name.chars().count()),
            }
        }
        let mut text = String::new();
        let mut line = |cells: &[String]| {
            let mut line = format!("  {:<1$}", cells[0], widths[0]);
            for (cell, width) in cells.iter().zip(&widths).skip(1) {
                let _ = write!(line, "  {cell:>width$}");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        };
        line(&self.titles);
        for row in &self.rows {
            match row {
                Row::Cells(cells) => line(cells),
                Row::Sentence(name, sentence) => {
                    let room = WIDTH - widths[0] - 4;
                    for (i, piece) in wrapped(sentence, room).iter().enumerate() {
                        line(&[if i == 0 { name.clone() } else { String::new() }, piece.clone()]);
                    }
                }
            }
        }
        text
    }
}

/// A remark under a table.
pub(crate) fn note(sentence: &str) -> String {
    let lines = wrapped(sentence, WIDTH - 8);
    format!("  note: {}\n", lines.join("\n        "))
}

/// Lines of at most `room` characters, broken between words where that is possible.
fn wrapped(sentence: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in sentence.split_whitespace() {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.into());
        }
    }
    lines
}

/// A median, and the ends when there are any.
pub(crate) fn spread(spread: Option<Spread>) -> [String; 2] {
    match spread {
        None => ["-".into(), String::new()],
        Some(Spread { median, min, max }) => {
            let (low, high) = (short(min), short(max));
            [short(median), if low == high { String::new() } else { format!("{low}-{high}") }]
        }
    }
}

/// A number in about three digits, whole ones in full.
pub(crate) fn short(number: f64) -> String {
    match number.abs() {
        size if size >= 99.95 || size == 0.0 => format!("{number:.0}"),
        size if size >= 9.995 => format!("{number:.1}"),
        size if size >= 0.0995 => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}

/// A ratio to two places.
pub(crate) fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_a_sentence_stays_inside_the_width() {
        let mut table = Table::new(["server", "CPU", "p99"]);
        table.row(["tokio".into(), "3314".into(), "12.0".into()]);
        table.sentence("ringloop-slices", &"no io_uring here, ".repeat(12));
        let text = table.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "  server            CPU   p99");
        assert_eq!(lines[1], "  tokio            3314  12.0");
        assert!(lines[2].starts_with("  ringloop-slices  no io_uring here,"), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn numbers_keep_three_digits() {
        let cases = [
            (0.0, "0"),
            (0.0347, "0.035"),
            (0.5, "0.50"),
            (9.994, "9.99"),
            (9.996, "10.0"),
            (99.96, "100"),
            (3013.4, "3013"),
        ];
        for (number, text) in cases {
            assert_eq!(short(number), text);
        }
    }
}
