//! The two directions of a stream, held apart.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::ops::Range;
use std::os::fd::AsFd;
use std::rc::Rc;

use bytes::Bytes;

use super::outbox::Piece;
use super::socket::Socket;
use super::stream_socket::StreamSocket;
use super::tcp_stream::TcpStream;
use crate::buf::Lease;

/// The receiving side of a stream, borrowed; from [`TcpStream::split`] or
/// [`UnixStream::split`](super::UnixStream::split).
#[derive(Debug)]
pub struct ReadHalf<'a, S = TcpStream> {
    stream: &'a S,
}

/// The sending side of a stream, borrowed; from [`TcpStream::split`] or
/// [`UnixStream::split`](super::UnixStream::split).
#[derive(Debug)]
pub struct WriteHalf<'a, S = TcpStream> {
    stream: &'a S,
}

/// The receiving side of a stream, owned; from [`TcpStream::into_split`] or
/// [`UnixStream::into_split`](super::UnixStream::into_split).
///
/// Dropping it ends receiving. The connection closes when both halves are gone.
#[derive(Debug)]
pub struct OwnedReadHalf<S: StreamSocket = TcpStream> {
    stream: Option<Rc<S>>,
}

/// The sending side of a stream, owned; from [`TcpStream::into_split`] or
/// [`UnixStream::into_split`](super::UnixStream::into_split).
///
/// Dropping it sends, in the background, what was written, and then ends the stream for the peer
/// (`shutdown(2)` of writing).
#[derive(Debug)]
pub struct OwnedWriteHalf<S: StreamSocket = TcpStream> {
    stream: Option<Rc<S>>,
}

impl<'a, S: StreamSocket> ReadHalf<'a, S> {
    pub(super) fn new(stream: &'a S) -> Self {
        Self { stream }
    }

    pub(super) fn stream(&self) -> &S {
        self.stream
    }
}

impl<'a, S: StreamSocket> WriteHalf<'a, S> {
    pub(super) fn new(stream: &'a S) -> Self {
        Self { stream }
    }

    pub(super) fn stream(&self) -> &S {
        self.stream
    }
}

impl<S: StreamSocket> OwnedReadHalf<S> {
    pub(super) fn new(stream: Rc<S>) -> Self {
        Self { stream: Some(stream) }
    }

    pub(super) fn stream(&self) -> &S {
        self.stream.as_ref().expect("only drop and reunite take it")
    }

    /// Puts the two halves of one stream together again.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`], with both halves, if they are not of one stream.
    pub fn reunite(mut self, mut other: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !std::ptr::eq(self.stream(), other.stream()) {
            return Err(ReuniteError(self, other));
        }
        drop(other.stream.take());
        let stream = self.stream.take().and_then(Rc::into_inner);
        Ok(stream.expect("a stream has two halves"))
    }
}

impl<S: StreamSocket> OwnedWriteHalf<S> {
    pub(super) fn new(stream: Rc<S>) -> Self {
        Self { stream: Some(stream) }
    }

    pub(super) fn stream(&self) -> &S {
        self.stream.as_ref().expect("only drop and reunite take it")
    }

    /// Puts the two halves of one stream together again.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`], with both halves, if they are not of one stream.
    pub fn reunite(self, other: OwnedReadHalf<S>) -> Result<S, ReuniteError<S>> {
        other.reunite(self)
    }
}

impl<S: StreamSocket> Drop for OwnedReadHalf<S> {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            stream.handle().0.close_read();
        }
    }
}

impl<S: StreamSocket> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            stream.handle().0.close_write();
        }
    }
}

/// Two halves that were not of one stream; they are inside.
#[derive(Debug)]
pub struct ReuniteError<S: StreamSocket = TcpStream>(
    /// The receiving half.
    pub OwnedReadHalf<S>,
    /// The sending half.
    pub OwnedWriteHalf<S>,
);

impl<S: StreamSocket> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are not of one stream")
    }
}

impl<S: StreamSocket> std::error::Error for ReuniteError<S> {}

macro_rules! read_half {
    ($($half:ty),*) => {$(
        impl<S: StreamSocket> $half {
            /// As [`TcpStream::read`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::read`].
            ///
            /// # Cancel safety
            ///
            /// Dropping it loses nothing.
            pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.socket().read(buf).await
            }

            /// As [`TcpStream::read_chunk`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::read`].
            ///
            /// # Cancel safety
            ///
            /// Dropping it loses nothing.
            pub async fn read_chunk(&mut self) -> io::Result<Option<Lease>> {
                self.socket().read_chunk().await
            }

            /// As [`TcpStream::peek`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::read`].
            ///
            /// # Cancel safety
            ///
            /// Dropping it loses nothing.
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.socket().peek(buf).await
            }
        }
    )*};
}

macro_rules! write_half {
    ($($half:ty),*) => {$(
        impl<S: StreamSocket> $half {
            /// As [`TcpStream::write_all`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::write_all`].
            ///
            /// # Cancel safety
            ///
            /// Dropped, it sends, in order, what had been taken.
            pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                self.socket().write_all(buf).await
            }

            /// As [`TcpStream::write_bytes`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::write_all`].
            ///
            /// # Cancel safety
            ///
            /// Dropped before it is done, nothing was taken.
            pub async fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
                self.socket().write_piece(Piece::Bytes(bytes)).await
            }

            /// As [`TcpStream::write_chunk`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::write_all`].
            ///
            /// # Cancel safety
            ///
            /// Dropped before it is done, nothing was taken.
            pub async fn write_chunk(&mut self, lease: Lease) -> io::Result<()> {
                self.socket().write_piece(Piece::Lease(lease)).await
            }

            /// As [`TcpStream::write_vectored`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::write_all`].
            ///
            /// # Cancel safety
            ///
            /// Dropped before it is done, nothing was taken.
            pub async fn write_vectored(
                &mut self,
                slices: &[io::IoSlice<'_>],
            ) -> io::Result<usize> {
                self.socket().write_vectored(slices).await
            }

            /// As [`TcpStream::flush`].
            ///
            /// # Errors
            ///
            /// Why it could not be sent.
            ///
            /// # Cancel safety
            ///
            /// Dropping it changes nothing.
            pub async fn flush(&mut self) -> io::Result<()> {
                self.socket().flush().await
            }

            /// As [`TcpStream::send_file`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::send_file`].
            ///
            /// # Cancel safety
            ///
            /// Dropped, it sends, in order, what had been taken; `range` says how much that was.
            #[doc(alias = "sendfile")]
            pub async fn send_file(
                &mut self,
                file: &impl AsFd,
                range: &mut Range<u64>,
            ) -> io::Result<u64> {
                self.socket().send_file(file.as_fd(), range).await
            }

            /// As [`TcpStream::shutdown`] of writing.
            ///
            /// # Errors
            ///
            /// As [`TcpStream::shutdown`].
            ///
            /// # Cancel safety
            ///
            /// Dropped before it is done, nothing was shut down.
            pub async fn shutdown(&mut self) -> io::Result<()> {
                self.socket().shutdown(Shutdown::Write).await
            }
        }
    )*};
}

macro_rules! any_half {
    ($($half:ty),*) => {$(
        impl<S: StreamSocket> $half {
            /// The address of the peer.
            ///
            /// # Errors
            ///
            /// `NotConnected` when the peer has gone.
            pub fn peer_addr(&self) -> io::Result<S::Addr> {
                self.stream().peer()
            }

            /// The local address.
            ///
            /// # Errors
            ///
            /// `NotConnected` once the runtime has ended.
            pub fn local_addr(&self) -> io::Result<S::Addr> {
                self.stream().local()
            }

            pub(super) fn socket(&self) -> &Rc<Socket> {
                &self.stream().handle().0
            }
        }
    )*};
}

read_half!(ReadHalf<'_, S>, OwnedReadHalf<S>);
write_half!(WriteHalf<'_, S>, OwnedWriteHalf<S>);
any_half!(ReadHalf<'_, S>, WriteHalf<'_, S>, OwnedReadHalf<S>, OwnedWriteHalf<S>);
