//! Entering a runtime for a future that is ready, and leaving it.

mod backends;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("nop");
    backends::each(|backend, mut runtime| {
        group.bench_function(backend, |b| b.iter(|| runtime.block_on(async {})));
    });
    group.finish();
    criterion.final_summary();
}
