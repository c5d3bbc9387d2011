//! Spawning, giving way, and waking one another on one thread.

use std::hint::black_box;
use std::time::Duration;

use local_channel::mpsc::channel;

use super::clock::batches;
use super::runtime::Runtime;

/// A task at a time, awaited before the next.
pub(super) async fn spawn_join(runtime: impl Runtime, time: Duration) -> f64 {
    const TASKS: usize = 1000;
    let batch = async || {
        let mut sum = 0;
        for i in 0..TASKS {
            sum += runtime.spawn(async move { black_box(i) }).await;
        }
        assert_eq!(sum, TASKS * (TASKS - 1) / 2, "each task ran once");
    };
    batches(time, TASKS, batch).await.wall
}

/// A thousand tasks that wait to run at once.
pub(super) async fn spawn_many(runtime: impl Runtime, time: Duration) -> f64 {
    const TASKS: usize = 1000;
    let mut handles = Vec::with_capacity(TASKS);
    let batch = async || {
        handles.extend((0..TASKS).map(|i| runtime.spawn(async move { black_box(i) })));
        let mut sum = 0;
        for handle in handles.drain(..) {
            sum += handle.await;
        }
        assert_eq!(sum, TASKS * (TASKS - 1) / 2, "each task ran once");
    };
    batches(time, TASKS, batch).await.wall
}

/// `tasks` tasks that do nothing else; the one that measures waits meanwhile.
pub(super) async fn yields(runtime: impl Runtime, tasks: usize, time: Duration) -> f64 {
    // So many that spawning the tasks is less than a hundredth.
    let each = (100_000 / tasks).max(1000);
    let batch = async || {
        let spawn = |_| {
            runtime.spawn(async move {
                for i in 0..each {
                    black_box(i);
                    runtime.yield_now().await;
                }
            })
        };
        let handles: Vec<_> = (0..tasks).map(spawn).collect();
        for handle in handles {
            handle.await;
        }
    };
    batches(time, tasks * each, batch).await.wall
}

/// A number goes to another task and comes back one greater.
///
/// The channel knows no runtime and no threads, and wakes by the task's waker: what it costs itself
/// is small, and the same for all.
pub(super) async fn ping_pong(runtime: impl Runtime, time: Duration) -> f64 {
    const ROUNDS: usize = 10_000;
    let (to_peer, mut from_us) = channel::<usize>();
    let (to_us, mut from_peer) = channel::<usize>();
    let peer = runtime.spawn(async move {
        while let Some(number) = from_us.recv().await {
            let sent = to_us.send(number + 1);
            assert!(sent.is_ok(), "the other end lives until the peer has ended");
        }
    });
    let batch = async || {
        for number in 0..ROUNDS {
            let sent = to_peer.send(black_box(number));
            assert!(sent.is_ok(), "the peer lives");
            assert_eq!(from_peer.recv().await, Some(number + 1));
        }
    };
    let cost = batches(time, ROUNDS, batch).await;
    drop(to_peer);
    peer.await;
    cost.wall
}
