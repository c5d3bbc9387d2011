//! Real peers: Python's asyncio, and curl.

use std::process::{Child, Command, Output, Stdio};

use ringloop::protocol::{Protocol, Transport};
use ringloop::server::{Server, create_server, start_server};
use ringloop::stream::{Reader, Writer};

use super::{echo, nothing_is_left};
use crate::support::run_on_each;
use crate::tcp::{LOCAL, until};

/// A hundred connections at once: each writes, by streams or as a protocol, ends its side, and gets
/// all of it back.
const PYTHON: &str = "
import asyncio, sys
host, port = sys.argv[1], int(sys.argv[2])
def bytes_of(number):
    return bytes([number]) * (3000 * number + 1)
async def stream(number):
    reader, writer = await asyncio.open_connection(host, port)
    sent = bytes_of(number)
    for at in range(0, len(sent), 10007):
        writer.write(sent[at:at + 10007])
        await writer.drain()
    writer.write_eof()
    got = await reader.read()
    assert got == sent, (number, len(got), len(sent))
    writer.close()
    await writer.wait_closed()
class Client(asyncio.Protocol):
    def __init__(self, number, done):
        self.sent, self.got, self.done = bytes_of(number), bytearray(), done
    def connection_made(self, transport):
        transport.write(self.sent)
        transport.write_eof()
    def data_received(self, data):
        self.got += data
    def connection_lost(self, error):
        self.done.set_result((error, self.got == self.sent))
async def protocol(number):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    await loop.create_connection(lambda: Client(number, done), host, port)
    assert await done == (None, True), number
async def abort(number):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(bytes_of(number))
    await reader.read(1)
    writer.transport.abort()
async def main():
    kinds = [stream, protocol, abort]
    await asyncio.gather(*(kinds[n % 3](n) for n in range(100)))
asyncio.run(main())
";

/// The words of a program that ended well; `None`, said aloud, where it is not installed.
async fn run(program: &str, args: &[String]) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child: Child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("skipped: {program} cannot be started ({error})");
            return None;
        }
    };
    let waiting = std::thread::spawn(move || child.wait_with_output().unwrap());
    until(|| waiting.is_finished()).await;
    let output = waiting.join().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {}\n{words}", output.status);
    Some(output)
}

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }
}

async fn python(server: Server) {
    let address = server.sockets()[0];
    let args = ["-c".into(), PYTHON.into(), address.ip().to_string(), address.port().to_string()];
    run("python3", &args).await;
    server.close();
    server.wait_closed().await;
    drop(server);
    nothing_is_left().await;
}

#[test]
fn a_hundred_clients_of_pythons_are_served_by_streams() {
    run_on_each(|| async {
        let server = start_server(LOCAL, |reader, writer| async move {
            // A third of them aborts.
            let _ = echo(reader, writer).await;
        });
        python(server.await.unwrap()).await;
    });
}

#[test]
fn a_hundred_clients_of_pythons_are_served_by_protocols() {
    run_on_each(|| async {
        python(create_server(|| Echo, LOCAL).await.unwrap()).await;
    });
}

/// HTTP/1.0, as much of it as curl needs.
async fn http(mut reader: Reader, writer: Writer) -> std::io::Result<()> {
    let mut request = String::new();
    reader.read_line(&mut request).await?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).await?;
        let header = header.trim_end().to_ascii_lowercase();
        if let Some(text) = header.strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    let path = request.split(' ').nth(1).unwrap_or_default();
    let answer = match path.strip_prefix("/bytes/").map(str::parse) {
        Some(Ok(n)) => vec![b'x'; n],
        _ => body,
    };
    writer
        .write(format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len()).as_bytes())?;
    for piece in answer.chunks(50_000) {
        writer.write(piece)?;
        writer.drain().await?;
    }
    Ok(())
}

#[test]
fn curl_gets_and_posts_to_a_server_by_streams() {
    run_on_each(|| async {
        let server = start_server(LOCAL, http).await.unwrap();
        let address = server.sockets()[0];
        for length in [0, 1, 70_000, 10_000_000] {
            let args = ["-sS", "--http1.0", &format!("http://{address}/bytes/{length}")];
            let Some(output) = run("curl", &args.map(String::from)).await else { return };
            assert_eq!(output.stdout.len(), length);
            assert!(output.stdout.iter().all(|byte| *byte == b'x'));
        }
        let url = format!("http://{address}/");
        let args = ["-sS", "--http1.0", "--data-binary", "all of this", &url];
        let Some(output) = run("curl", &args.map(String::from)).await else { return };
        assert_eq!(output.stdout, b"all of this");
        assert_eq!(server.shutdown(std::time::Duration::from_secs(20)).await, 0);
    });
}
