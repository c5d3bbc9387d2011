//! Unix sockets: connections within a machine, by a path or an abstract name.

pub(super) mod addr;
mod datagram;
mod file;
mod listener;
mod op;
mod options;
mod pass;
mod rights;
mod stream;

pub use datagram::UnixDatagram;
pub use listener::UnixListener;
pub use options::UnixListenerOptions;
pub(super) use rights::Parked;
pub use stream::{UCred, UnixStream};
