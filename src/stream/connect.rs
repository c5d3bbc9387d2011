//! Where streams come from.

use std::io;
use std::path::Path;

use super::{Reader, Writer};
use crate::net::{Link, PipeReader, PipeWriter, TcpStream, ToSocketAddrs, UnixStream};

/// Connects, and gives a reader and a writer; asyncio's [`open_connection`].
///
/// A time limit, a local address and other settings: [`TcpConnector`](crate::net::TcpConnector), and
/// then [`TcpStream::into_stream`].
///
/// [`open_connection`]: https://docs.python.org/3/library/asyncio-stream.html#asyncio.open_connection
///
/// # Errors
///
/// The last address's: `ConnectionRefused`, `TimedOut`, and what else `connect(2)` says;
/// `InvalidInput` for text that is no address; `NotConnected` outside a runtime.
///
/// # Cancel safety
///
/// Dropping it closes the socket.
///
/// # Examples
///
/// ```no_run
/// use ringloop::stream::open_connection;
///
/// ringloop::run(async {
///     let (mut reader, writer) = open_connection("127.0.0.1:7000").await?;
///     writer.write_all(b"hello\n").await?;
///     let mut line = String::new();
///     reader.read_line(&mut line).await?;
///     print!("{line}");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
pub async fn open_connection(to: impl ToSocketAddrs) -> io::Result<(Reader, Writer)> {
    Ok(TcpStream::connect(to).await?.into_stream())
}

/// Connects to whoever listens at a path, or under an abstract name where `path` begins with a zero byte;
/// asyncio's [`open_unix_connection`].
///
/// [`open_unix_connection`]: https://docs.python.org/3/library/asyncio-stream.html#asyncio.open_unix_connection
///
/// # Errors
///
/// As [`UnixStream::connect`].
///
/// # Cancel safety
///
/// Dropping it closes the socket.
///
/// # Examples
///
/// ```
/// use ringloop::net::UnixListener;
/// use ringloop::stream::open_unix_connection;
///
/// ringloop::run(async {
///     let path = std::env::temp_dir().join(format!("stream-example-{}", std::process::id()));
///     let listener = UnixListener::bind(&path).await?;
///     let (mut reader, writer) = open_unix_connection(&path).await?;
///     let (_, peer) = listener.accept().await?.0.into_stream();
///     peer.write_all(b"hello\n").await?;
///     let mut line = String::new();
///     reader.read_line(&mut line).await?;
///     assert_eq!(line, "hello\n");
///     drop(writer);
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
pub async fn open_unix_connection(path: impl AsRef<Path>) -> io::Result<(Reader, Writer)> {
    Ok(UnixStream::connect(path).await?.into_stream())
}

impl UnixStream {
    /// The connection as a reader and a writer. Bytes that have come and were not read are the
    /// reader's.
    pub fn into_stream(self) -> (Reader, Writer) {
        pair(Link::from(self))
    }
}

impl TcpStream {
    /// The connection as a reader and a writer. Bytes that have come and were not read are the
    /// reader's.
    pub fn into_stream(self) -> (Reader, Writer) {
        pair(Link::from(self))
    }
}

impl PipeReader {
    /// The pipe as a reader: lines, records, limits. Bytes that have come and were not read are the
    /// reader's.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::process::{Command, Stdio};
    /// use ringloop::net::PipeReader;
    ///
    /// ringloop::run(async {
    ///     let mut child = Command::new("printf").arg("one\\ntwo\\n").stdout(Stdio::piped()).spawn()?;
    ///     let mut output = PipeReader::from_std(child.stdout.take().unwrap())?.into_stream();
    ///     let mut line = String::new();
    ///     output.read_line(&mut line).await?;
    ///     assert_eq!(line, "one\n");
    ///     child.wait().map(drop)
    /// }).unwrap();
    /// ```
    pub fn into_stream(self) -> Reader {
        Reader::new(Link::from(self))
    }
}

impl PipeWriter {
    /// The pipe as a writer, which never waits but to drain. Its `write_eof` is its close.
    pub fn into_stream(self) -> Writer {
        Writer::new(Link::from(self))
    }
}

/// The two handles on a connection.
pub(crate) fn pair(link: Link) -> (Reader, Writer) {
    (Reader::new(link.clone()), Writer::new(link))
}
