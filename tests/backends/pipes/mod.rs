//! Pipes, with a name and without, terminals, and the standard streams.

mod named;
mod peers;
mod reads;
mod signals;
mod stdio;
mod terminals;
mod writes;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use ringloop::net::PipeReader;

use crate::tcp::check;

/// Reads to the end and checks the pattern; gives the number of bytes.
async fn read_pattern(reader: &mut PipeReader) -> io::Result<usize> {
    let (mut position, mut buf) = (0, vec![0; 65536]);
    loop {
        match reader.read(&mut buf).await? {
            0 => return Ok(position),
            n => position = check(&buf[..n], position),
        }
    }
}

/// The status flags of a descriptor's open file.
#[expect(unsafe_code, reason = "fcntl(2)")]
fn flags(fd: &impl std::os::fd::AsFd) -> i32 {
    let fd: BorrowedFd<'_> = fd.as_fd();
    // SAFETY: F_GETFL takes no argument.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }
}

/// Whether the open file is in non-blocking mode.
fn is_nonblocking(fd: &impl std::os::fd::AsFd) -> bool {
    flags(fd) & libc::O_NONBLOCK != 0
}

/// A path that is nobody's, until it is dropped.
struct Temporary(std::path::PathBuf);

impl Temporary {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("ringloop-pipes-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// A named pipe.
    fn fifo() -> Self {
        let path = Self::new();
        let made = std::process::Command::new("mkfifo").arg(&path.0).status().unwrap();
        assert!(made.success());
        path
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
