//! Producers and consumers over a queue with two places: producers are held back, the work is waited for,
//! and a shutdown sends the consumers home.
//!
//! ```text
//! cargo run --example queue
//! ```

use std::rc::Rc;
use std::time::Duration;

use ringloop::queue::{Queue, Shutdown};
use ringloop::spawn;
use ringloop::time::sleep;

/// A thing to be done.
#[derive(Debug)]
struct Job {
    from: &'static str,
    number: u32,
}

/// Puts its jobs in; waits whenever the queue is full.
async fn produce(queue: Rc<Queue<Job>>, name: &'static str) {
    for number in 1..=4 {
        let job = Job { from: name, number };
        queue.put(job).await.expect("nobody shuts the queue down before the work is done");
        println!("{name} put its job {number}; {} in the queue", queue.len());
    }
}

/// Takes jobs out until the queue is shut down, and says how many it did.
async fn consume(queue: Rc<Queue<Job>>, name: &'static str) -> u32 {
    let mut done = 0;
    while let Ok(job) = queue.get().await {
        println!("    {name} works on job {} of {}", job.number, job.from);
        sleep(Duration::from_millis(10)).await;
        done += 1;
        queue.task_done().expect("it is said once for each job");
    }
    println!("    {name} goes home");
    done
}

fn main() {
    ringloop::run(async {
        // Of one thread: an Rc shares it, and no lock is needed.
        let queue = Rc::new(Queue::bounded(2));
        let consumers = ["Ada", "Grace", "Edith"].map(|name| spawn(consume(queue.clone(), name)));
        let producers = ["kitchen", "garden"].map(|name| spawn(produce(queue.clone(), name)));

        for producer in producers {
            producer.await.expect("a producer does not panic");
        }
        println!("everything is put: {} jobs are not done yet", queue.unfinished());
        queue.join().await;
        println!("everything is done");

        // Whoever waits for a job is woken, and told that none will come.
        queue.shutdown(Shutdown::Drain);
        let mut sum = 0;
        for consumer in consumers {
            sum += consumer.await.expect("a consumer does not panic");
        }
        let late = queue.try_put(Job { from: "kitchen", number: 5 });
        println!("{sum} jobs done; one more: {}", late.expect_err("it is shut down"));
    });
}
