//! Debug mode finds the task that holds up the loop, and says what the others wait for.
//!
//! ```sh
//! cargo run --example debug
//! ```
//!
//! Any program is in debug mode with `RINGLOOP_DEBUG=1` in its environment; here the program asks for it.

use std::io;
use std::thread;
use std::time::Duration;

use ringloop::net::{TcpListener, TcpStream};
use ringloop::task::Spawn;
use ringloop::time::{sleep, timeout};
use ringloop::{Builder, debug};

/// Waits for a client's question, which never comes.
async fn answer(listener: TcpListener) -> io::Result<usize> {
    let (mut stream, _peer) = listener.accept().await?;
    stream.read(&mut [0; 64]).await
}

/// Looks harmless, and stops everybody: `thread::sleep` stands for a query of a database by a client that
/// blocks, for a large file, for a loop without an await.
async fn report() {
    loop {
        sleep(Duration::from_millis(50)).await;
        thread::sleep(Duration::from_millis(30));
    }
}

fn main() -> io::Result<()> {
    let mut runtime = Builder::new().debug(true).slow_poll(Duration::from_millis(20)).build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let server = Spawn::new().name("server").spawn(answer(listener));
        let waiting = Spawn::new().name("waits for the server").spawn(async {
            let _ = server.await;
        });
        let reporter = Spawn::new().name("reporter").spawn(report());

        // Meanwhile a line on standard error for each poll of the reporter.
        sleep(Duration::from_millis(200)).await;

        println!("All tasks, and what they wait for:\n\n{}", debug::tree());
        println!("The same for programs:\n\n{}\n", debug::tree().to_json());

        reporter.cancel();
        drop(client);
        match timeout(Duration::from_secs(1), waiting).await {
            Ok(_) => println!("The client has gone, and the server with it."),
            Err(elapsed) => println!("The server still waits: {elapsed}"),
        }
        Ok(())
    })
}
