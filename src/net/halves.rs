//! The two directions of a stream, held apart.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;

use bytes::Bytes;

use super::outbox::Piece;
use super::socket::Socket;
use super::tcp_stream::{Handle, TcpStream, local_addr, peer_addr};
use crate::buf::Lease;

/// The receiving side of a stream, borrowed; from [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a> {
    socket: &'a Rc<Socket>,
}

/// The sending side of a stream, borrowed; from [`TcpStream::split`].
#[derive(Debug)]
pub struct WriteHalf<'a> {
    socket: &'a Rc<Socket>,
}

/// The receiving side of a stream, owned; from [`TcpStream::into_split`].
///
/// Dropping it ends receiving. The connection closes when both halves are gone.
#[derive(Debug)]
pub struct OwnedReadHalf {
    handle: Option<Rc<Handle>>,
}

/// The sending side of a stream, owned; from [`TcpStream::into_split`].
///
/// Dropping it sends, in the background, what was written, and then ends the stream for the peer
/// (`shutdown(2)` of writing).
#[derive(Debug)]
pub struct OwnedWriteHalf {
    handle: Option<Rc<Handle>>,
}

impl<'a> ReadHalf<'a> {
    pub(super) fn new(socket: &'a Rc<Socket>) -> Self {
        Self { socket }
    }

    fn socket(&self) -> &Rc<Socket> {
        self.socket
    }
}

impl<'a> WriteHalf<'a> {
    pub(super) fn new(socket: &'a Rc<Socket>) -> Self {
        Self { socket }
    }

    fn socket(&self) -> &Rc<Socket> {
        self.socket
    }
}

impl OwnedReadHalf {
    pub(super) fn new(handle: Rc<Handle>) -> Self {
        Self { handle: Some(handle) }
    }

    fn socket(&self) -> &Rc<Socket> {
        &self.handle.as_ref().expect("only drop and reunite take it").0
    }

    /// Puts the two halves of one stream together again.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`], with both halves, if they are not of one stream.
    pub fn reunite(mut self, mut other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Rc::ptr_eq(self.socket(), other.socket()) {
            return Err(ReuniteError(self, other));
        }
        drop(other.handle.take());
        let handle = self.handle.take().and_then(Rc::into_inner);
        Ok(TcpStream::from_handle(handle.expect("a stream has two halves")))
    }
}

impl OwnedWriteHalf {
    pub(super) fn new(handle: Rc<Handle>) -> Self {
        Self { handle: Some(handle) }
    }

    fn socket(&self) -> &Rc<Socket> {
        &self.handle.as_ref().expect("only drop and reunite take it").0
    }

    /// Puts the two halves of one stream together again.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`], with both halves, if they are not of one stream.
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        other.reunite(self)
    }
}

impl Drop for OwnedReadHalf {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.0.close_read();
        }
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.0.close_write();
        }
    }
}

/// Two halves that were not of one stream; they are inside.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are not of one stream")
    }
}

impl std::error::Error for ReuniteError {}

macro_rules! read_half {
    ($($half:ty),*) => {$(
        impl $half {
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
        impl $half {
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
        impl $half {
            /// The address of the peer.
            ///
            /// # Errors
            ///
            /// `NotConnected` when the peer has gone.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                peer_addr(self.socket().fd())
            }

            /// The local address.
            ///
            /// # Errors
            ///
            /// `NotConnected` once the runtime has ended.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                local_addr(self.socket().fd())
            }
        }
    )*};
}

read_half!(ReadHalf<'_>, OwnedReadHalf);
write_half!(WriteHalf<'_>, OwnedWriteHalf);
any_half!(ReadHalf<'_>, WriteHalf<'_>, OwnedReadHalf, OwnedWriteHalf);
