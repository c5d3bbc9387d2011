//! Names of hosts: their addresses, the names of these, and who answers first.
//!
//! ```text
//! cargo run --example lookup
//! cargo run --example lookup -- example.org:80 one.one.one.one:443
//! ```

use std::time::Duration;

use ringloop::net::{TcpConnector, TcpListener, lookup_addr, lookup_host};
use ringloop::time::now;

async fn show(target: &str) -> std::io::Result<()> {
    println!("{target}");
    for address in lookup_host(target).await? {
        let (host, service) = lookup_addr(address).await?;
        println!("  {address} is {host}, {service}");
    }
    let start = now();
    // Happy eyeballs: the next address is tried where the one before has not answered for 100 ms.
    let connected = TcpConnector::new()
        .happy_eyeballs_delay(Duration::from_millis(100))
        .total_timeout(Duration::from_secs(5))
        .connect(target)
        .await;
    match connected {
        Ok(stream) => println!("  {} answered after {:.1?}", stream.peer_addr()?, now() - start),
        // Each address, and why not.
        Err(error) => println!("  {error}"),
    }
    Ok(())
}

fn main() {
    ringloop::run(async {
        let mut targets: Vec<String> = std::env::args().skip(1).collect();
        let listener =
            TcpListener::bind("localhost:0").await.expect("this machine has a localhost");
        if targets.is_empty() {
            let port = listener.local_addr().expect("it listens").port();
            // One where somebody listens, and one where nobody does.
            targets = vec![format!("localhost:{port}"), "localhost:1".into()];
        }
        for target in &targets {
            if let Err(error) = show(target).await {
                println!("  {error}");
            }
        }
    });
}
