//! Pipes: how they are made, and the end to read.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;

use super::by_call::Pipe;
use super::descriptor::{Direction, duplicate, open, take_over};
use super::pipe_writer::PipeWriter;
use super::socket::Socket;
use super::tcp_stream::Handle;
use crate::buf::Lease;
use crate::op::Call;
use crate::runtime::{Fd, current};
use crate::sys::pipe::Kind;

/// Makes a pipe: what is written to the one is read from the other; `pipe2(2)`.
///
/// Both ends are closed when a program is executed (`O_CLOEXEC`). To give one to a child, take it
/// [out](PipeReader::into_std).
///
/// # Errors
///
/// No descriptors are left; `NotConnected` outside a runtime.
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     let (mut reader, mut writer) = ringloop::net::pipe()?;
///     writer.write_all(b"hello").await?;
///     drop(writer);
///     let mut buf = [0; 16];
///     assert_eq!(reader.read(&mut buf).await?, 5);
///     assert_eq!(reader.read(&mut buf).await?, 0, "the writer has gone");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let core = current()?;
    let mut fds = [-1; 2];
    core.call(Call::Pipe { fds: &mut fds })?;
    let [reader, writer] =
        fds.map(|fd| Socket::of_pipe(Fd::new(fd, core.clone()), Pipe::ours(Kind::Pipe)));
    Ok((PipeReader::new(reader), PipeWriter::new(writer)))
}

/// The end of a pipe that is read; also of a terminal, another character device, or a socket.
///
/// What has been fetched belongs to the reader, not to the call that waits: a dropped `read` loses nothing.
/// Nothing is fetched before the first read. The flags of a descriptor that was handed over are not
/// changed (but for a terminal's master): where it is shared, with a child or the shell, so are they.
/// Two who read from the same end take each other's bytes.
///
/// # Examples
///
/// The output of a program:
///
/// ```
/// use std::process::{Command, Stdio};
/// use ringloop::net::PipeReader;
///
/// ringloop::run(async {
///     let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
///     let mut output = PipeReader::from_std(child.stdout.take().unwrap())?;
///     let mut text = Vec::new();
///     while let Some(piece) = output.read_chunk().await? {
///         text.extend_from_slice(&piece);
///     }
///     assert_eq!(text, b"hello\n");
///     child.wait().map(drop)
/// }).unwrap();
/// ```
#[doc(alias = "connect_read_pipe")]
#[derive(Debug)]
pub struct PipeReader {
    handle: Handle,
}

impl PipeReader {
    pub(super) fn new(socket: Rc<Socket>) -> Self {
        Self { handle: Handle(socket) }
    }

    pub(super) fn into_handle(self) -> Handle {
        self.handle
    }

    pub(super) fn socket(&self) -> &Rc<Socket> {
        &self.handle.0
    }

    /// Takes over a descriptor: a pipe, a terminal or another character device, a socket. asyncio's
    /// [`connect_read_pipe`].
    ///
    /// [`connect_read_pipe`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.connect_read_pipe
    ///
    /// # Errors
    ///
    /// `InvalidInput` for anything else, such as a regular file ([`fs::File`](crate::fs::File) reads those),
    /// and for one that was opened for writing only; it is closed then. `NotConnected` outside a runtime.
    pub fn from_std(pipe: impl Into<OwnedFd>) -> io::Result<Self> {
        take_over(pipe.into(), Direction::Read).map(Self::new)
    }

    /// Opens a named pipe (`mkfifo(3)`), or a character device, to read it.
    ///
    /// It does not wait for a writer; the first read does.
    ///
    /// # Errors
    ///
    /// `NotFound`, `PermissionDenied` and what else `open(2)` says; `InvalidInput` where the path leads to
    /// something else; `NotConnected` outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes what was opened.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        open(path.as_ref(), Direction::Read).await.map(Self::new)
    }

    /// Gives the descriptor back to std, with the bytes that had been fetched and were not read.
    ///
    /// It is a duplicate: its number differs. One that ringloop has made is in blocking mode then; the flags
    /// of any other are as they were.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` says; the pipe is closed then.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the pipe.
    pub async fn into_std(self) -> io::Result<(std::io::PipeReader, Bytes)> {
        let parked = self.socket().quiesce().await?;
        let pipe = std::io::PipeReader::from(duplicate(self.socket())?);
        Ok((pipe, Bytes::from(parked)))
    }

    /// Reads what has come into `buf`, waiting for the first byte; 0 is the end (or an empty `buf`): all
    /// writers have gone.
    ///
    /// # Errors
    ///
    /// What `read(2)` says; `NotConnected` once the runtime has ended. That the last program on a terminal
    /// has gone, its master is told by an end and not, as by the kernel, by `EIO`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: bytes stay with the reader.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket().read(buf).await
    }

    /// Lends the next piece that has come, without copying it where it is large; `None` is the end.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn read_chunk(&mut self) -> io::Result<Option<Lease>> {
        self.socket().read_chunk().await
    }

    /// As [`read`](Self::read), but the bytes stay to be read again. It sees what has been fetched, which
    /// may grow.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket().peek(buf).await
    }
}
