//! Reading up to a separator: lines, and records of other kinds.

use std::future::poll_fn;
use std::io;

use super::Reader;
use super::error::{IncompleteRead, LimitOverrun, ReadError};
use super::text;
use crate::net::{Inbox, Separators};

const NEWLINE: &[&[u8]] = &[b"\n"];

impl Reader {
    /// Reads up to and with the next newline, and appends it to `line`; returns how many bytes. At the
    /// end of the stream that is what is left, without a newline; 0 if nothing is. asyncio's
    /// [`readline`].
    ///
    /// [`readline`]: https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamReader.readline
    ///
    /// # Errors
    ///
    /// [`LimitOverrun`] for a line of more than the [limit](Self::limit), without its newline: it stays,
    /// and [`skip_line`](Self::skip_line) drops it. `InvalidData` for one that is not UTF-8, which
    /// stays as well: [`read_until`](Self::read_until) takes bytes of every kind. The connection's
    /// errors as in [`read`](Self::read); what came before stays to be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: it takes the line when it is whole.
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
    /// # peer.write_all(b"one\ntwo\n").await?;
    /// # drop(peer);
    /// let mut line = String::new();
    /// while reader.read_line(&mut line).await? > 0 {
    ///     println!("{}", line.trim_end());
    ///     line.clear(); // its memory serves for all lines
    /// }
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    #[doc(alias = "readline")]
    pub async fn read_line(&mut self, line: &mut String) -> Result<usize, ReadError> {
        let taken = self.read_record(NEWLINE, |inbox, n| text::take_first(inbox, n, line)).await?;
        match taken {
            Some(n) => Ok(n),
            None => {
                let rest = |inbox: &mut Inbox| text::take_first(inbox, inbox.parked(), line);
                Ok(self.link.with_parked(rest)?)
            }
        }
    }

    /// Iterates over the lines.
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
    /// # peer.write_all(b"one\ntwo\n").await?;
    /// # drop(peer);
    /// let mut lines = reader.lines();
    /// while let Some(line) = lines.next_line().await? {
    ///     println!("{line}");
    /// }
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn lines(&mut self) -> Lines<'_> {
        Lines { reader: self, line: String::new() }
    }

    /// Drops everything up to and with the next newline, however long that is, or up to the end of the
    /// stream; returns how many bytes.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// What it has dropped by then is gone; called again, it goes on in the same line.
    pub async fn skip_line(&mut self) -> io::Result<usize> {
        self.check()?;
        let newline = Separators::new(NEWLINE).expect("there is one");
        let mut skipped = 0;
        let mut skip = |inbox: &mut Inbox| {
            let found = inbox.find(&newline, 0);
            let parked = inbox.parked();
            let n = found.map_or(parked, |found| found.end);
            inbox.skip(n);
            skipped += n;
            Some(found.is_some())
        };
        while let Some(false) = poll_fn(|cx| self.link.poll_enough(cx, &mut skip)).await? {}
        Ok(skipped)
    }

    /// Reads up to and with the next `separator`, and appends it to `into`; returns how many bytes.
    /// asyncio's [`readuntil`].
    ///
    /// [`readuntil`]: https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamReader.readuntil
    ///
    /// # Errors
    ///
    /// [`IncompleteRead`] if the stream ends before that: it has what came, and nobody can read that
    /// again. [`LimitOverrun`] if more than the [limit](Self::limit) stands before the separator: it
    /// stays to be read. `InvalidInput` for an empty separator. The connection's errors as in
    /// [`read`](Self::read); what came before stays to be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: it takes the record when it is whole.
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
    /// # peer.write_all(b"HTTP/1.0 200 OK\r\nServer: none\r\n\r\nhello").await?;
    /// let mut head = Vec::new();
    /// reader.read_until(b"\r\n\r\n", &mut head).await?;
    /// assert!(head.starts_with(b"HTTP/1.0 200"));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    #[doc(alias = "readuntil")]
    pub async fn read_until(
        &mut self,
        separator: &[u8],
        into: &mut Vec<u8>,
    ) -> Result<usize, ReadError> {
        self.read_until_any(&[separator], into).await
    }

    /// As [`read_until`](Self::read_until), up to the first of several separators: the one that ends
    /// first.
    ///
    /// # Errors
    ///
    /// As [`read_until`](Self::read_until); `InvalidInput` also if there is no separator.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: it takes the record when it is whole.
    #[doc(alias = "readuntil")]
    pub async fn read_until_any(
        &mut self,
        separators: &[&[u8]],
        into: &mut Vec<u8>,
    ) -> Result<usize, ReadError> {
        let take = |inbox: &mut Inbox, n| {
            inbox.read_into(n, into);
            Ok(n)
        };
        match self.read_record(separators, take).await? {
            Some(n) => Ok(n),
            None => Err(IncompleteRead { partial: self.take_all(), expected: None }.into()),
        }
    }

    /// Waits for a record and lets `take` have it; `None` is the end of the stream, before which there
    /// may be something.
    async fn read_record(
        &mut self,
        separators: &[&[u8]],
        mut take: impl FnMut(&mut Inbox, usize) -> io::Result<usize>,
    ) -> Result<Option<usize>, ReadError> {
        self.check()?;
        let Some(separators) = Separators::new(separators) else {
            let text = "a separator has at least one byte, and there is at least one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text).into());
        };
        // Up to here no separator ends.
        let mut scanned = 0;
        let taken = poll_fn(|cx| {
            self.link.poll_enough(cx, |inbox| match look(inbox, &separators, &mut scanned)? {
                Ok(n) => Some(take(inbox, n).map_err(ReadError::Io)),
                Err(overrun) => Some(Err(overrun.into())),
            })
        });
        taken.await?.transpose()
    }
}

/// How long the first record is; `None` if it has not all come.
fn look(
    inbox: &Inbox,
    separators: &Separators<'_>,
    scanned: &mut usize,
) -> Option<Result<usize, LimitOverrun>> {
    let (consumed, found) = match inbox.find(separators, *scanned) {
        Some(found) if found.start <= inbox.limit() => return Some(Ok(found.end)),
        Some(found) => (found.start, true),
        // The separator may begin with the last bytes.
        None => ((inbox.parked() + 1).saturating_sub(separators.longest()), false),
    };
    *scanned = inbox.parked();
    (consumed > inbox.limit()).then_some(Err(LimitOverrun { consumed, found }))
}

/// The lines of a stream; from [`Reader::lines`].
#[derive(Debug)]
pub struct Lines<'a> {
    reader: &'a mut Reader,
    line: String,
}

impl Lines<'_> {
    /// The next line, without its `\n` or `\r\n`; `None` is the end of the stream. It is lent until the
    /// next call: reading lines allocates nothing.
    ///
    /// # Errors
    ///
    /// As [`Reader::read_line`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn next_line(&mut self) -> Result<Option<&str>, ReadError> {
        self.line.clear();
        if self.reader.read_line(&mut self.line).await? == 0 {
            return Ok(None);
        }
        let line = self.line.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        Ok(Some(line.unwrap_or(&self.line)))
    }

    /// The reader, for other kinds of reads between the lines.
    pub fn reader(&mut self) -> &mut Reader {
        self.reader
    }
}
