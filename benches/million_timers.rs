//! A million live timers: created and dropped, and one replaced by another.
//!
//! Most timers of a server are timeouts that never expire, so these two are what it pays for.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use ringloop::time::{Sleep, sleep};

const MILLION: u64 = 1_000_000;

/// The `i`th sleep, polled once, so that it is armed: for an hour and up to a second, in no order.
fn armed(i: u64, cx: &mut Context<'_>) -> Sleep {
    let mut sleep = sleep(Duration::from_secs(3600) + Duration::from_micros(i * 7_919 % 1_000_003));
    assert!(pin!(&mut sleep).poll(cx).is_pending());
    sleep
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut runtime = ringloop::Builder::new().build().expect("a runtime");
    let mut group = criterion.benchmark_group("million_timers");
    group.sample_size(10).throughput(Throughput::Elements(MILLION));
    group.bench_function("create and drop", |b| {
        b.iter(|| {
            runtime.block_on(poll_fn(|cx| {
                drop((0..MILLION).map(|i| armed(i, cx)).collect::<Vec<_>>());
                Poll::Ready(())
            }));
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("replace", |b| {
        b.iter_custom(|iterations| {
            runtime.block_on(poll_fn(|cx| {
                let mut sleeps: Vec<_> = (0..MILLION).map(|i| armed(i, cx)).collect();
                let start = Instant::now();
                for i in 0..iterations {
                    sleeps[(i * 31_337 % MILLION) as usize] = armed(i, cx);
                }
                Poll::Ready(start.elapsed())
            }))
        });
    });
    group.finish();
    criterion.final_summary();
}
