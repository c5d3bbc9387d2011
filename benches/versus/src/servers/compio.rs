//! The echo server on compio, with its io_uring driver.
//!
//! A task a connection, which lends its buffer to each `read` and `write_all` and gets it back.

use std::io;
use std::net::TcpListener as StdListener;

use compio::BufResult;
use compio::driver::{DriverType, ProactorBuilder};
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::Runtime;

/// Of the submission queue; more than the connections of any workload.
const ENTRIES: u32 = 4096;

pub(super) fn serve(listener: StdListener, buffer: usize) -> io::Result<()> {
    let mut proactor = ProactorBuilder::new();
    proactor.driver_type(DriverType::IoUring).capacity(ENTRIES);
    // "Optimize performance for most cases", and the flag that its documentation gives with it.
    proactor.coop_taskrun(true).taskrun_flag(true);
    let runtime = Runtime::builder()
        .with_proactor(proactor)
        .build()
        .map_err(|error| super::no_ring("compio", error))?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            compio::runtime::spawn(echo(stream, buffer)).detach();
        }
    })
}

async fn echo(mut stream: TcpStream, buffer: usize) -> io::Result<()> {
    let mut buf = Vec::with_capacity(buffer);
    loop {
        let BufResult(read, filled) = stream.read(buf).await;
        if read? == 0 {
            return Ok(());
        }
        let BufResult(written, filled) = stream.write_all(filled).await;
        written?;
        buf = filled;
        buf.clear();
    }
}
