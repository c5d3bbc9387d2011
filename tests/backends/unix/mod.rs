//! Unix sockets. What the tests share: a folder for the files, and peers.

mod connect;
mod fds;
mod fds_ends;
mod fds_random;
mod halves;
mod listener;
mod python;
mod stream;

use std::os::unix::net::UnixStream as StdStream;

use ringloop::net::UnixStream;

pub(crate) use crate::support::Folder;

/// A stream of ours, and its peer: a blocking one of std.
pub(crate) fn with_std() -> (UnixStream, StdStream) {
    let (ours, theirs) = StdStream::pair().unwrap();
    (UnixStream::from_std(ours).unwrap(), theirs)
}
