//! A server's way with signals: SIGHUP reads the configuration again, SIGTERM ends it in good order, Ctrl-C
//! interrupts it.
//!
//! `cargo run --release --example signals` sends itself two SIGHUPs and a SIGTERM, and ends. With `-- wait`
//! it waits for yours: press Ctrl-C, or `kill -HUP` it.

use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use ringloop::signal::{SignalKind, signal};
use ringloop::time::{interval, sleep};
use ringloop::{Builder, spawn};

/// What the server does all day.
async fn serve() {
    let mut ticks = interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        println!("  serving");
    }
}

/// Every SIGHUP, one after the other: a subscription is a sequence that never ends.
async fn reload_on_hangup() -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    for number in 1.. {
        hangup.recv().await?;
        println!("{}: reading the configuration, time number {number}", hangup.kind());
    }
    Ok(())
}

async fn run(waits: bool) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let server = spawn(serve());
    let reloads = spawn(reload_on_hangup());
    if !waits {
        spawn(async {
            for sent in [Signal::SIGHUP, Signal::SIGHUP, Signal::SIGTERM] {
                sleep(Duration::from_millis(150)).await;
                raise(sent).expect("this process is there");
            }
        });
    }
    terminate.recv().await?;
    println!("SIGTERM: ending");
    server.cancel();
    reloads.cancel();
    Ok(())
}

fn main() -> std::io::Result<()> {
    let waits = std::env::args().any(|argument| argument == "wait");
    if waits {
        println!("this is process {}", std::process::id());
    }
    let mut runtime = Builder::new().ctrl_c(true).build()?;
    // The first Ctrl-C drops `run` where it stands, the second would end the process at once.
    match runtime.block_on_interruptible(run(waits)) {
        Ok(ended) => ended,
        Err(interrupted) => {
            println!("{interrupted}");
            Ok(())
        }
    }
}
