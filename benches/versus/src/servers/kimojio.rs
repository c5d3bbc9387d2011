//! The echo server on kimojio: its operations on descriptors.
//!
//! A task a connection, `read` and `write` on a buffer of its own; its ring takes no settings.

use std::io;
use std::net::{TcpListener, TcpStream};

use kimojio::configuration::Configuration;
use kimojio::operations::{accept, read, spawn_task, write};
use kimojio::{Errno, Runtime};

pub(super) fn serve(listener: TcpListener, buffer: usize) -> io::Result<()> {
    super::find_ring("kimojio")?;
    let mut runtime = Runtime::new(0, Configuration::new());
    let served: Option<Result<io::Result<()>, _>> = runtime.block_on(async move {
        loop {
            let stream = TcpStream::from(accept(&listener).await?);
            spawn_task(echo(stream, buffer));
        }
    });
    match served {
        Some(Ok(served)) => served,
        Some(Err(panic)) => std::panic::resume_unwind(panic),
        None => Ok(()),
    }
}

async fn echo(stream: TcpStream, buffer: usize) -> Result<(), Errno> {
    let mut buf = vec![0; buffer];
    loop {
        let n = read(&stream, &mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        let mut written = 0;
        while written < n {
            written += write(&stream, &buf[written..n]).await?;
        }
    }
}
