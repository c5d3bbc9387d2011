//! Timers that never fire: limits of requests that are answered in time.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::clock::{Random, batches};
use super::runtime::Runtime;

/// A place for a timer, made once: allocating it is none of the runtime's business.
type Slot<T> = Pin<Box<Option<T>>>;

const LIVE: usize = 100_000;

/// Timers between two turns of the loop, which may have put off some of its work.
const A_TURN: usize = 1000;

/// Fills all slots, then empties all.
pub(super) async fn create(runtime: impl Runtime, time: Duration) -> f64 {
    let mut random = Random(1);
    let sleep = |duration| runtime.sleep(duration);
    let mut slots = slots();
    let batch = async || {
        fill(runtime, sleep, &mut slots, &mut random).await;
        for turn in slots.chunks_mut(A_TURN) {
            turn.iter_mut().for_each(|slot| slot.set(None));
            runtime.yield_now().await;
        }
    };
    batches(time, LIVE, batch).await.wall
}

/// With all slots full, empties one and fills it again.
pub(super) async fn replace(runtime: impl Runtime, time: Duration) -> f64 {
    let (mut random, mut which) = (Random(2), Random(3));
    let sleep = |duration| runtime.sleep(duration);
    let mut slots = slots();
    fill(runtime, sleep, &mut slots, &mut random).await;
    // One turn: who looks for the old timer among all the others takes long enough for it.
    let batch = async || {
        poll_fn(|cx| {
            for _ in 0..A_TURN {
                let slot = &mut slots[which.below(LIVE as u64) as usize];
                slot.set(None);
                start(slot, sleep(minutes(&mut random)), cx);
            }
            Poll::Ready(())
        })
        .await;
        runtime.yield_now().await;
    };
    batches(time, A_TURN, batch).await.wall
}

fn slots<T>() -> Vec<Slot<T>> {
    (0..LIVE).map(|_| Box::pin(None)).collect()
}

/// `sleep` is the runtime's; it comes apart so that its type is that of the slots.
async fn fill<T: Future>(
    runtime: impl Runtime,
    sleep: impl Fn(Duration) -> T,
    slots: &mut [Slot<T>],
    random: &mut Random,
) {
    for turn in slots.chunks_mut(A_TURN) {
        poll_fn(|cx| {
            for slot in turn.iter_mut() {
                start(slot, sleep(minutes(random)), cx);
            }
            Poll::Ready(())
        })
        .await;
        runtime.yield_now().await;
    }
}

/// Puts a timer into its slot, and has it counted by the runtime: many begin at the first poll.
fn start<T: Future>(slot: &mut Slot<T>, timer: T, cx: &mut Context<'_>) {
    slot.set(Some(timer));
    let Some(timer) = slot.as_mut().as_pin_mut() else { unreachable!("it was just put there") };
    assert!(timer.poll(cx).is_pending(), "its time is minutes away");
}

/// From one minute to ten.
fn minutes(random: &mut Random) -> Duration {
    Duration::from_nanos(60_000_000_000 + random.below(540_000_000_000))
}
