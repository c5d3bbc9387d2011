//! Cancellation: dropping a future ends it at once; a token lets it clean up first.
//!
//! ```text
//! cargo run --example cancellation
//! ```
//!
//! Workers carry parcels. When the day is over each puts down what it carries, which takes time, and so
//! must be awaited: a drop cannot do that.

use std::time::Duration;

use ringloop::task::{CancelToken, JoinSet};
use ringloop::time::{sleep, timeout};

const MOMENT: Duration = Duration::from_millis(10);

/// Carries parcels until the day is over; how many.
async fn worker(name: &'static str, day_over: CancelToken) -> u32 {
    let mut carried = 0;
    // What is in the braces is dropped at the cancel; what comes after it runs in any case.
    day_over
        .run_until_cancelled(async {
            loop {
                sleep(MOMENT).await;
                carried += 1;
            }
        })
        .await;
    println!("{name}: the day is over, I put down the parcel");
    sleep(MOMENT).await;
    println!("{name}: done, I carried {carried}");
    carried
}

fn main() {
    ringloop::run(async {
        let day_over = CancelToken::new();
        let mut workers = JoinSet::new();
        // Each has a child token: it ends with the day, or alone.
        let (anna, ben) = (day_over.child_token(), day_over.child_token());
        workers.spawn(worker("Anna", anna.clone()));
        workers.spawn(worker("Ben", ben));

        sleep(5 * MOMENT).await;
        println!("Anna may go home early");
        anna.cancel();
        let first = workers.join_next().await.expect("two work").expect("no worker panics");

        sleep(5 * MOMENT).await;
        println!("the day is over");
        day_over.cancel();
        // A token asks. Whoever does not come to an end in time is cancelled for good.
        let all = async {
            let mut sum = first;
            while let Some(carried) = workers.join_next().await {
                sum += carried.expect("no worker panics");
            }
            sum
        };
        match timeout(100 * MOMENT, all).await {
            Ok(sum) => println!("{sum} parcels, and none left on the road"),
            Err(_) => {
                println!("somebody does not listen");
                workers.shutdown().await;
            }
        }
        // Cancelled is cancelled, also for those who come late.
        assert_eq!(day_over.run_until_cancelled(async { "one more" }).await, None);
    });
}
