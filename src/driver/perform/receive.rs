//! Receives into the pool.
#![expect(unsafe_code, reason = "has the kernel write into buffers of the pool")]

use std::io;
use std::os::fd::RawFd;

use super::{Attempt, attempt, retry};
use crate::buf::Pool;
use crate::op::Flags;
use crate::sys::message::HEAD;
use crate::sys::{datagram, file, socket};

/// What an attempt to receive into the pool came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::driver) enum Received {
    /// `len` bytes (at least one) of the `room` that they had are in these buffers, which the pool counts
    /// as taken: in the second what the first did not hold.
    Bytes { buffer: u16, second: Option<u16>, len: u32, room: u32 },
    /// No bytes and no buffer: 0 for EOF, else `-errno`.
    Ended(i32),
    /// Nothing has come.
    NotReady,
    /// Bytes are there, but no buffer.
    NoBuffer,
}

/// `recv(2)` into a buffer of the pool, which keeps it unless bytes came.
pub(in crate::driver) fn receive(fd: RawFd, pool: &Pool) -> Received {
    // SAFETY: this is a taken buffer of this size: the pool lends it to the driver alone, and keeps it
    // mapped.
    into_buffer(fd, pool, |ptr, size| unsafe { socket::recv(fd, ptr, size) })
}

/// `recvmsg(2)` into a buffer of the messages' pool, as [`receive`] does it. The bytes count the head,
/// so that there are always some.
pub(in crate::driver) fn receive_message(fd: RawFd, pool: &Pool) -> Received {
    let Some(pool) = pool.messages() else { return Received::Ended(-libc::ENOMEM) };
    // SAFETY: as in `receive`.
    into_buffer(fd, pool, |ptr, size| unsafe { datagram::recv_message(fd, ptr, size) })
}

/// Has `syscall` fill a buffer that is taken for it, of which it is given the place and the size.
fn into_buffer(
    fd: RawFd,
    pool: &Pool,
    syscall: impl Fn(*mut u8, usize) -> io::Result<usize>,
) -> Received {
    let Some((buffer, ptr)) = pool.take() else {
        return if readable(fd) { Received::NoBuffer } else { Received::NotReady };
    };
    let room = pool.size();
    match retry(|| syscall(ptr.as_ptr(), room as usize)) {
        Ok(len @ 1..) => Received::Bytes { buffer, second: None, len: len as u32, room },
        result => {
            pool.untake(buffer);
            nothing(result)
        }
    }
}

/// As [`receive`], into two buffers of the pool if there are as many.
pub(in crate::driver) fn receive_two(fd: RawFd, pool: &Pool) -> Received {
    let Some((buffer, ptr)) = pool.take() else { return receive(fd, pool) };
    let Some((second, next)) = pool.take() else {
        pool.untake(buffer);
        return receive(fd, pool);
    };
    let size = pool.size();
    let ptrs = [ptr.as_ptr(), next.as_ptr()];
    // SAFETY: the pool lends taken buffers of its size to the driver alone, and keeps them mapped.
    let result = retry(|| unsafe { socket::recv_two(fd, ptrs, size as usize) });
    let len = result.as_ref().map_or(0, |len| *len as u32);
    if len <= size {
        pool.untake(second);
    }
    if len > 0 {
        let second = (len > size).then_some(second);
        return Received::Bytes { buffer, second, len, room: 2 * size };
    }
    pool.untake(buffer);
    nothing(result)
}

/// What a receive without bytes came to.
fn nothing(result: io::Result<usize>) -> Received {
    match attempt(result) {
        Attempt::Done(result) => Received::Ended(result),
        Attempt::NotReady => Received::NotReady,
    }
}

/// Whether a recv would answer at once: bytes, EOF or an error.
fn readable(fd: RawFd) -> bool {
    !matches!(file::poll(fd, (libc::POLLIN | libc::POLLRDHUP) as u32), Ok(0))
}

/// The completion of what [`receive_message`] came to, which is not "not ready".
pub(in crate::driver) fn message(received: Received) -> (i32, Flags) {
    match received {
        Received::Bytes { buffer, len, .. } => {
            let flags = Flags::with_buffer(buffer);
            // An empty one ends it, as on io_uring.
            let more = len as usize > HEAD;
            (len as i32, if more { flags.and(Flags::MORE) } else { flags })
        }
        Received::Ended(result) => (result, Flags::NONE),
        Received::NoBuffer | Received::NotReady => (-libc::ENOBUFS, Flags::NONE),
    }
}

/// Whether `fd` is a TCP socket, where a short read says that nothing is left. It does not for
/// datagrams, nor for Unix streams, which stop at passed descriptors and credentials.
pub(in crate::driver) fn is_tcp(fd: RawFd) -> bool {
    let mut protocol = [0; size_of::<i32>()];
    socket::option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL, &mut protocol).is_ok()
        && i32::from_ne_bytes(protocol) == libc::IPPROTO_TCP
}
