//! Many requests, few at a time: a semaphore limits how many run at once, and another how many may begin
//! in each tick.
//!
//! ```text
//! cargo run --example rate_limit
//! ```
//!
//! Twelve requests, at most three at once, and at most four new ones each 50 ms.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ringloop::sync::Semaphore;
use ringloop::time::{interval, sleep};

const REQUESTS: u32 = 12;
const AT_ONCE: usize = 3;
const EACH_TICK: usize = 4;
const TICK: Duration = Duration::from_millis(50);

fn main() -> std::io::Result<()> {
    ringloop::run(async {
        let start = Instant::now();
        let at_once = Rc::new(Semaphore::new(AT_ONCE));
        let allowance = Rc::new(Semaphore::new(EACH_TICK));
        let running = Rc::new(Cell::new(0));

        // Fills the allowance up again, never above what one tick may have.
        let refill = ringloop::spawn({
            let allowance = allowance.clone();
            async move {
                let mut ticks = interval(TICK);
                ticks.tick().await; // the first tick is now
                loop {
                    ticks.tick().await;
                    allowance.add_permits(EACH_TICK - allowance.available_permits());
                }
            }
        });

        let mut tasks = Vec::new();
        for number in 1..=REQUESTS {
            // Forgotten: an allowance is used up, and the refill makes new ones.
            allowance.acquire().await.forget();
            // Kept until the request has ended: its place goes to whoever waits longest.
            let permit = at_once.clone().acquire_owned().await;
            let running = running.clone();
            tasks.push(ringloop::spawn(async move {
                running.set(running.get() + 1);
                let after = start.elapsed().as_millis();
                println!("{after:4} ms  request {number:2} begins, {} run", running.get());
                sleep(Duration::from_millis(u64::from(10 + number * 7 % 20))).await;
                running.set(running.get() - 1);
                drop(permit);
            }));
        }
        for task in tasks {
            task.await?;
        }
        refill.cancel();
        println!("{:4} ms  all have ended", start.elapsed().as_millis());
        Ok(())
    })
}
