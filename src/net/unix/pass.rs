//! Passing descriptors: the public side, of streams and of their halves.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::UnixStream;
use crate::net::halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};

impl UnixStream {
    /// Lets descriptors come in from now on. [`recv_fds`](Self::recv_fds) does so by itself; it is for
    /// those who [`read`](Self::read) something else before: a plain read without it loses the
    /// descriptors that come, as `read(2)` does.
    ///
    /// With it plain reads may stand between, and what came with their bytes waits for the next
    /// `recv_fds`; no more than 1012 descriptors, then they are lost, which that one says.
    ///
    /// # Errors
    ///
    /// `InvalidInput` where the stream was read from already, or somebody waited for it.
    pub fn accept_fds(&mut self) -> io::Result<()> {
        self.socket().accept_fds()
    }

    /// Reads as [`read`](Self::read) does, and takes the descriptors that came along, in order. They are
    /// owned and close-on-exec: dropped, they are closed.
    ///
    /// Descriptors come at the latest with the first of the bytes that they were sent with, and the
    /// bytes of one call end before the next ones. Together with the first call this stream begins to let
    /// descriptors in; see [`accept_fds`](Self::accept_fds).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); `InvalidInput` as [`accept_fds`](Self::accept_fds); once, where
    /// descriptors were lost because this process has no room for them (`EMFILE`): the bytes that they came
    /// with are still to be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses neither bytes nor descriptors: they stay with the stream.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io::Read;
    /// use std::os::fd::AsFd;
    /// use ringloop::net::UnixStream;
    ///
    /// ringloop::run(async {
    ///     let (mut one, mut other) = UnixStream::pair()?;
    ///     let file = File::open("/proc/self/exe")?;
    ///     one.send_fds(b"here it is", &[file.as_fd()]).await?;
    ///     let mut buf = [0; 16];
    ///     let (n, fds) = other.recv_fds(&mut buf).await?;
    ///     assert_eq!(&buf[..n], b"here it is");
    ///     let [fd] = fds.try_into().expect("one was sent");
    ///     File::from(fd).read_exact(&mut buf)?;
    ///     assert_eq!(&buf[1..4], b"ELF");
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    #[doc(alias = "SCM_RIGHTS")]
    #[doc(alias = "recvmsg")]
    pub async fn recv_fds(&mut self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        self.socket().recv_fds(buf).await
    }

    /// Sends all of `buf`, and duplicates of `fds` along with its first byte; `SCM_RIGHTS`, see `unix(7)`.
    /// What was written before goes before; it waits for that.
    ///
    /// # Errors
    ///
    /// As [`write_all`](Self::write_all); `InvalidInput` for an empty `buf`, or for more than 253
    /// descriptors; `ETOOMANYREFS` where too many are on their way.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has sent nothing, or the descriptors and, in order, a part of `buf`: not less than the
    /// kernel took at once.
    ///
    /// # Examples
    ///
    /// See [`recv_fds`](Self::recv_fds).
    #[doc(alias = "SCM_RIGHTS")]
    #[doc(alias = "sendmsg")]
    pub async fn send_fds(&mut self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.socket().send_fds(buf, fds).await
    }
}

macro_rules! receiving {
    ($($half:ty),*) => {$(
        impl $half {
            /// As [`UnixStream::accept_fds`].
            ///
            /// # Errors
            ///
            /// As [`UnixStream::accept_fds`].
            pub fn accept_fds(&mut self) -> io::Result<()> {
                self.stream().socket().accept_fds()
            }

            /// As [`UnixStream::recv_fds`].
            ///
            /// # Errors
            ///
            /// As [`UnixStream::recv_fds`].
            ///
            /// # Cancel safety
            ///
            /// Dropping it loses neither bytes nor descriptors.
            pub async fn recv_fds(&mut self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
                self.stream().socket().recv_fds(buf).await
            }
        }
    )*};
}

macro_rules! sending {
    ($($half:ty),*) => {$(
        impl $half {
            /// As [`UnixStream::send_fds`].
            ///
            /// # Errors
            ///
            /// As [`UnixStream::send_fds`].
            ///
            /// # Cancel safety
            ///
            /// As [`UnixStream::send_fds`].
            pub async fn send_fds(&mut self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
                self.stream().socket().send_fds(buf, fds).await
            }
        }
    )*};
}

receiving!(ReadHalf<'_, UnixStream>, OwnedReadHalf<UnixStream>);
sending!(WriteHalf<'_, UnixStream>, OwnedWriteHalf<UnixStream>);
