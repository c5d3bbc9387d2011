//! ringloop's echo servers.

use std::io;
use std::net::TcpListener as StdListener;

use ringloop::net::{TcpListener, TcpStream};
use ringloop::protocol::{Protocol, Transport, connect_accepted_socket};
use ringloop::{BackendChoice, Builder, spawn};

/// Each received piece is lent, and handed on as it is.
pub(super) fn leases(listener: StdListener, backend: BackendChoice) -> io::Result<()> {
    serve(listener, backend, |mut stream| async move {
        while let Some(chunk) = stream.read_chunk().await? {
            stream.write_chunk(chunk).await?;
        }
        Ok(())
    })
}

/// Each connection has a buffer of its own.
pub(super) fn slices(listener: StdListener, buffer: usize) -> io::Result<()> {
    serve(listener, BackendChoice::Uring, move |mut stream| async move {
        let mut buf = vec![0; buffer];
        loop {
            let n = stream.read(&mut buf).await?;
            if n == 0 {
                return Ok(());
            }
            stream.write_all(&buf[..n]).await?;
        }
    })
}

/// asyncio's reader and writer, with a buffer of one's own.
pub(super) fn streams(listener: StdListener, buffer: usize) -> io::Result<()> {
    serve(listener, BackendChoice::Uring, move |stream| async move {
        let (mut reader, writer) = stream.into_stream();
        let mut buf = vec![0; buffer];
        loop {
            let n = reader.read(&mut buf).await?;
            if n == 0 {
                return Ok(());
            }
            writer.write(&buf[..n])?;
            writer.drain().await?;
        }
    })
}

/// asyncio's transport and protocol.
pub(super) fn protocols(listener: StdListener) -> io::Result<()> {
    let mut runtime = Builder::new().backend(BackendChoice::Uring).build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            drop(spawn(connect_accepted_socket(|| Echo, stream)));
        }
    })
}

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        if transport.write(data) {
            transport.pause_reading();
        }
    }

    fn resume_writing(&mut self, transport: &Transport) {
        transport.resume_reading();
    }
}

fn serve<F: Future<Output = io::Result<()>> + 'static>(
    listener: StdListener,
    backend: BackendChoice,
    echo: impl Fn(TcpStream) -> F,
) -> io::Result<()> {
    let mut runtime = Builder::new().backend(backend).build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            drop(spawn(echo(stream)));
        }
    })
}
