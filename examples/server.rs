//! A server that ends in good order: on Ctrl-C it accepts nobody any more, lets those who are served
//! have their answers, and closes who is left when their time is up.
//!
//! `cargo run --release --example server` plays its own clients and presses Ctrl-C itself. With `-- wait` it waits
//! for yours: `nc 127.0.0.1 7000`, type how many milliseconds an answer may take, and press Ctrl-C in
//! the other terminal.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use ringloop::server::Server;
use ringloop::signal::ctrl_c;
use ringloop::spawn;
use ringloop::stream::{Reader, Writer, open_connection};
use ringloop::time::sleep;

/// Each line is a number of milliseconds: that much later it is answered.
async fn answer(mut reader: Reader, writer: Writer) -> io::Result<()> {
    let mut line = String::new();
    while reader.read_line(&mut line).await? > 0 {
        let Ok(milliseconds) = line.trim().parse() else {
            return writer.write_all(b"a number, please\n").await;
        };
        sleep(Duration::from_millis(milliseconds)).await;
        writer.write_all(format!("{milliseconds} ms have passed\n").as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

/// A client that waits for one answer.
async fn ask(to: SocketAddr, milliseconds: u64) -> io::Result<()> {
    let (mut reader, writer) = open_connection(to).await?;
    writer.write_all(format!("{milliseconds}\n").as_bytes()).await?;
    let mut answer = String::new();
    match reader.read_line(&mut answer).await? {
        0 => println!("  the client of {milliseconds} ms was closed without an answer"),
        _ => println!("  the client of {milliseconds} ms hears: {}", answer.trim_end()),
    }
    Ok(())
}

async fn run(waits: bool) -> io::Result<()> {
    let port = if waits { 7000 } else { 0 };
    // Every address of this machine, and no more than a thousand connections at once.
    let server = Server::builder()
        .name("answers")
        .max_connections(1000)
        .start_server(("localhost", port), answer)
        .await?;
    for address in server.sockets() {
        println!("listening on {address}");
    }
    if !waits {
        for milliseconds in [100, 600, 60_000] {
            spawn(ask(server.sockets()[0], milliseconds));
        }
        spawn(async {
            sleep(Duration::from_millis(300)).await;
            raise(Signal::SIGINT).expect("this process is there");
        });
    }
    ctrl_c().await?;
    println!("Ctrl-C: {} connections have a second to end", server.connections());
    let aborted = server.shutdown(Duration::from_secs(1)).await;
    println!("the end; {aborted} connections had to be aborted");
    sleep(Duration::from_millis(10)).await; // the clients of this process have their last word
    Ok(())
}

fn main() -> io::Result<()> {
    ringloop::run(run(std::env::args().nth(1).is_some_and(|word| word == "wait")))
}
