//! The echo server on smol: one thread, a `LocalExecutor` under `smol::block_on`.
//!
//! A local task a connection, `read` and `write_all` on a buffer of its own.

use std::io;
use std::net::TcpListener as StdListener;

use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use smol::{Async, LocalExecutor};

pub(super) fn serve(listener: StdListener, buffer: usize) -> io::Result<()> {
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let listener = TcpListener::from(Async::new(listener)?);
        loop {
            let (stream, _) = listener.accept().await?;
            executor.spawn(echo(stream, buffer)).detach();
        }
    }))
}

async fn echo(mut stream: TcpStream, buffer: usize) -> io::Result<()> {
    let mut buf = vec![0; buffer];
    loop {
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..n]).await?;
    }
}
