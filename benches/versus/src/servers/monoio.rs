//! The echo server on monoio, with its io_uring driver.
//!
//! A task a connection, which lends its buffer to each `read` and `write_all` and gets it back.
//! Its ring has the set-up flags that monoio gives it by itself: none.

use std::io;
use std::net::TcpListener as StdListener;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};

/// Of the submission queue; more than the connections of any workload.
const ENTRIES: u32 = 4096;

pub(super) fn serve(listener: StdListener, buffer: usize) -> io::Result<()> {
    let mut runtime = RuntimeBuilder::<IoUringDriver>::new()
        .with_entries(ENTRIES)
        .build()
        .map_err(|error| super::no_ring("monoio", error))?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            monoio::spawn(echo(stream, buffer));
        }
    })
}

async fn echo(mut stream: TcpStream, buffer: usize) -> io::Result<()> {
    let mut buf = Vec::with_capacity(buffer);
    loop {
        let read;
        (read, buf) = stream.read(buf).await;
        if read? == 0 {
            return Ok(());
        }
        let written;
        (written, buf) = stream.write_all(buf).await;
        written?;
        buf.clear();
    }
}
