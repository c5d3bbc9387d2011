//! The reading side: bytes as they come, exact lengths, all to the end.

use std::future::poll_fn;
use std::io;

use super::error::{IncompleteRead, ReadError};
use super::text;
use crate::buf::Lease;
use crate::net::{Inbox, Link};

/// The reading side of a connection; asyncio's [`StreamReader`].
///
/// What has come stays with the connection until a call has all that it asks for, and then it takes it
/// in one step: dropping a call at any point loses nothing. Where more than twice the
/// [limit](Self::limit) has come and nobody reads, receiving pauses, and the peer is held back.
///
/// Dropping it ends nothing: the connection closes when its [`Writer`](super::Writer) has gone as well,
/// or by [`Writer::close`](super::Writer::close); what had come by then can be read after that.
///
/// [`StreamReader`]: https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamReader
///
/// # Examples
///
/// ```
/// # use ringloop::net::TcpListener;
/// # use ringloop::stream::open_connection;
/// # ringloop::run(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
/// # let (_, peer) = listener.accept().await?.0.into_stream();
/// # peer.write_all(b"\x00\x05hello").await?;
/// let mut length = [0; 2];
/// reader.read_exact(&mut length).await?;
/// let mut message = vec![0; u16::from_be_bytes(length).into()];
/// reader.read_exact(&mut message).await?;
/// assert_eq!(message, b"hello");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
///
/// Two who read at once, which asyncio refuses when it happens, do not compile:
///
/// ```compile_fail,E0499
/// # use ringloop::stream::Reader;
/// async fn both(mut reader: Reader) {
///     let (one, other) = (reader.read_chunk(), reader.read_chunk());
///     ringloop::future::gather((one, other)).await;
/// }
/// ```
#[doc(alias = "StreamReader")]
#[derive(Debug)]
pub struct Reader {
    pub(super) link: Link,
    /// Bytes that a long `read_exact` has copied out and will put back if it is dropped.
    out: usize,
}

impl Reader {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, out: 0 }
    }

    /// Reads what has come into `buf`, waiting for the first byte; 0 is the end of the stream (or of an
    /// empty `buf`).
    ///
    /// # Errors
    ///
    /// `ConnectionReset` and what else `recv(2)` says, after all bytes that came before;
    /// `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        if buf.is_empty() {
            return Ok(0);
        }
        poll_fn(|cx| self.link.poll_read(cx, buf)).await
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
        self.check()?;
        poll_fn(|cx| self.link.poll_chunk(cx)).await
    }

    /// Fills `buf`, which may be longer than the limit; asyncio's [`readexactly`].
    ///
    /// [`readexactly`]: https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamReader.readexactly
    ///
    /// # Errors
    ///
    /// [`IncompleteRead`] if the stream ends before that: it has what came, and nobody can read that
    /// again. The connection's errors as in [`read`](Self::read): what came before stays to be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: bytes that are not all stay to be read; what `buf` holds then means
    /// nothing. One of more than the limit that is forgotten (`mem::forget`) and not dropped has kept
    /// some: the next read says so, as an error.
    #[doc(alias = "readexactly")]
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> Result<(), ReadError> {
        self.check()?;
        if buf.len() > self.limit() {
            return self.read_long(buf).await;
        }
        if buf.is_empty() {
            return Ok(());
        }
        let read = poll_fn(|cx| {
            self.link
                .poll_enough(cx, |inbox| (inbox.parked() >= buf.len()).then(|| inbox.read(buf)))
        });
        match read.await? {
            Some(_) => Ok(()),
            None => {
                let partial = self.take_all();
                Err(IncompleteRead { partial, expected: Some(buf.len()) }.into())
            }
        }
    }

    /// Into `buf` as it comes: so much is not parked.
    async fn read_long(&mut self, buf: &mut [u8]) -> Result<(), ReadError> {
        let expected = Some(buf.len());
        let mut out = CopiedOut { reader: self, buf };
        while out.reader.out < out.buf.len() {
            let CopiedOut { reader, buf } = &mut out;
            let rest = &mut buf[reader.out..];
            match poll_fn(|cx| reader.link.poll_read(cx, rest)).await? {
                0 => {
                    let partial = buf[..std::mem::take(&mut reader.out)].to_vec();
                    return Err(IncompleteRead { partial, expected }.into());
                }
                n => reader.out += n,
            }
        }
        out.reader.out = 0;
        Ok(())
    }

    /// Appends everything up to the end of the stream to `into`; returns how many bytes that were.
    /// asyncio's `read(-1)`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); `into` has what came before.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: `into` has what came until then, the rest stays to be read.
    pub async fn read_to_end(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        self.check()?;
        let before = into.len();
        let mut all = |inbox: &mut Inbox| {
            inbox.read_into(inbox.parked(), into);
            Some(())
        };
        while poll_fn(|cx| self.link.poll_enough(cx, &mut all)).await?.is_some() {}
        Ok(into.len() - before)
    }

    /// As [`read_to_end`](Self::read_to_end), for text.
    ///
    /// # Errors
    ///
    /// `InvalidData` where the bytes are not UTF-8: `into` has all before them, and they stay to be
    /// read. Else as [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: `into` has what came until then, the rest stays to be read.
    pub async fn read_to_string(&mut self, into: &mut String) -> io::Result<usize> {
        self.check()?;
        let before = into.len();
        loop {
            let some = poll_fn(|cx| {
                self.link.poll_enough(cx, |inbox| match text::take(inbox, into) {
                    Ok(0) => None,
                    taken => Some(taken.map(drop)),
                })
            });
            match some.await? {
                Some(taken) => taken?,
                // Perhaps within a character.
                None if self.link.with_parked(|inbox| inbox.is_empty()) => break,
                None => return Err(text::not_utf8()),
            }
        }
        Ok(into.len() - before)
    }

    /// Whether the peer has ended the stream and everything has been read.
    ///
    /// `false` may mean that nobody has looked yet: a stream whose end has not come is not at its end.
    pub fn at_eof(&self) -> bool {
        self.link.at_eof()
    }

    /// How many bytes may stand before a separator, and may have come unread while receiving goes on
    /// (it pauses above twice as many); 64 KiB unless it was set.
    pub fn limit(&self) -> usize {
        self.link.with_parked(|inbox| inbox.limit())
    }

    /// Sets the [limit](Self::limit). Receiving that is under way heeds it from its next round on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for 0.
    pub fn set_limit(&mut self, limit: usize) -> io::Result<()> {
        if limit == 0 {
            let text = "a stream's limit is at least one byte";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.link.set_read_limit(limit);
        Ok(())
    }

    /// What has come and was not read.
    pub(super) fn take_all(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.link.with_parked(|inbox| inbox.read_into(inbox.parked(), &mut all));
        all
    }

    /// A stream with a hole in it must not go on.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.out {
            0 => Ok(()),
            n => Err(io::Error::other(format!(
                "a read_exact was forgotten (mem::forget) that had taken {n} bytes"
            ))),
        }
    }
}

/// Puts back what was copied out when it goes early.
struct CopiedOut<'a> {
    reader: &'a mut Reader,
    buf: &'a mut [u8],
}

impl Drop for CopiedOut<'_> {
    fn drop(&mut self) {
        let out = std::mem::take(&mut self.reader.out);
        self.reader.link.put_back(&self.buf[..out]);
    }
}
