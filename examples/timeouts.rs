//! Time limits within time limits: what a server that asks other servers needs.
//!
//! ```text
//! cargo run --example timeouts
//! ```

use std::time::Duration;

use ringloop::task::yield_now;
use ringloop::time::{Timeout, deadline, now, sleep, timeout, until_deadline, with_deadline};

/// A server that answers after so many milliseconds.
async fn ask(server: &str, millis: u64) -> String {
    sleep(Duration::from_millis(millis)).await;
    format!("an answer from {server}")
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn main() {
    ringloop::run(async {
        // The inner limit is up first: only what it limits ends, and the outer one goes on.
        let answer = timeout(millis(200), async {
            match timeout(millis(10), ask("the near one", 60)).await {
                Ok(answer) => answer,
                Err(_) => ask("the far one", 20).await,
            }
        });
        println!("nested: {}", answer.await.expect("200 ms are enough"));

        // The outer limit is up first: the inner one never says so, for it is gone.
        let inner = Timeout::after(millis(500));
        let outer = timeout(millis(10), inner.run(ask("the slow one", 100)));
        println!("outer first: {}; inner expired: {}", outer.await.unwrap_err(), inner.expired());

        // A limit that moves with each sign of life, and not with silence.
        let idle = Timeout::after(millis(20));
        let pieces = idle.run(async {
            for pause in [5, 10, 15, 60] {
                sleep(millis(pause)).await;
                println!("moved: a piece after {pause} ms");
                idle.reschedule(now() + millis(20)).expect("it runs");
            }
        });
        println!("moved: {}", pieces.await.unwrap_err());

        // A deadline that flows down, into what is called and into tasks that are spawned there.
        let request = with_deadline(now() + millis(30), async {
            let child = ringloop::spawn(until_deadline(async {
                let left = deadline().expect("it is inherited") - now();
                println!("deadline: the child has less than {} ms", left.as_millis() + 1);
                // However long it would wait by itself.
                timeout(Duration::from_secs(60), ask("nobody", 3_600_000)).await
            }));
            yield_now().await;
            child.await
        });
        println!(
            "deadline: the request {}",
            request.await.map_or("is given up", |_| "is answered")
        );
    });
}
