//! Two runtimes on two threads that wake each other: an iteration is there and back.
//!
//! Both sleep in the kernel between moves, so this is the price of the bell and of a thread's wake.

mod backends;

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Instant;

use criterion::Criterion;
use ringloop::{BackendChoice, Builder};

/// Whose turn it is: the first player's when even.
#[derive(Default)]
struct Table {
    moves: AtomicU64,
    waiting: [Mutex<Option<Waker>>; 2],
}

impl Table {
    async fn play(&self, player: usize, iterations: u64) {
        for i in 0..iterations {
            let mine = 2 * i + player as u64;
            poll_fn(|cx| {
                *self.waiting[player].lock().expect("nobody panics") = Some(cx.waker().clone());
                // Looked at after the waker was left, so the move of the other is not missed.
                if self.moves.load(Ordering::SeqCst) == mine {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            self.moves.store(mine + 1, Ordering::SeqCst);
            let other = self.waiting[1 - player].lock().expect("nobody panics").take();
            other.into_iter().for_each(Waker::wake);
        }
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("wake_remote");
    backends::each(|backend, mut runtime| {
        let choice: BackendChoice = backend.parse().expect("its own name");
        group.bench_function(backend, |b| {
            b.iter_custom(|iterations| {
                let table = Arc::new(Table::default());
                let other = table.clone();
                let thread = thread::spawn(move || {
                    let mut runtime =
                        Builder::new().backend(choice).build().expect("a second runtime");
                    runtime.block_on(other.play(1, iterations));
                });
                let start = Instant::now();
                runtime.block_on(table.play(0, iterations));
                let took = start.elapsed();
                thread.join().expect("it does not panic");
                took
            });
        });
    });
    group.finish();
    criterion.final_summary();
}
