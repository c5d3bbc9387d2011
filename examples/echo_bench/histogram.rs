//! A histogram of latencies in constant memory, exact to better than 1 %.
//!
//! Log-linear: every power of two is cut into 128 equal buckets.

use std::time::Duration;

/// Buckets in a power of two.
const STEPS: usize = 128;
/// Their number as a power of two.
const BITS: u32 = STEPS.trailing_zeros();

/// Counts of durations. Anything above 18 minutes counts as that.
#[derive(Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; bucket((1 << 40) - 1) + 1], total: 0 }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.buckets[bucket(latency.as_nanos().min((1 << 40) - 1) as u64)] += 1;
        self.total += 1;
    }

    /// The duration that `share` of all stay at or below; zero while nothing was recorded.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let rank = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (i, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(middle(i));
            }
        }
        Duration::ZERO
    }
}

/// The bucket of a value: its leading bits are the bucket's number.
fn bucket(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(BITS + 1);
    shift as usize * STEPS + (nanos >> shift) as usize
}

/// The value in the middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let low = ((bucket - shift * STEPS) as u64) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_bucket_is_within_one_per_cent() {
        for exponent in 0..40 {
            for offset in [0, 1, 77, 12_345] {
                let value = (1_u64 << exponent) + offset % (1_u64 << exponent);
                let seen = middle(bucket(value));
                assert!(value.abs_diff(seen) * 100 <= value, "{value} became {seen}");
            }
        }
    }

    #[test]
    fn buckets_leave_no_gap_and_never_go_down() {
        let mut last = 0;
        for value in 0..100_000 {
            let here = bucket(value);
            assert!(here == last || here == last + 1, "{value}");
            last = here;
        }
    }

    #[test]
    fn quantiles_of_a_known_series() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        histogram.record(Duration::from_secs(100_000));
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (0.0009, 1.0)] {
            let seen = histogram.quantile(share).as_secs_f64() * 1e6;
            assert!((seen / micros - 1.0).abs() < 0.011, "{share}: {seen} µs");
        }
    }
}
