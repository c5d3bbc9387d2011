//! A million tasks and a million timers, nine of ten cancelled at random: none is lost, none fires early,
//! and what they took is given back.

#[path = "backends/support.rs"]
#[expect(dead_code, reason = "made for another binary, which uses all of it")]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use ringloop::time::sleep_until;
use ringloop::{JoinHandle, metrics, spawn};

use support::{build, on_each_backend, slowness};

/// Bytes that are allocated and not freed.
static LIVE: AtomicI64 = AtomicI64::new(0);

struct Counting;

// SAFETY: it passes on to the system's allocator what it is asked for.
#[expect(unsafe_code, reason = "an allocator that counts")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Numbers without a pattern (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

// Seen to fail when `expire_due` looks a millisecond ahead, and when `clear_timer` does nothing.
#[test]
fn of_a_million_tasks_and_timers_none_is_lost_or_early_and_their_memory_comes_back() {
    let tasks: u64 = if slowness() > 1 { 100_000 } else { 1_000_000 };
    on_each_backend(|builder| {
        let before = LIVE.load(Ordering::Relaxed);
        let mut runtime = build(builder);
        runtime.block_on(async {
            let fired = Rc::new(Cell::new(0u64));
            let begin = Instant::now();
            let mut random = Random(0x9e37_79b9_7f4a_7c15);
            let cancelled: Vec<bool> = (0..tasks).map(|_| random.below(10) > 0).collect();
            let mut handles: Vec<JoinHandle<Instant>> = cancelled
                .iter()
                .map(|cancel| {
                    let fired = fired.clone();
                    // Half of those that are cancelled could not fire before, on the slowest machine.
                    let late = *cancel && random.below(2) > 0;
                    let within = if late { 3_600_000_000 } else { 3_000_000 };
                    let at_least = if late { 600_000_000 } else { 0 };
                    let deadline = begin + Duration::from_micros(at_least + random.below(within));
                    spawn(async move {
                        sleep_until(deadline).await;
                        assert!(Instant::now() >= deadline, "a timer was early");
                        fired.set(fired.get() + 1);
                        deadline
                    })
                })
                .collect();
            ringloop::task::yield_now().await;
            for (handle, cancel) in handles.iter().zip(&cancelled) {
                if *cancel {
                    handle.cancel();
                }
            }
            let rest = cancelled.iter().filter(|cancelled| !**cancelled).count();
            while metrics().tasks_alive > rest {
                ringloop::task::yield_now().await;
            }
            assert!(metrics().timers <= rest, "a cancelled task's timer goes with it");
            let (mut ended, mut refused) = (0, 0);
            for (handle, cancel) in handles.drain(..).zip(cancelled) {
                match handle.await {
                    Ok(_) => ended += 1,
                    Err(error) => {
                        assert!(error.is_cancelled() && cancel, "{error}");
                        refused += 1;
                    }
                }
            }
            assert_eq!(ended + refused, tasks);
            assert_eq!(ended, fired.get(), "what fired has ended, and nothing else");
            assert!(refused > tasks / 3, "those whose time was long were cancelled before");
            assert_eq!((metrics().tasks_alive, metrics().timers), (0, 0));
        });
        drop(runtime);
        let kept = LIVE.load(Ordering::Relaxed) - before;
        // A bit a task stays with the home, which is never freed and used again.
        assert!(kept < tasks as i64 / 8 + (64 << 10), "{kept} bytes were kept");
    });
}
