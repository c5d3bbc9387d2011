//! Unix sockets: connections within a machine, by a path or an abstract name.

pub(super) mod addr;
mod file;
mod listener;
mod options;
mod stream;

pub use listener::UnixListener;
pub use options::UnixListenerOptions;
pub use stream::{UCred, UnixStream};
