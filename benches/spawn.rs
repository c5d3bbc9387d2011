//! Spawn and join: one task at a time, and a thousand.

use std::time::Instant;

use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut runtime = ringloop::Builder::new().build().expect("a runtime");
    let mut group = criterion.benchmark_group("spawn");
    for tasks in [1, 1000] {
        group.throughput(Throughput::Elements(tasks));
        group.bench_function(format!("{tasks} and join"), |b| {
            b.iter_custom(|iterations| {
                runtime.block_on(async {
                    let mut handles = Vec::with_capacity(tasks as usize);
                    let start = Instant::now();
                    for _ in 0..iterations {
                        handles.extend((0..tasks).map(|i| ringloop::spawn(async move { i })));
                        for (i, handle) in (0..).zip(handles.drain(..)) {
                            assert_eq!(handle.await.expect("it does not panic"), i);
                        }
                    }
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
