//! A real peer: Python's asyncio, as client and as server.

use std::io::{BufRead, BufReader, ErrorKind};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ringloop::net::TcpListener;
use ringloop::spawn;
use ringloop::stream::{copy, open_connection};
use ringloop::task::JoinSet;
use ringloop::time::sleep;

use super::{LOCAL, pattern};
use crate::support::run_on_each;

/// A hundred connections at once. Each sends lines and reads their echo, then a block of up to some
/// MiB; it ends its side, and sees ours.
const CLIENT: &str = "
import asyncio, sys
port = int(sys.argv[1])
async def one(number):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    for i in range(20):
        line = f'{number} {i} {\"x\" * (number * i)}\\n'.encode()
        writer.write(line)
        await writer.drain()
        assert await reader.readline() == line, (number, i)
    sent = bytes([number]) * (65536 if number else 20 << 20)
    writer.write(sent)
    writer.write_eof()
    got = await reader.read()
    assert got == sent, (number, len(got), len(sent))
    writer.close()
    await writer.wait_closed()
async def main():
    await asyncio.gather(*(one(n) for n in range(100)))
    # One that aborts in the middle, of which the server hears as well.
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(b'never whole')
    await writer.drain()
    writer.transport.abort()
asyncio.run(main())
";

/// Answers by what the first line says.
const SERVER: &str = "
import asyncio
async def serve(reader, writer):
    what = (await reader.readline()).strip()
    if what == b'echo':
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    elif what == b'records':
        for n in range(1000):
            writer.write(b'r' * n + b'\\r\\n')
        await writer.drain()
    elif what == b'exactly':
        data = await reader.readexactly(1 << 20)
        writer.write(data[::-1])
    elif what == b'abort':
        writer.write(b'some')
        await writer.drain()
        await reader.readexactly(1)
        writer.transport.abort()
        return
    writer.close()
    await writer.wait_closed()
async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()
asyncio.run(main())
";

struct Python(Child);

impl Python {
    /// `None` without Python.
    fn start(script: &str, argument: &str) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", script, argument]).stdin(Stdio::null()).stdout(Stdio::piped());
        match command.spawn() {
            Ok(child) => Some(Self(child)),
            Err(error) => {
                eprintln!("skipped: no python3 ({error})");
                None
            }
        }
    }

    /// Its next line.
    fn says(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    async fn ends_well(mut self) {
        let status = loop {
            match self.0.try_wait().unwrap() {
                Some(status) => break status,
                None => sleep(Duration::from_millis(5)).await,
            }
        };
        assert!(status.success(), "{status}: its words are above");
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_hundred_clients_of_python_are_served_lines_and_blocks_and_half_closes() {
    run_on_each(|| async {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let Some(python) = Python::start(CLIENT, &port) else { return };
        let mut handlers = JoinSet::new();
        for _ in 0..101 {
            let (mut reader, writer) = listener.accept().await.unwrap().0.into_stream();
            handlers.spawn(async move {
                let mut line = String::new();
                for _ in 0..20 {
                    line.clear();
                    reader.read_line(&mut line).await?;
                    writer.write_all(line.as_bytes()).await?;
                }
                let copied = copy(&mut reader, &writer).await?;
                writer.write_eof()?;
                writer.close();
                writer.wait_closed().await?;
                std::io::Result::Ok(copied)
            });
        }
        let (mut copied, mut failed) = (0, 0);
        while let Some(handler) = handlers.join_next().await {
            match handler.unwrap() {
                Ok(n) => copied += n,
                // The one that aborts, depending on when that is seen.
                Err(error) => {
                    use ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
                    let kinds = [BrokenPipe, ConnectionReset, NotConnected];
                    assert!(kinds.contains(&error.kind()), "{error}");
                    failed += 1;
                }
            }
        }
        assert!(copied == 99 * 65536 + (20 << 20) && failed <= 1, "{copied}, {failed}");
        python.ends_well().await;
    });
}

#[test]
fn a_server_of_python_is_understood_lines_and_blocks_half_closes_and_aborts() {
    run_on_each(|| async {
        let Some(mut python) = Python::start(SERVER, "") else { return };
        let address = format!("127.0.0.1:{}", python.says());

        let (mut reader, writer) = open_connection(&address).await.unwrap();
        let all = pattern(20 << 20);
        writer.write(b"echo\n").unwrap();
        let sent = all.clone();
        let sending = spawn(async move {
            for piece in sent.chunks(100_000) {
                writer.write_all(piece).await.unwrap();
            }
            writer.write_eof().unwrap();
            writer
        });
        let mut got = Vec::new();
        reader.read_to_end(&mut got).await.unwrap();
        assert!(got == all);
        sending.await.unwrap();

        let (mut reader, writer) = open_connection(&address).await.unwrap();
        writer.write_all(b"records\n").await.unwrap();
        let mut lines = reader.lines();
        for n in 0..1000 {
            assert_eq!(lines.next_line().await.unwrap().map(str::len), Some(n));
        }
        assert_eq!(lines.next_line().await.unwrap(), None);

        let (mut reader, writer) = open_connection(&address).await.unwrap();
        writer.write(b"exactly\n").unwrap();
        writer.write_all(&all[..1 << 20]).await.unwrap();
        let mut back = vec![0; 1 << 20];
        reader.read_exact(&mut back).await.unwrap();
        assert!(back.iter().rev().eq(&all[..1 << 20]));
        assert_eq!(reader.read(&mut back).await.unwrap(), 0);

        let (mut reader, writer) = open_connection(&address).await.unwrap();
        writer.write_all(b"abort\nx").await.unwrap();
        let mut some = [0; 4];
        reader.read_exact(&mut some).await.unwrap();
        // It closes with nothing unread, and so without a reset: its end is an end.
        assert_eq!(reader.read(&mut some).await.unwrap(), 0);
        writer.close();
        writer.wait_closed().await.unwrap();
    });
}
