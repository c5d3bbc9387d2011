//! A UDP echo server, and a client that asks it: what is sent comes back.
//!
//! ```text
//! cargo run --release --example udp_echo                           # both, in one process
//! cargo run --release --example udp_echo -- serve 127.0.0.1:7000
//! cargo run --release --example udp_echo -- ask 127.0.0.1:7000     # in another terminal
//! ```

use std::io::{self, Write as _};
use std::time::Duration;

use ringloop::net::{Transmit, UdpSocket};
use ringloop::time::timeout;

/// Sends back whatever comes, as many at once as have come.
async fn serve(socket: UdpSocket) -> io::Result<()> {
    let mut datagrams = Vec::new();
    loop {
        socket.recv_batch(&mut datagrams, 32).await?;
        // Lent, not copied: the answers leave from the buffers in which the questions came.
        let answers: Vec<_> =
            datagrams.iter().map(|datagram| Transmit::new(datagram).to(datagram.addr())).collect();
        let mut sent = 0;
        while sent < answers.len() {
            match socket.send_batch(&answers[sent..]).await {
                Ok(n) => sent += n,
                // One that cannot be answered must not end the server: it goes on behind it.
                Err(_) => sent += 1,
            }
        }
        drop(answers);
        datagrams.clear();
    }
}

/// Asks three times, and waits for each answer at most a second: datagrams may be lost on the way.
async fn ask(server: &str) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    socket.connect(server).await?;
    let mut answer = [0; 1500];
    for question in ["one", "two", ""] {
        socket.send(question.as_bytes()).await?;
        match timeout(Duration::from_secs(1), socket.recv(&mut answer)).await {
            Ok(Ok(n)) => {
                say(&format!("{question:?} → {:?}", String::from_utf8_lossy(&answer[..n])))?
            }
            // Nobody listens there: the host said so.
            Ok(Err(error)) => say(&format!("{question:?} → {error}"))?,
            Err(_) => say(&format!("{question:?} → no answer"))?,
        }
    }
    Ok(())
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    ringloop::run(async {
        match words[..] {
            ["serve", address] => {
                let socket = UdpSocket::bind(address).await?;
                say(&format!("listening on {}", socket.local_addr()?))?;
                serve(socket).await
            }
            ["ask", address] => ask(address).await,
            [] => {
                let socket = UdpSocket::bind("127.0.0.1:0").await?;
                let address = socket.local_addr()?.to_string();
                let _server = ringloop::spawn(serve(socket));
                ask(&address).await
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "say nothing, 'serve ADDRESS' or 'ask ADDRESS'",
            )),
        }
    })
}
