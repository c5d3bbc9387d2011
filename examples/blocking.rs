//! Work that blocks, on threads of its own, while the loop goes on; and a pool beside the runtime's for
//! what computes.
//!
//! `cargo run --release --example blocking`

use std::time::Duration;

use ringloop::blocking::{BlockingPool, run_in_executor};
use ringloop::time::{interval, sleep};
use ringloop::{Builder, spawn, spawn_blocking};

/// A call that waits, as of a database without an asynchronous driver.
fn query(number: u32) -> u32 {
    std::thread::sleep(Duration::from_millis(50));
    number * number
}

/// A call that computes.
fn count_primes(below: u32) -> usize {
    (2..below).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).count()
}

fn main() -> std::io::Result<()> {
    let mut runtime = Builder::new().blocking_threads(8).blocking_thread_name("query").build()?;
    // As many threads as may compute at once without getting in each other's way.
    let computing = BlockingPool::new("compute", 1);

    runtime.block_on(async {
        // The loop goes on, whatever the threads do.
        let ticker = spawn(async {
            let mut ticks = interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                println!("  the loop ticks");
            }
        });

        let queries: Vec<_> = (1..=4).map(|n| spawn_blocking(move || query(n))).collect();
        let primes = run_in_executor(&computing, || count_primes(20_000));
        for query in queries {
            println!("a query answers {}", query.await?);
        }
        println!("{} primes below 20,000", primes.await?);

        // A panic comes out of the handle, and costs no thread.
        let error = spawn_blocking(|| "seven".parse::<u32>().unwrap()).await.unwrap_err();
        println!("one job failed: {error}");

        // Dropped before it has started, a job never runs. One that runs cannot be stopped.
        let last = spawn_blocking(|| {
            std::thread::sleep(Duration::from_millis(100));
            println!("the last job is done");
        });
        sleep(Duration::from_millis(10)).await;
        last.detach();
        ticker.cancel();
        Ok::<_, ringloop::JoinError>(())
    })?;

    // Dropping the runtime would not wait for the last job.
    let left = runtime.shutdown_timeout(Duration::from_secs(5));
    println!("{left} jobs were left");
    Ok(())
}
