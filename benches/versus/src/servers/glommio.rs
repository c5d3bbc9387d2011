//! An echo server on glommio.

use std::io;
use std::net::TcpListener;

pub(super) fn serve(listener: TcpListener, buffer: usize) -> io::Result<()> {
    todo!("glommio: {listener:?} {buffer}")
}
