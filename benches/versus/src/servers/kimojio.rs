//! An echo server on kimojio.

use std::io;
use std::net::TcpListener;

pub(super) fn serve(listener: TcpListener, buffer: usize) -> io::Result<()> {
    todo!("kimojio: {listener:?} {buffer}")
}
