//! From one stream into another, without a stop.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::direct::{MOST, spend_for};
use super::halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::outbox::Piece;
use super::pipe::PipeReader;
use super::pipe_writer::PipeWriter;
use super::socket::Socket;
use super::stream_socket::StreamSocket;
use super::tcp_stream::TcpStream;
use super::unix::UnixStream;
use crate::op::Call;
use crate::sys::pipe::Kind;
use crate::task::poll_proceed;

/// Moves what has come by `from`, at most `most` bytes, on to `to`, waiting for the first byte and for room:
/// how many; 0 is the end of `from` (or a `most` of 0).
///
/// Where one of the two is a pipe and nothing stands between them, the bytes do not leave the kernel
/// (`splice(2)`); else received pieces are handed on without copying.
/// [`flush`](PipeWriter::flush) waits until the kernel has taken them.
///
/// # Errors
///
/// Those of reading `from` and of writing to `to`.
///
/// # Cancel safety
///
/// Dropping it loses nothing: nothing was moved.
///
/// # Examples
///
/// ```
/// use ringloop::net::{pipe, splice};
///
/// ringloop::run(async {
///     let (mut one, mut writer) = pipe()?;
///     let (mut reader, mut other) = pipe()?;
///     writer.write_all(b"hello").await?;
///     drop(writer);
///     while splice(&mut one, &mut other, usize::MAX).await? > 0 {}
///     drop(other);
///     assert_eq!(&reader.read_chunk().await?.unwrap()[..], b"hello");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
pub async fn splice(
    from: &mut impl SpliceFrom,
    to: &mut impl SpliceTo,
    most: usize,
) -> io::Result<usize> {
    if most == 0 {
        return Ok(0);
    }
    let (from, to) = (from.source(), to.target());
    poll_fn(|cx| poll_splice(from, to, cx, most)).await
}

/// A stream that [`splice`] moves bytes out of.
#[expect(private_bounds, reason = "sealed: only streams of this crate can be")]
pub trait SpliceFrom: Source {}

/// A stream that [`splice`] moves bytes into.
#[expect(private_bounds, reason = "sealed: only streams of this crate can be")]
pub trait SpliceTo: Target {}

trait Source {
    fn source(&self) -> &Rc<Socket>;
}

trait Target {
    fn target(&self) -> &Rc<Socket>;
}

macro_rules! source {
    ($(<$($any:ident)?> $stream:ty),* $(,)?) => {$(
        impl$(<$any: StreamSocket>)? Source for $stream {
            fn source(&self) -> &Rc<Socket> {
                self.socket()
            }
        }

        impl$(<$any: StreamSocket>)? SpliceFrom for $stream {}
    )*};
}

macro_rules! target {
    ($(<$($any:ident)?> $stream:ty),* $(,)?) => {$(
        impl$(<$any: StreamSocket>)? Target for $stream {
            fn target(&self) -> &Rc<Socket> {
                self.socket()
            }
        }

        impl$(<$any: StreamSocket>)? SpliceTo for $stream {}
    )*};
}

source!(<> PipeReader, <> TcpStream, <> UnixStream, <S> ReadHalf<'_, S>, <S> OwnedReadHalf<S>);
target!(<> PipeWriter, <> TcpStream, <> UnixStream, <S> WriteHalf<'_, S>, <S> OwnedWriteHalf<S>);

fn poll_splice(
    from: &Rc<Socket>,
    to: &Rc<Socket>,
    cx: &Context<'_>,
    most: usize,
) -> Poll<io::Result<usize>> {
    ready!(poll_proceed(cx));
    let outbox = to.may_put()?;
    if outbox.room() == 0 {
        return to.park_writer(outbox, cx);
    }
    let nothing_before = outbox.is_empty();
    drop(outbox);
    if nothing_before && from.may_splice(to) {
        match from.splice_now(to, most) {
            Ok(0) => {}
            moved => return Poll::Ready(moved),
        }
    }
    // Nobody else takes or puts before this poll is over.
    let lease = ready!(from.poll_take(cx, |inbox| inbox.pop_at_most(most)))?;
    let Some(lease) = lease.flatten() else { return Poll::Ready(Ok(0)) };
    let n = lease.len();
    to.put_piece(Piece::Lease(lease))?;
    Poll::Ready(Ok(n))
}

impl Socket {
    /// Whether bytes may go straight from here to there.
    fn may_splice(&self, to: &Self) -> bool {
        let is_pipe = |socket: &Self| socket.pipe.as_ref().is_some_and(|p| p.kind == Kind::Pipe);
        // A socket that somebody has handed over may be one that blocks, and cannot be told not to here. One that
        // receives descriptors would lose them.
        let is_ours = |socket: &Self| {
            socket.pipe.is_none() && !socket.blocks.get() && socket.rights.borrow().is_none()
        };
        let fit = match (is_pipe(self), is_pipe(to)) {
            (true, true) => true,
            (true, false) => is_ours(to),
            (false, true) => is_ours(self),
            (false, false) => false,
        };
        fit && self.may_fetch(&self.inbox.borrow())
    }

    /// One `splice(2)`: how many bytes; 0 where a read has to answer.
    fn splice_now(&self, to: &Self, most: usize) -> io::Result<usize> {
        let core = self.core();
        let call = Call::Splice { from: self.fd.raw(), to: to.fd.raw(), len: most.min(MOST) };
        match core.call_directly(call) {
            Ok(n) => {
                spend_for(n);
                Ok(n)
            }
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {
                // Nothing was there before, so nothing is lost.
                to.outbox.borrow_mut().fail(libc::EPIPE, core.spares());
                Err(error)
            }
            Err(_) => Ok(0),
        }
    }
}
