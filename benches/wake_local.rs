//! Two tasks of one thread that wake each other: an iteration is there and back.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use criterion::Criterion;

/// Whose turn it is: the first player's when even.
#[derive(Default)]
struct Table {
    moves: Cell<u64>,
    waiting: RefCell<Option<Waker>>,
}

impl Table {
    async fn play(&self, player: u64, iterations: u64) {
        for _ in 0..iterations {
            poll_fn(|cx| {
                if self.moves.get() % 2 == player {
                    return Poll::Ready(());
                }
                *self.waiting.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
            self.moves.set(self.moves.get() + 1);
            let other = self.waiting.take();
            other.into_iter().for_each(Waker::wake);
        }
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut runtime = ringloop::Builder::new().build().expect("a runtime");
    criterion.bench_function("wake_local", |b| {
        b.iter_custom(|iterations| {
            runtime.block_on(async {
                let table = Rc::new(Table::default());
                let start = Instant::now();
                let players = [0, 1].map(|player| {
                    let table = table.clone();
                    ringloop::spawn(async move { table.play(player, iterations).await })
                });
                for player in players {
                    player.await.expect("it does not panic");
                }
                start.elapsed()
            })
        });
    });
    criterion.final_summary();
}
