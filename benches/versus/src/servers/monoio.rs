//! An echo server on monoio.

use std::io;
use std::net::TcpListener;

pub(super) fn serve(listener: TcpListener, buffer: usize) -> io::Result<()> {
    todo!("monoio: {listener:?} {buffer}")
}
