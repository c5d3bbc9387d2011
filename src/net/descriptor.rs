//! Descriptors that become streams by calls: what they are of, which are refused, whose flags they have.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::by_call::Pipe;
use super::socket::Socket;
use crate::buf::Block;
use crate::op::Call;
use crate::runtime::{Core, Fd, OpenOp, Submit, current};
use crate::sys::file;
use crate::sys::pipe::{Description, Kind};

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
        // It may be a Unix one, where a multishot may lose the end (`uring-sys-notes/multishot-receive.md`).
        socket.inbox.borrow_mut().one_shot = true;
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

pub(super) fn take_over(fd: OwnedFd, direction: Direction) -> io::Result<Rc<Socket>> {
    let core = current()?;
    let fd = Fd::new(file::into_raw(fd), core.clone());
    let description = describe(&core, &fd)?;
    check_kind(description.kind)?;
    check(description, direction)?;
    if description.kind == Kind::Master {
        // A write would wait where the terminal takes less; opened once more it would be another terminal. Whoever
        // else has this end may set its flags again, so it is asked all the same.
        core.call(Call::SetNonblocking { fd: fd.raw(), on: true })?;
    }
    Ok(foreign(fd, description))
}

pub(super) async fn open(path: &Path, direction: Direction) -> io::Result<Rc<Socket>> {
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
        mode: 0,
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
pub(super) fn duplicate(socket: &Socket) -> io::Result<OwnedFd> {
    let fd = socket.fd();
    let copy = fd.core().call(Call::Duplicate { fd: fd.raw() })?;
    let owned = file::own(copy);
    if socket.pipe.as_ref().is_some_and(|pipe| pipe.ours) {
        fd.core().call(Call::SetNonblocking { fd: copy, on: false })?;
    }
    Ok(owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_stream_that_was_handed_over_as_a_pipe_receives_one_shot() {
        crate::runtime::run(async {
            let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            let socket = take_over(ours.into(), Direction::Read).unwrap();
            assert!(socket.inbox.borrow().one_shot, "a multishot may lose its end");
        });
    }
}
