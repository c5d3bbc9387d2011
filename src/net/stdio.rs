//! The standard streams of the process.

use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;

use super::descriptor::{Direction, check, describe, foreign};
use super::pipe::PipeReader;
use super::pipe_writer::PipeWriter;
use super::socket::Socket;
use crate::op::Call;
use crate::runtime::{Fd, current};

/// The standard input of the process: a pipe, a terminal, a socket, or a file.
///
/// The descriptor is a duplicate, so dropping the reader closes nothing of anybody else's, and its flags stay
/// as they are: other processes share them. What the reader has fetched and nobody has read is lost to others
/// who read the same input, as with [`std::io::stdin`], which is one of them. Make it once.
///
/// # Errors
///
/// The process has no such descriptor, or it was opened for the other direction; `NotConnected` outside a
/// runtime.
///
/// # Examples
///
/// ```no_run
/// ringloop::run(async {
///     let mut stdin = ringloop::net::stdin()?;
///     let mut stdout = ringloop::net::stdout()?;
///     while let Some(piece) = stdin.read_chunk().await? {
///         stdout.write_chunk(piece).await?;
///     }
///     stdout.flush().await
/// }).unwrap();
/// ```
pub fn stdin() -> io::Result<PipeReader> {
    standard(libc::STDIN_FILENO, Direction::Read).map(PipeReader::new)
}

/// The standard output of the process: a pipe, a terminal, a socket, or a file.
///
/// It is not buffered but by the turn of the loop, and has nothing to do with the buffer of
/// [`std::io::stdout`]. A terminal or a pipe that takes nothing does not hold up the loop. As for
/// [`stdin`], the descriptor is a duplicate and its flags stay as they are; a terminal is opened once more, for
/// flags of its own.
///
/// # Errors
///
/// As [`stdin`].
///
/// # Examples
///
/// ```
/// ringloop::run(async {
///     let mut stdout = ringloop::net::stdout()?;
///     stdout.write_all(b"hello\n").await?;
///     stdout.flush().await
/// }).unwrap();
/// ```
pub fn stdout() -> io::Result<PipeWriter> {
    standard(libc::STDOUT_FILENO, Direction::Write).map(PipeWriter::new)
}

/// The standard error of the process, as [`stdout`].
///
/// # Errors
///
/// As [`stdin`].
pub fn stderr() -> io::Result<PipeWriter> {
    standard(libc::STDERR_FILENO, Direction::Write).map(PipeWriter::new)
}

fn standard(fd: RawFd, direction: Direction) -> io::Result<Rc<Socket>> {
    let core = current()?;
    let copy = Fd::new(core.call(Call::Duplicate { fd })?, core.clone());
    let description = describe(&core, &copy)?;
    check(description, direction)?;
    Ok(foreign(copy, description))
}
