//! How long a batch of operations takes, and what it costs.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::statistics::Spread;

/// Nanoseconds an operation.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub(super) wall: f64,
    /// Of the whole process, the kernel's part included.
    pub(super) cpu: f64,
}

/// Does batches of `operations` for about `time`; the median of their costs.
///
/// The first one is not counted: it meets cold caches and unfaulted memory.
pub(super) async fn batches(
    time: Duration,
    operations: usize,
    mut batch: impl AsyncFnMut(),
) -> Cost {
    batch().await;
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    let since = Instant::now();
    while since.elapsed() < time || walls.is_empty() {
        let (start, used) = (Instant::now(), cpu_time());
        batch().await;
        cpus.push((cpu_time() - used).as_nanos() as f64 / operations as f64);
        walls.push(start.elapsed().as_nanos() as f64 / operations as f64);
    }
    let median = |values| Spread::of(values).map_or(f64::NAN, |spread| spread.median);
    Cost { wall: median(walls), cpu: median(cpus) }
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// The value below which `percent` of `values` lie.
pub(super) fn percentile(values: &mut [u64], percent: usize) -> f64 {
    values.sort_unstable();
    let index = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(index).map_or(f64::NAN, |&value| value as f64)
}

/// Numbers without a pattern, the same in each run.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// From 0 up to `end`, without it.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_batch_is_not_counted_and_a_short_time_still_gives_a_figure() {
        let mut done = 0;
        let batch = async || {
            done += 1;
            if done == 1 {
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        let cost = futures_lite::future::block_on(batches(Duration::ZERO, 1, batch));
        assert_eq!(done, 2);
        assert!(cost.wall < 40e6, "{}", cost.wall);
    }

    #[test]
    fn percentiles_of_few_values_stay_inside() {
        assert_eq!(percentile(&mut [3, 1, 2], 50), 2.0);
        assert_eq!(percentile(&mut [7], 99), 7.0);
        assert!(percentile(&mut [], 99).is_nan());
    }
}
