//! An echo server on compio.

use std::io;
use std::net::TcpListener;

pub(super) fn serve(listener: TcpListener, buffer: usize) -> io::Result<()> {
    todo!("compio: {listener:?} {buffer}")
}
