//! A task group: jobs that belong together, of which the first failure ends the others.
//!
//! ```text
//! cargo run --example task_group
//! ```
//!
//! Three shops are asked for a price at once. First all answer; then one is closed, and the group does not
//! wait for the slow one.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use ringloop::task::TaskGroup;
use ringloop::time::{now, sleep};

/// A shop answers after some time, or is closed.
struct Shop {
    name: &'static str,
    answers_after: Duration,
    price: Option<u32>,
}

#[derive(Debug)]
struct Closed(&'static str);

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is closed", self.0)
    }
}

/// Tells when an inquiry ends, in whatever way.
struct Inquiry(&'static str);

impl Drop for Inquiry {
    fn drop(&mut self) {
        println!("  the inquiry at {} ends", self.0);
    }
}

async fn ask(shop: &Shop) -> Result<u32, Closed> {
    let _inquiry = Inquiry(shop.name);
    sleep(shop.answers_after).await;
    shop.price.ok_or(Closed(shop.name))
}

async fn ask_all(shops: &[Shop]) {
    let start = now();
    let prices = RefCell::new(Vec::new());
    let group = TaskGroup::scope(async |group| {
        for shop in shops {
            // These children borrow `shops` and `prices`. `group.spawn` makes tasks, which own what they use.
            let prices = &prices;
            group.spawn_scoped(async move {
                let price = ask(shop).await?;
                prices.borrow_mut().push((price, shop.name));
                Ok::<_, Closed>(())
            });
        }
        println!("  {} inquiries are under way", group.len());
        Ok(())
    });
    match group.await {
        Ok(_) => {
            let (price, name) = *prices.borrow().iter().min().expect("all have answered");
            println!("  the best price is {price}, at {name}");
        }
        Err(error) => println!("  {error}; {} prices came before", prices.borrow().len()),
    }
    println!("  that took {} ms", (now() - start).as_millis());
}

fn main() {
    let shop = |name, ms, price| Shop { name, answers_after: Duration::from_millis(ms), price };
    ringloop::run(async {
        println!("all answer:");
        ask_all(&[
            shop("Aldo", 30, Some(12)),
            shop("Berta", 10, Some(9)),
            shop("Carl", 20, Some(11)),
        ])
        .await;
        println!("one is closed:");
        ask_all(&[
            shop("Aldo", 60_000, Some(12)),
            shop("Berta", 10, Some(9)),
            shop("Carl", 20, None),
        ])
        .await;
    });
}
