//! An echo server on tokio.

use std::io;
use std::net::TcpListener;

pub(super) fn serve(listener: TcpListener, buffer: usize) -> io::Result<()> {
    todo!("tokio: {listener:?} {buffer}")
}
