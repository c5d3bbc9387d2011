//! Pipes: the end to read and the end to write.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;

use super::by_call::Pipe;
use super::op::{ClosedOp, OpenOp};
use super::outbox::Piece;
use super::socket::Socket;
use super::tcp_stream::Handle;
use crate::buf::{Block, Lease};
use crate::op::Call;
use crate::runtime::{Core, Fd, Submit, current};
use crate::sys::file;
use crate::sys::pipe::{Description, Kind};

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
/// changed (but for a terminal's master): where it is shared, with a child or the shell, so are they. Two who read from the same end take each other's bytes.
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

/// The end of a pipe that is written; also of a terminal, another character device, or a socket.
///
/// What is written is taken by the writer's outbox and leaves in order, all that gathers in a turn of the loop
/// by one call, also when the writer is dropped right after: it flushes in the background, for at most
/// [`Builder::linger`](crate::Builder::linger), and then closes, which its reader takes for the end.
///
/// A pipe whose reader has gone gives `BrokenPipe`. SIGPIPE is never raised, whatever the program does with
/// it. The flags of a descriptor that was handed over are not changed; the loop does not wait for one that
/// blocks.
///
/// # Examples
///
/// See [`pipe`].
#[doc(alias = "connect_write_pipe")]
#[derive(Debug)]
pub struct PipeWriter {
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

impl PipeWriter {
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
    /// [`connect_write_pipe`].
    ///
    /// [`connect_write_pipe`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.connect_write_pipe
    ///
    /// # Errors
    ///
    /// `InvalidInput` for anything else, such as a regular file ([`fs::File`](crate::fs::File) writes those),
    /// and for one that was opened for reading only; it is closed then. `NotConnected` outside a runtime.
    pub fn from_std(pipe: impl Into<OwnedFd>) -> io::Result<Self> {
        take_over(pipe.into(), Direction::Write).map(Self::new)
    }

    /// Opens a named pipe (`mkfifo(3)`), or a character device, to write to it.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` for a named pipe that nobody reads: it can be opened once it has a reader (`ENXIO`; see
    /// `fifo(7)`). `NotFound`, `PermissionDenied` and what else `open(2)` says; `InvalidInput` where the path
    /// leads to something else; `NotConnected` outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes what was opened.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        open(path.as_ref(), Direction::Write).await.map(Self::new)
    }

    /// Gives the descriptor back to std. What was written is flushed first.
    ///
    /// It is a duplicate: its number differs. One that ringloop has made is in blocking mode then; the flags
    /// of any other are as they were.
    ///
    /// # Errors
    ///
    /// The flush's error, or what `fcntl(2)` says; the pipe is closed then.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the pipe: it is flushed and closed in the background.
    pub async fn into_std(self) -> io::Result<std::io::PipeWriter> {
        self.socket().flush().await?;
        duplicate(self.socket()).map(std::io::PipeWriter::from)
    }

    /// Hands all of `buf` to the writer's outbox, which runs at most 64 KiB ahead of the kernel.
    ///
    /// [`flush`](Self::flush) waits for the kernel.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` and what else `write(2)` says: an error that is already known; a later one is reported by
    /// the next write or flush.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it sends, in order, what had been taken; how much that was is not told.
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.socket().write_all(buf).await
    }

    /// Hands `bytes` over without copying. It waits for room, then takes all of them.
    ///
    /// # Errors
    ///
    /// As [`write_all`](Self::write_all).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, nothing was taken.
    pub async fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.socket().write_piece(Piece::Bytes(bytes)).await
    }

    /// Hands received bytes over without copying; they may come from any stream of the runtime.
    ///
    /// # Errors
    ///
    /// As [`write_all`](Self::write_all).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, nothing was taken; the lease goes with the future.
    pub async fn write_chunk(&mut self, lease: Lease) -> io::Result<()> {
        self.socket().write_piece(Piece::Lease(lease)).await
    }

    /// Hands over as much of `slices`, in order, as there is room for; returns how many bytes.
    ///
    /// # Errors
    ///
    /// As [`write_all`](Self::write_all).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, nothing was taken.
    #[doc(alias = "writelines")]
    pub async fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.socket().write_vectored(slices).await
    }

    /// Waits until the kernel has taken everything that was written.
    ///
    /// # Errors
    ///
    /// Why it could not be written.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    #[doc(alias = "drain")]
    pub async fn flush(&mut self) -> io::Result<()> {
        self.socket().flush().await
    }

    /// Flushes, then closes: the reader gets every byte and then the end. A pipe has no other way to tell its
    /// reader of an end.
    ///
    /// # Errors
    ///
    /// Why it could not be written; it is closed all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the pipe: it is flushed and closed in the background.
    #[doc(alias = "write_eof")]
    pub async fn close(self) -> io::Result<()> {
        self.socket().flush().await
    }

    /// Closes at once: what was written and has not left is discarded. Of a pipe the reader sees an end like
    /// any other.
    pub fn abort(self) {
        self.socket().abort();
    }

    /// Waits until nobody can read any more what would be written: the last reader of a pipe has gone, or a
    /// terminal has hung up. For a socket, until the peer has ended its own writing.
    ///
    /// asyncio's write transport of a pipe watches for that, too.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a device where that never shows; `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::run(async {
    ///     let (reader, mut writer) = ringloop::net::pipe()?;
    ///     drop(reader);
    ///     writer.closed().await?;
    ///     writer.write_all(b"for nobody").await?;
    ///     let error = writer.flush().await.unwrap_err();
    ///     assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    pub async fn closed(&self) -> io::Result<()> {
        self.socket().hangup().await
    }
}

impl Socket {
    /// Waits until nobody can read what would be written.
    pub(super) async fn hangup(self: &Rc<Self>) -> io::Result<()> {
        let closed = Submit::new(self.core().clone(), ClosedOp { socket: self.clone() });
        closed.await.map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => io::Error::new(
                io::ErrorKind::Unsupported,
                "this device does not show whether anybody reads what is written to it",
            ),
            _ => error,
        })
    }
}

/// Which end it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    Read,
    Write,
}

/// What `fd` is of.
pub(super) fn describe(core: &Core, fd: &Fd) -> io::Result<Description> {
    let mut description = Description { kind: Kind::Other, reads: false, writes: false };
    core.call(Call::Describe { fd: fd.raw(), description: &mut description })?;
    Ok(description)
}

/// Refuses what was opened for the other direction only: it would be waited for without an end.
pub(super) fn check(description: Description, direction: Direction) -> io::Result<()> {
    let (fits, only) = match direction {
        Direction::Read => (description.reads, "was opened for writing only"),
        Direction::Write => (description.writes, "was opened for reading only"),
    };
    if fits { Ok(()) } else { Err(refused(&format!("this descriptor {only}"))) }
}

/// Refuses what is read and written at positions, or not at all.
fn check_kind(kind: Kind) -> io::Result<()> {
    let what = match kind {
        Kind::Pipe | Kind::Socket | Kind::Terminal | Kind::Master | Kind::Device => return Ok(()),
        Kind::File => "a regular file; fs::File reads and writes those",
        Kind::Directory => "a directory",
        Kind::Other => "something else",
    };
    Err(refused(&format!(
        "a pipe, a socket or a character device is asked for, and this is {what}"
    )))
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// The stream of somebody's descriptor, whose flags stay as they are.
pub(super) fn foreign(fd: Fd, description: Description) -> Rc<Socket> {
    if description.kind == Kind::Socket {
        // Calls and requests on a socket say for themselves that they do not wait.
        let socket = Socket::new(fd);
        socket.blocks.set(true);
        return socket;
    }
    // A terminal cannot, nor does it say how much it would take; but it can be opened once more, with flags
    // that are ours.
    if description.kind == Kind::Terminal
        && let Some(own) = reopened(&fd, description)
    {
        return Socket::of_pipe(own, Pipe::ours(Kind::Terminal));
    }
    Socket::of_pipe(fd, Pipe::foreign(description))
}

/// `None` where it may not be opened.
fn reopened(fd: &Fd, description: Description) -> Option<Fd> {
    let access = match (description.reads, description.writes) {
        (true, true) => libc::O_RDWR,
        (true, false) => libc::O_RDONLY,
        _ => libc::O_WRONLY,
    };
    let core = fd.core();
    let own = core.call(Call::Reopen { fd: fd.raw(), flags: access }).ok()?;
    Some(Fd::new(own, core.clone()))
}

fn take_over(fd: OwnedFd, direction: Direction) -> io::Result<Rc<Socket>> {
    let core = current()?;
    let fd = Fd::new(file::into_raw(fd), core.clone());
    let description = describe(&core, &fd)?;
    check_kind(description.kind)?;
    check(description, direction)?;
    if description.kind == Kind::Master {
        // Opened once more it would be another terminal.
        core.call(Call::SetNonblocking { fd: fd.raw(), on: true })?;
        return Ok(Socket::of_pipe(fd, Pipe::ours(Kind::Master)));
    }
    Ok(foreign(fd, description))
}

async fn open(path: &Path, direction: Direction) -> io::Result<Rc<Socket>> {
    let core = current()?;
    let name = CString::new(path.as_os_str().as_bytes())?;
    let access = match direction {
        Direction::Read => libc::O_RDONLY,
        Direction::Write => libc::O_WRONLY,
    };
    let open = OpenOp {
        core: core.clone(),
        path: Block::copy_of(name.as_bytes_with_nul()),
        flags: access | libc::O_NONBLOCK | libc::O_NOCTTY,
    };
    let fd = Submit::new(core.clone(), open).await.map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) if direction == Direction::Write => io::Error::new(
            io::ErrorKind::BrokenPipe,
            format!(
                "nobody reads {}: a named pipe is written once it has a reader",
                path.display()
            ),
        ),
        _ => error,
    })?;
    let description = describe(&core, &fd)?;
    check_kind(description.kind)?;
    Ok(Socket::of_pipe(fd, Pipe::ours(description.kind)))
}

/// A duplicate for std, which waits in its calls.
fn duplicate(socket: &Socket) -> io::Result<OwnedFd> {
    let fd = socket.fd();
    let copy = fd.core().call(Call::Duplicate { fd: fd.raw() })?;
    let owned = file::own(copy);
    if socket.pipe.as_ref().is_some_and(|pipe| pipe.ours) {
        fd.core().call(Call::SetNonblocking { fd: copy, on: false })?;
    }
    Ok(owned)
}
