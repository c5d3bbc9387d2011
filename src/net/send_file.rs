//! Files into streams.
//!
//! ```text
//!   page cache ──preadv2(RWF_NOWAIT)──► one large block ──send(2)──► kernel     within the poll
//!                                                └─ what did not fit ──► outbox
//!   disk ──the driver's queue──► a block ──► outbox
//! ```
//!
//! Not by `sendfile(2)` or `splice(2)`, which wait for the disk and can be told not to by no flag: the loop
//! would stand still, or a thread wait for each. What is copied here is copied within the processor's cache.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::descriptor::describe;
use super::outbox::Piece;
use super::pipe_writer::PipeWriter;
use super::socket::Socket;
use super::tcp_stream::TcpStream;
use super::unix::UnixStream;
use crate::op::Call;
use crate::runtime::{Fd, ReadOp, Submit};
use crate::sys::pipe::Kind;
use crate::task::{poll_proceed, spend};

/// Bytes of one read that waits for the disk.
const COLD: usize = 64 << 10;

macro_rules! send_file {
    ($($stream:ty),*) => {$(
        impl $stream {
            /// Writes a part of a file: the bytes of `range`, or those up to the end of the file; returns how
            /// many. asyncio's [`sendfile`].
            ///
            /// `range.start` moves on with each piece that is taken, so after an error, or a drop,
            /// `range` is what is left. The position of the file is neither used nor changed. Each file
            /// can be sent: there is no fallback to ask for. [`flush`](Self::flush) waits for the kernel.
            ///
            /// [`sendfile`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.sendfile
            ///
            /// # Errors
            ///
            /// As [`write_all`](Self::write_all); what `pread(2)` says of the file; `InvalidInput` for
            /// what is no regular file, and for a range that begins above `i64::MAX`.
            ///
            /// # Cancel safety
            ///
            /// Dropped, it sends, in order, what had been taken; `range` says how much that was.
            ///
            /// # Examples
            ///
            /// ```
            /// use ringloop::net::{TcpListener, TcpStream};
            ///
            /// ringloop::run(async {
            ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
            ///     let mut client = TcpStream::connect(listener.local_addr()?).await?;
            ///     let (mut server, _) = listener.accept().await?;
            ///     let file = std::fs::File::open("/proc/self/exe")?;
            ///     assert_eq!(server.send_file(&file, &mut (1..4)).await?, 3);
            ///     let mut buf = [0; 8];
            ///     assert_eq!(client.read(&mut buf).await?, 3);
            ///     assert_eq!(&buf[..3], b"ELF");
            ///     std::io::Result::Ok(())
            /// }).unwrap();
            /// ```
            #[doc(alias = "sendfile")]
            #[doc(alias = "sock_sendfile")]
            pub async fn send_file(
                &mut self,
                file: &impl AsFd,
                range: &mut Range<u64>,
            ) -> io::Result<u64> {
                self.socket().send_file(file.as_fd(), range).await
            }
        }
    )*};
}

send_file!(TcpStream, UnixStream, PipeWriter);

impl Socket {
    pub(super) async fn send_file(
        self: &Rc<Self>,
        file: BorrowedFd<'_>,
        range: &mut Range<u64>,
    ) -> io::Result<u64> {
        let core = self.core();
        let copy = core.call(Call::Duplicate { fd: file.as_raw_fd() })?;
        let file = Rc::new(Fd::new(copy, core.clone()));
        if describe(core, &file)?.kind != Kind::File {
            return Err(invalid("only a regular file can be sent at positions"));
        }
        if i64::try_from(range.start).is_err() {
            return Err(invalid("no file is as long as that"));
        }
        let begin = range.start;
        let mut cached = core.limits().direct;
        while range.start < range.end {
            if cached {
                match poll_fn(|cx| self.poll_send_cached(cx, &file, range)).await? {
                    0 => {}
                    n => {
                        range.start += n;
                        continue;
                    }
                }
            }
            match self.send_cold(&file, range).await? {
                0 => break,
                n => range.start += n,
            }
            cached &= core.limits().direct;
        }
        Ok(range.start - begin)
    }

    /// Sends a piece that is in memory, once everything before it has gone; 0 where the queue has to answer:
    /// it is not there, or the file ends, or there is an error.
    fn poll_send_cached(
        self: &Rc<Self>,
        cx: &Context<'_>,
        file: &Fd,
        range: &Range<u64>,
    ) -> Poll<io::Result<u64>> {
        ready!(poll_proceed(cx));
        let core = self.core();
        let mut outbox = self.outbox.borrow_mut();
        outbox.check().inspect_err(|_| spend())?;
        core.may_wait()?;
        if !outbox.is_empty() {
            return self.park_writer(outbox, cx);
        }
        let pool = core.pool();
        let mut block = pool.large();
        let room = (range.end - range.start).min(block.len() as u64) as usize;
        let into = &mut block[..room];
        let read = Call::ReadNow { fd: file.raw(), into, offset: range.start };
        let n = core.call_directly(read).unwrap_or(0).min(room);
        if n == 0 {
            pool.keep_large(block);
            return Poll::Ready(Ok(0));
        }
        let sent = self.send_now(&mut outbox, &block[..n]);
        match sent {
            Ok(went) if went < n => {
                let mut rest = pool.lend_large(block, n as u32);
                rest.advance(went);
                outbox.push(Piece::Lease(rest), pool);
                self.filled(outbox, true);
            }
            sent => {
                pool.keep_large(block);
                sent?;
            }
        }
        spend();
        Poll::Ready(Ok(n as u64))
    }

    /// Reads a piece that is not in memory, and sends it; 0 is the end of the file.
    async fn send_cold(self: &Rc<Self>, file: &Rc<Fd>, range: &Range<u64>) -> io::Result<u64> {
        let core = self.core();
        let len = (range.end - range.start).min(COLD as u64) as u32;
        let read = ReadOp {
            fd: file.clone(),
            block: core.spares().block(len as usize),
            len,
            offset: range.start,
        };
        let block = Submit::new(core.clone(), read).await?;
        let n = block.len();
        if n > 0 {
            self.write_piece(Piece::Copied { block, start: 0 }).await?;
        }
        Ok(n as u64)
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
