//! A trip through the ready queue, for one task and for each of a hundred.

use std::time::Instant;

use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut runtime = ringloop::Builder::new().build().expect("a runtime");
    let mut group = criterion.benchmark_group("yield_now");
    for tasks in [1, 100] {
        group.throughput(Throughput::Elements(tasks));
        group.bench_function(format!("{tasks} tasks"), |b| {
            b.iter_custom(|iterations| {
                runtime.block_on(async {
                    let start = Instant::now();
                    let tasks: Vec<_> = (0..tasks)
                        .map(|_| {
                            ringloop::spawn(async move {
                                for _ in 0..iterations {
                                    ringloop::task::yield_now().await;
                                }
                            })
                        })
                        .collect();
                    for task in tasks {
                        task.await.expect("it does not panic");
                    }
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
