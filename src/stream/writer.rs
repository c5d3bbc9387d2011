//! The writing side: it takes what it is given, and says when that is too much.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::buf::Lease;
use crate::net::Link;
use crate::task::{proceed, yield_now};

/// Bytes above which [`Writer::drain`] waits, unless it is set.
const HIGH: usize = 64 * 1024;

/// The writing side of a connection; asyncio's [`StreamWriter`].
///
/// Writes never wait: all is taken, and leaves in order; what gathers in a turn of the loop leaves in
/// one send. A producer awaits [`drain`](Self::drain) between its writes, which waits while more is
/// buffered than the peer takes. All methods take `&self`, so tasks may share one behind an
/// [`Rc`](std::rc::Rc); each write is taken as a whole.
///
/// Dropping it closes the connection if its [`Reader`](super::Reader) has gone as well. What was written
/// is sent in the background, for at most [`Builder::linger`](crate::Builder::linger).
///
/// [`StreamWriter`]: https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter
///
/// # Examples
///
/// ```
/// # use ringloop::net::TcpListener;
/// # use ringloop::stream::open_connection;
/// # ringloop::run(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let (reader, writer) = open_connection(listener.local_addr()?).await?;
/// # let (mut peer, _writer) = listener.accept().await?.0.into_stream();
/// # let reading = ringloop::spawn(async move { peer.read_to_end(&mut Vec::new()).await });
/// for number in 0..1000 {
///     writer.write(format!("{number}\n").as_bytes())?;
///     writer.drain().await?;
/// }
/// writer.close();
/// writer.wait_closed().await?; // all of it was sent
/// # assert_eq!(reading.await.unwrap()?, 3890);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[doc(alias = "StreamWriter")]
#[derive(Debug)]
pub struct Writer {
    link: Link,
    high: Cell<usize>,
    low: Cell<usize>,
    /// The most that may be buffered.
    most: Cell<Option<usize>>,
    /// Set by a write that went above the high mark; cleared once the low one is found to be reached.
    paused: Cell<bool>,
    /// How often it was cleared: whoever waited for that has waited enough, whatever was written since.
    resumed: Cell<u64>,
    ended: Cell<bool>,
}

impl Writer {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            high: Cell::new(HIGH),
            low: Cell::new(HIGH / 4),
            most: Cell::new(None),
            paused: Cell::new(false),
            resumed: Cell::new(0),
            ended: Cell::new(false),
        }
    }

    /// Takes all of `bytes`, however much is buffered, and does not wait: [`drain`](Self::drain) does.
    ///
    /// # Errors
    ///
    /// Nothing was taken then. The connection's error, if it is known; `BrokenPipe` after
    /// [`write_eof`](Self::write_eof); `NotConnected` after the close and after the end of the runtime;
    /// `WouldBlock` if it would go above [the most that may be buffered](Self::set_max_write_buffer).
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.may_take(bytes.len())?;
        self.link.put(bytes)?;
        self.taken();
        Ok(())
    }

    /// Takes `bytes` without copying them.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_bytes(&self, bytes: Bytes) -> io::Result<()> {
        self.may_take(bytes.len())?;
        self.link.put_bytes(bytes)?;
        self.taken();
        Ok(())
    }

    /// Takes received bytes without copying them; they may come from any connection of the runtime.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_chunk(&self, lease: Lease) -> io::Result<()> {
        self.may_take(lease.len())?;
        self.link.put_chunk(lease)?;
        self.taken();
        Ok(())
    }

    /// Takes all of `slices`, in order.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_vectored(&self, slices: &[io::IoSlice<'_>]) -> io::Result<()> {
        self.may_take(slices.iter().map(|slice| slice.len()).sum())?;
        for slice in slices {
            self.link.put(slice)?;
        }
        self.taken();
        Ok(())
    }

    /// Takes each of `lines`, in order; a [`write`](Self::write) of each.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), of the first that was not taken; those before it were.
    pub fn writelines<T: AsRef<[u8]>>(&self, lines: impl IntoIterator<Item = T>) -> io::Result<()> {
        lines.into_iter().try_for_each(|line| self.write(line.as_ref()))
    }

    /// [`write`](Self::write), then [`drain`](Self::drain).
    ///
    /// # Errors
    ///
    /// Those of both.
    ///
    /// # Cancel safety
    ///
    /// All of `bytes` is taken in the first poll: dropped after that, it has been written, and will be
    /// sent.
    pub async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes)?;
        self.drain().await
    }

    /// Holds back whoever writes too fast: waits, if a write went above the high mark (64 KiB), until no
    /// more than the low mark (16 KiB) is buffered. asyncio's [`drain`].
    ///
    /// It does not wait for all to be sent; [`flush`](Self::flush) does. Any number of tasks may wait.
    ///
    /// [`drain`]: https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.drain
    ///
    /// # Errors
    ///
    /// The connection's, also one that only a read was told of; `NotConnected` once it has been closed,
    /// by [`close`](Self::close), and all was sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn drain(&self) -> io::Result<()> {
        if self.link.is_closed() {
            return self.drain_closed().await;
        }
        if self.paused.get() {
            // The mark may be moved meanwhile; and who is told first tells the others.
            let resumed = self.resumed.get();
            let is_over = || self.resumed.get() != resumed;
            let low = || if is_over() { usize::MAX } else { self.low.get() };
            self.link.drained(low).await?;
            self.look();
            return Ok(());
        }
        proceed().await;
        self.link.write_error().map_or(Ok(()), Err)
    }

    /// Lets the loop see the end of the close first.
    async fn drain_closed(&self) -> io::Result<()> {
        yield_now().await;
        if self.paused.get() {
            self.link.drained(|| self.low.get()).await?;
        }
        match self.link.write_error() {
            Some(error) => Err(error),
            None if self.link.buffered() > 0 => Ok(()),
            None => Err(closed()),
        }
    }

    /// Waits until the kernel has taken all that was written.
    ///
    /// # Errors
    ///
    /// Why it could not be sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn flush(&self) -> io::Result<()> {
        self.link.drained(|| 0).await?;
        self.look();
        Ok(())
    }

    /// Ends writing: the peer gets all that was written, and then the end. Reading goes on. Once is
    /// enough; after the close it does nothing.
    ///
    /// # Errors
    ///
    /// The connection's, if it has failed; what `shutdown(2)` says: `NotConnected` when the peer has gone.
    pub fn write_eof(&self) -> io::Result<()> {
        if self.link.is_closed() || self.ended.get() {
            return Ok(());
        }
        self.link.write_eof()?;
        self.ended.set(true);
        Ok(())
    }

    /// Whether [`write_eof`](Self::write_eof) is to be had: whether writing can end before reading.
    pub fn can_write_eof(&self) -> bool {
        true
    }

    /// Closes the connection, for the [`Reader`](super::Reader) as well: what was written is sent in the
    /// background, for at most [`Builder::linger`](crate::Builder::linger); no more is received, and
    /// what had come can still be read. Does not wait: [`wait_closed`](Self::wait_closed) does.
    pub fn close(&self) {
        self.link.close();
    }

    /// Waits until the connection is closed. Somebody has to close it: this does not.
    ///
    /// # Errors
    ///
    /// Why what was written could not all be sent: `ConnectionAborted` where an [`abort`](Self::abort)
    /// discarded some of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn wait_closed(&self) -> io::Result<()> {
        self.link.closed().await
    }

    /// Whether it has been closed, or is about to be.
    pub fn is_closing(&self) -> bool {
        self.link.is_closed()
    }

    /// Closes at once, with a reset: what was written and has not left is discarded.
    pub fn abort(&self) {
        self.link.abort();
    }

    /// Bytes that were written and that the kernel has not taken.
    #[doc(alias = "get_write_buffer_size")]
    pub fn write_buffer_size(&self) -> usize {
        self.link.buffered()
    }

    /// The marks of [`drain`](Self::drain): the low one, then the high one.
    #[doc(alias = "get_write_buffer_limits")]
    pub fn write_buffer_limits(&self) -> (usize, usize) {
        (self.low.get(), self.high.get())
    }

    /// Sets the marks of [`drain`](Self::drain), in bytes. `None` for both: 64 and 16 KiB. The low one
    /// alone is a quarter of the high one, the high one alone four times the low one. With 0 as the
    /// high one, `drain` waits until nothing is buffered.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the low one is above the high one.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn with(writer: ringloop::stream::Writer) -> std::io::Result<()> {
    /// writer.set_write_buffer_limits(1 << 20, None)?; // the low mark: 256 KiB
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_write_buffer_limits(
        &self,
        high: impl Into<Option<usize>>,
        low: impl Into<Option<usize>>,
    ) -> io::Result<()> {
        let (high, low) = match (high.into(), low.into()) {
            (None, None) => (HIGH, HIGH / 4),
            (Some(high), None) => (high, high / 4),
            (None, Some(low)) => (low.saturating_mul(4), low),
            (Some(high), Some(low)) => (high, low),
        };
        if low > high {
            let text = format!("the low mark ({low}) is above the high one ({high})");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.high.set(high);
        self.low.set(low);
        self.taken();
        Ok(())
    }

    /// Bounds what may be buffered, in bytes; `None`, as it is at first: without bound. A write that
    /// would go above it is refused as a whole, with `WouldBlock`; so is one that is longer.
    pub fn set_max_write_buffer(&self, most: impl Into<Option<usize>>) {
        self.most.set(most.into());
    }

    /// Lets small writes leave at once (`TCP_NODELAY`, off by default): without waiting for the answer
    /// to earlier ones. Other options: those of [`TcpStream`](crate::net::TcpStream), before
    /// [`into_stream`](crate::net::TcpStream::into_stream).
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says; `NotConnected` after the close.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.link.set_nodelay(on)
    }

    /// The address of the peer; it stays after the close once it was asked for.
    ///
    /// # Errors
    ///
    /// `NotConnected` when the peer has gone; `InvalidData` for a socket that is not of the internet.
    #[doc(alias = "peername")]
    #[doc(alias = "get_extra_info")]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.link.peer_addr()?.to_inet()
    }

    /// The local address; it stays after the close once it was asked for.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the close; `InvalidData` for a socket that is not of the internet.
    #[doc(alias = "sockname")]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.link.local_addr()?.to_inet()
    }

    /// Whether `len` more may be buffered. What is buffered now is looked at first: it may have reached the
    /// low mark, with nobody to see it.
    fn may_take(&self, len: usize) -> io::Result<()> {
        self.look();
        let Some(most) = self.most.get() else { return Ok(()) };
        let buffered = self.link.buffered();
        if buffered.saturating_add(len) <= most {
            return Ok(());
        }
        let text =
            format!("{buffered} bytes are buffered, {len} more are above the most of {most}");
        Err(io::Error::new(io::ErrorKind::WouldBlock, text))
    }

    /// Lets go of those who drain, if the low mark has been reached.
    fn look(&self) {
        if self.paused.get() && self.link.buffered() <= self.low.get() {
            self.paused.set(false);
            self.resumed.set(self.resumed.get() + 1);
        }
    }

    /// Holds the next `drain` back, if that is too much.
    fn taken(&self) {
        if self.link.buffered() > self.high.get() {
            self.paused.set(true);
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection has been closed")
}
