//! Medians, and ratios that the machine's drift does not move.

/// The middle and the ends of what several rounds have shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// None: of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let half = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(values[half - 1], values[half]),
            _ => values[half],
        };
        Some(Self { median, min, max })
    }

    /// Of the ratios within each round: what slows a whole round down cancels out.
    pub(crate) fn of_ratios(
        values: impl IntoIterator<Item = f64>,
        bases: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        Self::of(values.into_iter().zip(bases).map(|(value, base)| value / base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[7.0]), Some(Spread { median: 7.0, min: 7.0, max: 7.0 }));
        let three = Spread { median: 2.0, min: 1.0, max: 9.0 };
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some(three));
        let four = Spread { median: 2.5, min: 1.0, max: 4.0 };
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), Some(four));
    }

    #[test]
    fn a_slow_round_moves_no_ratio() {
        let (server, base) = ([10.0, 30.0, 11.0], [10.0, 30.0, 11.0]);
        let same = Spread { median: 1.0, min: 1.0, max: 1.0 };
        assert_eq!(Spread::of_ratios(server, base), Some(same));
    }
}
