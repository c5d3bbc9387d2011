//! Waiting until a foreign descriptor is ready.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

use super::op::PollOp;
use crate::op::Call;
use crate::runtime::{Fd, Submit, current};

/// Waits until a descriptor that belongs to somebody else can be read or written; asyncio's
/// `add_reader` and `add_writer`, as futures.
///
/// It watches a duplicate of its own, so the descriptor may be closed at any time.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
///
/// ringloop::run(async {
///     let (ours, mut theirs) = UnixStream::pair()?;
///     theirs.write_all(b"x")?;
///     ringloop::net::Readiness::new(&ours)?.readable().await
/// }).unwrap();
/// ```
#[doc(alias = "add_reader")]
#[doc(alias = "add_writer")]
#[derive(Debug)]
pub struct Readiness {
    fd: Rc<Fd>,
}

impl Readiness {
    /// Watches `fd`.
    ///
    /// # Errors
    ///
    /// No descriptor is left for the duplicate; `NotConnected` outside a runtime.
    pub fn new(fd: &impl AsFd) -> io::Result<Self> {
        let core = current()?;
        let copy = core.call(Call::Duplicate { fd: fd.as_fd().as_raw_fd() })?;
        Ok(Self { fd: Rc::new(Fd::new(copy, core)) })
    }

    /// Waits until it can be read: there are bytes, the end, or an error. A regular file always can,
    /// as for `poll(2)`.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.poll(libc::POLLIN).await
    }

    /// Waits until it can be written: there is room, or an error. It also returns, room or not, once
    /// the peer has shut down writing: that is asked for as well.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.poll(libc::POLLOUT).await
    }

    async fn poll(&self, events: libc::c_short) -> io::Result<()> {
        let poll = PollOp { fd: self.fd.clone(), events: events as u32 };
        Submit::new(self.fd.core().clone(), poll).await
    }
}
