//! The echo server on glommio: a `LocalExecutor`.
//!
//! A local task a connection, `read` and `write_all` on a buffer of its own.

use std::io;
use std::net::TcpListener as StdListener;
use std::os::fd::{FromRawFd, IntoRawFd};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement};

/// Of each of its rings; more than the connections of any workload.
const ENTRIES: usize = 4096;

pub(super) fn serve(listener: StdListener, buffer: usize) -> io::Result<()> {
    super::find_ring("glommio")?;
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .ring_depth(ENTRIES)
        .make()
        .map_err(|error| io::Error::other(format!("glommio made no executor: {error}")))?;
    executor.run(async {
        // SAFETY: given up by its owner.
        let listener = unsafe { TcpListener::from_raw_fd(listener.into_raw_fd()) };
        loop {
            let stream = listener.accept().await?;
            glommio::spawn_local(echo(stream, buffer)).detach();
        }
    })
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
