//! A real peer: Python's asyncio, as server and as client.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ringloop::net::{UnixListener, UnixStream};
use ringloop::spawn;
use ringloop::time::sleep;

use super::Folder;
use crate::support::run_on_each;
use crate::tcp::{check, pattern};

/// Sends back what it reads, and ends when the peer does.
const SERVER: &str = "
import asyncio, sys
async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_unix_server(echo, sys.argv[1])
    async with server:
        await server.serve_forever()
asyncio.run(main())
";

/// A hundred connections at once: each writes, ends its side, and reads all of it back.
const CLIENT: &str = "
import asyncio, sys
async def one(number):
    reader, writer = await asyncio.open_unix_connection(sys.argv[1])
    sent = bytes([number]) * (1000 * number + 1)
    writer.write(sent)
    writer.write_eof()
    got = await reader.read()
    assert got == sent, (number, len(got), len(sent))
    writer.close()
    await writer.wait_closed()
async def main():
    await asyncio.gather(*(one(n) for n in range(100)))
asyncio.run(main())
";

/// Takes a file from us, and answers with another and with what stands in ours.
const PASSER: &str = "
import socket, sys, os, tempfile
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    data, fds, flags, _ = socket.recv_fds(s, 64, 4)
    assert data == b'a file' and len(fds) == 2 and flags == 0, (data, fds, flags)
    text = b''.join(os.pread(fd, 64, 0) for fd in fds)
    with tempfile.TemporaryFile() as file:
        file.write(b'of python')
        file.flush()
        socket.send_fds(s, [text], [file.fileno()])
    assert s.recv(64) == b''
";

struct Python(Child);

impl Python {
    /// `None` without Python.
    fn start(script: &str, path: &std::path::Path) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(path).stdin(Stdio::null());
        match command.spawn() {
            Ok(child) => Some(Self(child)),
            Err(error) => {
                eprintln!("skipped: no python3 ({error})");
                None
            }
        }
    }

    async fn ends_well(&mut self) {
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
fn pythons_echo_server_gives_all_bytes_back() {
    const LEN: usize = 3_000_000;
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("python");
        let Some(_python) = Python::start(SERVER, &path) else { return };
        let stream = loop {
            match UnixStream::connect(&path).await {
                Ok(stream) => break stream,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        };
        let (mut reader, mut writer) = stream.into_split();
        let writes = spawn(async move {
            let mut at = 0;
            while at < LEN {
                let some = pattern(at, (LEN - at).min(100_000));
                writer.write_all(some).await.unwrap();
                at += some.len();
            }
            writer.shutdown().await.unwrap();
        });
        let mut at = 0;
        while let Some(chunk) = reader.read_chunk().await.unwrap() {
            at = check(&chunk, at);
        }
        assert_eq!(at, LEN);
        writes.await.unwrap();
    });
}

#[test]
fn a_hundred_clients_of_pythons_are_served() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("ours");
        let listener = UnixListener::bind(&path).await.unwrap();
        let Some(mut python) = Python::start(CLIENT, &path) else { return };
        drop(spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                drop(spawn(async move {
                    let mut buf = vec![0; 4096];
                    while let Ok(n @ 1..) = stream.read(&mut buf).await {
                        if stream.write_all(&buf[..n]).await.is_err() {
                            return;
                        }
                    }
                }));
            }
        }));
        python.ends_well().await;
    });
}

#[test]
fn files_go_to_python_and_come_back() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("ours");
        let listener = UnixListener::bind(&path).await.unwrap();
        let Some(mut python) = Python::start(PASSER, &path) else { return };
        let (mut stream, _) = listener.accept().await.unwrap();
        let files = ["one", "two"].map(|word| {
            std::fs::write(folder.join(word), word).unwrap();
            File::open(folder.join(word)).unwrap()
        });
        let fds = [files[0].as_fd(), files[1].as_fd()];
        stream.send_fds(b"a file", &fds).await.unwrap();
        let mut buf = [0; 64];
        let (n, fds) = stream.recv_fds(&mut buf).await.unwrap();
        assert_eq!((&buf[..n], fds.len()), (&b"onetwo"[..], 1));
        let file = File::from(fds.into_iter().next().unwrap());
        let n = file.read_at(&mut buf, 0).unwrap();
        assert_eq!(&buf[..n], b"of python");
        drop(stream);
        python.ends_well().await;
    });
}
