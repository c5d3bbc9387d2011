//! What a [`Call`] means.

use std::io::{self, IoSlice};
use std::os::fd::RawFd;

use super::{ready, retry};
use crate::op::{Call, Way};
use crate::sys::{datagram, file, pipe, rights, socket};

/// Does a control call.
pub(in crate::driver) fn call(call: Call<'_>) -> io::Result<i32> {
    match call {
        Call::Socket { domain, kind, protocol } => socket::socket(domain, kind, protocol),
        Call::Pair { kind, fds } => socket::pair(kind, fds),
        Call::Bind { fd, address } => socket::bind(fd, address),
        Call::Listen { fd, backlog } => socket::listen(fd, backlog),
        Call::SetOption { fd, level, name, value } => socket::set_option(fd, level, name, value),
        Call::GetOption { fd, level, name, value } => socket::option(fd, level, name, value),
        Call::LocalAddr { fd, address } => socket::local_addr(fd, address),
        Call::PeerAddr { fd, address } => socket::peer_addr(fd, address),
        Call::Shutdown { fd, how } => socket::shutdown(fd, how),
        Call::AcceptNow { fd } => retry(|| socket::accept(fd)),
        Call::RecvNow { fd, into } => {
            let len = most(into.len());
            moved(|| socket::recv_slice(fd, &mut into[..len]))
        }
        Call::SendNow { fd, bytes } => {
            let len = most(bytes.len());
            moved(|| socket::send_slice(fd, &bytes[..len]))
        }
        Call::RecvFds { fd, into, rights } => {
            let len = most(into.len());
            moved(|| rights::recv(fd, &mut into[..len], rights))
        }
        Call::SendFds { fd, bytes, fds } => {
            let len = most(bytes.len());
            moved(|| rights::send(fd, &bytes[..len], fds))
        }
        Call::RecvFromNow { fd, into, from, peek } => {
            moved(|| datagram::recv_from(fd, into, from, peek))
        }
        Call::SendDatagram { fd, datagram } => moved(|| datagram::send(fd, datagram)),
        Call::SendDatagrams { fd, datagrams } => moved(|| datagram::send_many(fd, datagrams)),
        Call::ReadNow { fd, into, offset } => {
            let len = most(into.len());
            moved(|| file::read_slice_now(fd, &mut into[..len], offset))
        }
        Call::ReadStream { fd, into, way } => {
            let len = most(into.len());
            moved(|| read_stream(fd, &mut into[..len], way))
        }
        Call::WriteStream { fd, slices, way, quiet } => {
            moved(|| write_stream(fd, slices, way, quiet))
        }
        Call::Splice { from, to, len } => moved(|| pipe::splice(from, to, most(len))),
        Call::Pipe { fds } => {
            *fds = pipe::pipe()?;
            Ok(0)
        }
        Call::Describe { fd, description } => {
            *description = pipe::describe(fd)?;
            Ok(0)
        }
        Call::Reopen { fd, flags } => pipe::reopen(fd, flags),
        Call::SetMode { fd, mode } => file::set_mode(fd, mode),
        Call::SetNonblocking { fd, on } => file::set_nonblocking(fd, on),
        Call::Duplicate { fd } => file::duplicate(fd),
    }
}

/// What a call that moves bytes (or datagrams) came to: how many.
fn moved(syscall: impl FnMut() -> io::Result<usize>) -> io::Result<i32> {
    retry(syscall).map(|len| len as i32)
}

/// So much of `len` that a result can say it.
fn most(len: usize) -> usize {
    len.min(i32::MAX as usize)
}

/// Reads from a stream that is no socket, if something is there.
fn read_stream(fd: RawFd, into: &mut [u8], way: Way) -> io::Result<usize> {
    match way {
        Way::Flag => pipe::read_now(fd, into),
        Way::Plain => pipe::read(fd, into),
        Way::Asked => {
            ready(fd, libc::POLLIN)?;
            pipe::read(fd, into)
        }
    }
}

/// Writes to a stream that is no socket, if it has room.
fn write_stream(fd: RawFd, slices: &[IoSlice<'_>], way: Way, quiet: bool) -> io::Result<usize> {
    let mut some = [IoSlice::new(&[])];
    let slices = if way == Way::Asked {
        ready(fd, libc::POLLOUT)?;
        let first: &[u8] = slices.first().map_or(&[], |slice| slice);
        some[0] = IoSlice::new(&first[..first.len().min(libc::PIPE_BUF)]);
        &some
    } else {
        slices
    };
    let now = way == Way::Flag;
    if quiet {
        return pipe::write(fd, slices, now, true);
    }
    pipe::without_sigpipe(|| pipe::write(fd, slices, now, false))
}
