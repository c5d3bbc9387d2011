//! What every stream socket can, whatever its family.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use bytes::Bytes;

use super::halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::options::{self, Setting};
use super::outbox::Piece;
use super::socket::Socket;
use super::tcp_stream::{Handle, TcpStream};
use super::unix::UnixStream;
use crate::buf::Lease;
use crate::op::Call;
use crate::sys::file;

/// A connection that carries bytes both ways, and whose ways can be held apart: [`TcpStream`] and
/// [`UnixStream`].
///
/// It is for bounds, where either is taken, and sealed: nobody else can implement it.
///
/// # Examples
///
/// ```
/// use ringloop::net::{OwnedReadHalf, StreamSocket, UnixStream};
///
/// /// How many bytes come until the end.
/// async fn count<S: StreamSocket>(mut reader: OwnedReadHalf<S>) -> std::io::Result<usize> {
///     let mut count = 0;
///     while let Some(chunk) = reader.read_chunk().await? {
///         count += chunk.len();
///     }
///     Ok(count)
/// }
///
/// ringloop::run(async {
///     let (mut one, other) = UnixStream::pair()?;
///     one.write_all(b"hello").await?;
///     drop(one);
///     assert_eq!(count(other.into_split().0).await?, 5);
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
pub trait StreamSocket: sealed::Sealed {
    /// What its ends are called: [`std::net::SocketAddr`] or [`std::os::unix::net::SocketAddr`].
    type Addr: std::fmt::Debug;
}

pub(super) mod sealed {
    use super::{Handle, StreamSocket, io};

    #[expect(unnameable_types, reason = "sealed: nobody outside may implement or call it")]
    pub trait Sealed: Sized + std::fmt::Debug {
        #[doc(hidden)]
        fn handle(&self) -> &Handle;

        #[doc(hidden)]
        fn peer(&self) -> io::Result<Self::Addr>
        where
            Self: StreamSocket;

        #[doc(hidden)]
        fn local(&self) -> io::Result<Self::Addr>
        where
            Self: StreamSocket;

        #[doc(hidden)]
        fn into_handle(self) -> Handle;
    }
}

macro_rules! stream_socket {
    ($($stream:ident),*) => {$(
        impl $stream {
            /// Reads what has arrived into `buf`, waiting for the first byte; 0 is the end of the
            /// stream (or of an empty `buf`).
            ///
            /// # Errors
            ///
            /// `ConnectionReset` and what else `recv(2)` says, after all bytes that came before;
            /// `NotConnected` once the runtime has ended.
            ///
            /// # Cancel safety
            ///
            /// Dropping it loses nothing: bytes stay with the stream.
            pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.socket().read(buf).await
            }

            /// Lends the next received piece without copying it; `None` is the end of the stream.
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

            /// As [`read`](Self::read), but the bytes stay to be read again. It sees what has been
            /// received, which may grow.
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

            /// Hands all of `buf` to the stream's outbox, which runs at most 64 KiB ahead of the
            /// kernel.
            ///
            /// Small writes of one turn leave in one send. [`flush`](Self::flush) waits for the kernel.
            ///
            /// # Errors
            ///
            /// `BrokenPipe`, `ConnectionReset`, …: an error that is already known; a later one is
            /// reported by the next write, flush or shutdown.
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

            /// Hands received bytes over without copying; they may come from any stream of the
            /// runtime.
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
            pub async fn write_vectored(
                &mut self,
                slices: &[io::IoSlice<'_>],
            ) -> io::Result<usize> {
                self.socket().write_vectored(slices).await
            }

            /// Waits until the kernel has taken everything that was written.
            ///
            /// # Errors
            ///
            /// Why it could not be sent.
            ///
            /// # Cancel safety
            ///
            /// Dropping it changes nothing.
            #[doc(alias = "drain")]
            pub async fn flush(&mut self) -> io::Result<()> {
                self.socket().flush().await
            }

            /// Ends reading, writing or both; `shutdown(2)`. Ending writing flushes first, so the peer
            /// gets every byte and then the end.
            ///
            /// # Errors
            ///
            /// The flush's error; `NotConnected` when the peer has gone.
            ///
            /// # Cancel safety
            ///
            /// Dropped before it is done, nothing was shut down.
            #[doc(alias = "write_eof")]
            pub async fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
                self.socket().shutdown(how).await
            }

            /// Splits into two halves that borrow the stream.
            pub fn split(&mut self) -> (ReadHalf<'_, $stream>, WriteHalf<'_, $stream>) {
                (ReadHalf::new(self), WriteHalf::new(self))
            }

            /// Splits into two halves that own the stream together.
            pub fn into_split(self) -> (OwnedReadHalf<$stream>, OwnedWriteHalf<$stream>) {
                let stream = Rc::new(self);
                (OwnedReadHalf::new(stream.clone()), OwnedWriteHalf::new(stream))
            }

            /// The kernel's receive buffer, in bytes; it says twice what was set, for its own use.
            ///
            /// # Errors
            ///
            /// What `getsockopt(2)` says.
            pub fn recv_buffer_size(&self) -> io::Result<usize> {
                self.option(libc::SOL_SOCKET, libc::SO_RCVBUF).map(|n| n.max(0) as usize)
            }

            /// Sets the kernel's receive buffer, in bytes.
            ///
            /// # Errors
            ///
            /// What `setsockopt(2)` says.
            pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
                let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
                self.set(Setting::int(libc::SOL_SOCKET, libc::SO_RCVBUF, bytes))
            }

            /// The kernel's send buffer, in bytes; it says twice what was set, for its own use.
            ///
            /// # Errors
            ///
            /// What `getsockopt(2)` says.
            pub fn send_buffer_size(&self) -> io::Result<usize> {
                self.option(libc::SOL_SOCKET, libc::SO_SNDBUF).map(|n| n.max(0) as usize)
            }

            /// Sets the kernel's send buffer, in bytes.
            ///
            /// # Errors
            ///
            /// What `setsockopt(2)` says.
            pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
                let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
                self.set(Setting::int(libc::SOL_SOCKET, libc::SO_SNDBUF, bytes))
            }

            pub(super) fn option(&self, level: i32, name: i32) -> io::Result<i32> {
                let fd = self.socket().fd();
                options::get(fd.core(), fd.raw(), level, name)
            }

            pub(super) fn set(&self, setting: Setting) -> io::Result<()> {
                let fd = self.socket().fd();
                options::set(fd.core(), fd.raw(), setting)
            }
        }

        impl sealed::Sealed for $stream {
            fn handle(&self) -> &Handle {
                self.handle()
            }

            fn peer(&self) -> io::Result<<Self as StreamSocket>::Addr> {
                self.peer_addr()
            }

            fn local(&self) -> io::Result<<Self as StreamSocket>::Addr> {
                self.local_addr()
            }

            fn into_handle(self) -> Handle {
                self.into_handle()
            }
        }
    )*};
}

stream_socket!(TcpStream, UnixStream);

impl StreamSocket for TcpStream {
    type Addr = std::net::SocketAddr;
}

impl StreamSocket for UnixStream {
    type Addr = std::os::unix::net::SocketAddr;
}

/// Flushes and stops receiving: a duplicate in blocking mode, and the bytes that nobody has read.
pub(super) async fn hand_over(socket: &Rc<Socket>) -> io::Result<(OwnedFd, Bytes)> {
    socket.flush().await?;
    let parked = socket.quiesce().await?;
    let fd = socket.fd();
    let copy = fd.core().call(Call::Duplicate { fd: fd.raw() })?;
    let owned = file::own(copy);
    fd.core().call(Call::SetNonblocking { fd: copy, on: false })?;
    Ok((owned, Bytes::from(parked)))
}
