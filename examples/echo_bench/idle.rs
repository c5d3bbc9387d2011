//! What an idle connection costs the server in memory.
//!
//! A fresh server is warmed up by one connection, which touches every shared buffer; then many
//! connections each echo one message and fall silent. The memory that the server has written to
//! since, divided by their number, is the cost of one: its task, its stream, and its buffers if it
//! keeps any. The kernel's own memory for the sockets is not in it.

use std::io;
use std::time::Duration;

use ringloop::net::TcpStream;

use crate::interrupt::Interrupt;
use crate::pattern::Pattern;
use crate::server::Server;

/// Connections that are opened, where the limit of open files allows.
pub(crate) const CONNECTIONS: usize = 2000;

/// Messages and bytes in each of the warm-up.
const WARM_UP: (u64, usize) = (2000, 16 * 1024);
/// How long the server may take to come to rest.
const REST: Duration = Duration::from_millis(200);

/// Bytes a connection; `None` where the user has interrupted, or the kernel does not tell.
pub(crate) async fn bytes_per_connection(
    server: &Server,
    connections: usize,
    interrupt: &Interrupt,
) -> io::Result<Option<f64>> {
    let pattern = Pattern::new();
    let (messages, size) = WARM_UP;
    let mut stream = TcpStream::connect(server.echo).await?;
    for message in 0..messages {
        echo(&mut stream, &pattern, 0, message * size as u64, size).await?;
    }
    drop(stream);
    if !interrupt.pause(REST).await {
        return Ok(None);
    }

    let before = server.private_bytes();
    let mut streams = Vec::with_capacity(connections);
    for number in 0..connections {
        let mut stream = TcpStream::connect(server.echo).await?;
        echo(&mut stream, &pattern, number, 0, 64).await?;
        streams.push(stream);
    }
    if !interrupt.pause(REST).await {
        return Ok(None);
    }
    let bytes = server.private_bytes().zip(before);
    Ok(bytes.map(|(after, before)| (after as f64 - before as f64) / connections as f64))
}

/// Sends one message and checks its echo.
async fn echo(
    stream: &mut TcpStream,
    pattern: &Pattern,
    number: usize,
    at: u64,
    size: usize,
) -> io::Result<()> {
    let track = pattern.track(number);
    stream.write_all(track.piece(at, size)).await?;
    let mut received = 0;
    while received < size {
        match stream.read_chunk().await? {
            Some(chunk) if track.check(at + received as u64, &chunk).is_ok() => {
                received += chunk.len()
            }
            _ => return Err(io::Error::other("an echo came back incomplete or wrong")),
        }
    }
    Ok(())
}
