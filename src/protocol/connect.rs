//! Making transports.

use std::io;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

use super::Transport;
use super::any::IntoProtocol;
use super::pump::start;
use super::state::Ways;
use crate::net::{
    Link, PipeReader, PipeWriter, StreamSocket, TcpConnector, ToSocketAddrs, UnixStream,
};
use crate::runtime::current;

/// Connects to the first address that answers, and has `factory` make the protocol of the connection; asyncio's
/// [`create_connection`].
///
/// `factory` is called once the connection is there, and [`connection_made`](super::Protocol::connection_made) before
/// this returns. `TCP_NODELAY` is set. The connection is a task of its own, named after the protocol's type.
///
/// For a time limit, a local address and the like, connect a stream by [`TcpConnector`] and hand it to
/// [`connect_accepted_socket`].
///
/// [`create_connection`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_connection
///
/// # Errors
///
/// As [`TcpStream::connect`](crate::net::TcpStream::connect); the factory is not called then.
///
/// # Cancel safety
///
/// Dropping it closes the connection. A protocol that was made already is told so.
///
/// # Examples
///
/// ```
/// use ringloop::net::TcpListener;
/// use ringloop::protocol::{Protocol, Transport, create_connection};
///
/// #[derive(Default)]
/// struct Count(usize);
///
/// impl Protocol for Count {
///     fn data_received(&mut self, _transport: &Transport, data: &[u8]) {
///         self.0 += data.len();
///     }
/// }
///
/// ringloop::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let transport = create_connection(Count::default, listener.local_addr()?).await?;
///     assert_eq!(transport.peer_addr()?, listener.local_addr()?);
///     transport.close();
///     transport.wait_closed().await;
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[track_caller]
pub fn create_connection<P, Kind>(
    factory: impl FnOnce() -> P,
    to: impl ToSocketAddrs,
) -> impl Future<Output = io::Result<Transport>>
where
    P: IntoProtocol<Kind>,
{
    let made_at = Location::caller();
    async move {
        let stream = TcpConnector::new().nodelay(true).connect(to).await?;
        begin(factory, stream.into(), Ways::Both, made_at).await
    }
}

/// Makes a transport of a connection that is there, accepted or connected: of a
/// [`TcpStream`](crate::net::TcpStream) or a [`UnixStream`]. asyncio's [`connect_accepted_socket`].
///
/// What the stream had received and nobody has read is the protocol's; what was written to it is sent first.
///
/// [`connect_accepted_socket`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.connect_accepted_socket
///
/// # Errors
///
/// `NotConnected` outside a runtime.
///
/// # Cancel safety
///
/// Dropping it closes the connection. A protocol that was made already is told so.
///
/// # Examples
///
/// See the [module](super#examples).
#[track_caller]
pub fn connect_accepted_socket<P, Kind>(
    factory: impl FnOnce() -> P,
    stream: impl StreamSocket,
) -> impl Future<Output = io::Result<Transport>>
where
    P: IntoProtocol<Kind>,
{
    let made_at = Location::caller();
    begin(factory, Link::from(stream), Ways::Both, made_at)
}

/// As [`create_connection`], to a Unix socket by its path; asyncio's [`create_unix_connection`].
///
/// For an abstract name and the like, connect a [`UnixStream`] and hand it to [`connect_accepted_socket`].
///
/// [`create_unix_connection`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_unix_connection
///
/// # Errors
///
/// As [`UnixStream::connect`]; the factory is not called then.
///
/// # Cancel safety
///
/// Dropping it closes the connection. A protocol that was made already is told so.
#[track_caller]
pub fn create_unix_connection<P, Kind>(
    factory: impl FnOnce() -> P,
    path: impl AsRef<Path>,
) -> impl Future<Output = io::Result<Transport>>
where
    P: IntoProtocol<Kind>,
{
    let made_at = Location::caller();
    async move {
        let stream = UnixStream::connect(path).await?;
        begin(factory, stream.into(), Ways::Both, made_at).await
    }
}

/// Makes a transport of the read end of a pipe: its protocol receives, and what is written to it is a mistake that
/// the hook of [`Builder::on_unhandled`](crate::Builder::on_unhandled) is told of. asyncio's [`connect_read_pipe`].
///
/// At the end of the pipe [`eof_received`](super::Protocol::eof_received) is called and the transport closes, whatever
/// that returns.
///
/// [`connect_read_pipe`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.connect_read_pipe
///
/// # Errors
///
/// `NotConnected` outside a runtime.
///
/// # Cancel safety
///
/// Dropping it closes the pipe. A protocol that was made already is told so.
///
/// # Examples
///
/// ```
/// use ringloop::net::pipe;
/// use ringloop::protocol::{Protocol, Transport, connect_read_pipe, connect_write_pipe};
///
/// struct Print;
///
/// impl Protocol for Print {
///     fn data_received(&mut self, _transport: &Transport, data: &[u8]) {
///         println!("{}", data.escape_ascii());
///     }
/// }
///
/// struct Write;
///
/// impl Protocol for Write {
///     fn data_received(&mut self, _transport: &Transport, _data: &[u8]) {}
/// }
///
/// ringloop::run(async {
///     let (reader, writer) = pipe()?;
///     let reader = connect_read_pipe(|| Print, reader).await?;
///     let writer = connect_write_pipe(|| Write, writer).await?;
///     writer.write(b"hello");
///     writer.close();
///     reader.wait_closed().await;
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[track_caller]
pub fn connect_read_pipe<P, Kind>(
    factory: impl FnOnce() -> P,
    pipe: PipeReader,
) -> impl Future<Output = io::Result<Transport>>
where
    P: IntoProtocol<Kind>,
{
    let made_at = Location::caller();
    begin(factory, pipe.into(), Ways::In, made_at)
}

/// Makes a transport of the write end of a pipe: nothing is ever received. asyncio's [`connect_write_pipe`].
///
/// [`write_eof`](Transport::write_eof) is a close. When the reader goes the transport closes, or is lost with
/// `BrokenPipe` if something was still to be sent; SIGPIPE is never raised. To the reader an
/// [`abort`](Transport::abort) looks as any other end.
///
/// [`connect_write_pipe`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.connect_write_pipe
///
/// # Errors
///
/// `NotConnected` outside a runtime.
///
/// # Cancel safety
///
/// Dropping it closes the pipe. A protocol that was made already is told so.
///
/// # Examples
///
/// See [`connect_read_pipe`].
#[track_caller]
pub fn connect_write_pipe<P, Kind>(
    factory: impl FnOnce() -> P,
    pipe: PipeWriter,
) -> impl Future<Output = io::Result<Transport>>
where
    P: IntoProtocol<Kind>,
{
    let made_at = Location::caller();
    begin(factory, pipe.into(), Ways::Out, made_at)
}

async fn begin<P, Kind>(
    factory: impl FnOnce() -> P,
    link: Link,
    ways: Ways,
    made_at: &'static Location<'static>,
) -> io::Result<Transport>
where
    P: IntoProtocol<Kind>,
{
    // Without a runtime there is nobody to call it.
    current()?;
    let (transport, _) = start(link, ways, factory().into_any(), name_of::<P>(), made_at);
    let mut guard = CloseOnDrop(Some(|| transport.close()));
    transport.0.begun().await;
    if !transport.0.made.get() {
        return Err(has_ended());
    }
    guard.0 = None;
    drop(guard);
    Ok(transport)
}

/// Begins a connection that a server has accepted.
///
/// # Panics
///
/// Outside a runtime.
pub(crate) fn accepted<P, Kind>(
    protocol: P,
    link: Link,
    name: Arc<str>,
    made_at: &'static Location<'static>,
) -> Transport
where
    P: IntoProtocol<Kind>,
{
    start(link, Ways::Both, protocol.into_any(), name, made_at).0
}

/// Whoever asked for the connection has gone before it could be handed over: closes it.
pub(super) struct CloseOnDrop<F: Fn()>(pub(super) Option<F>);

impl<F: Fn()> Drop for CloseOnDrop<F> {
    fn drop(&mut self) {
        if let Some(close) = &self.0 {
            close();
        }
    }
}

pub(super) fn has_ended() -> io::Error {
    let text = "the ringloop runtime of this connection has ended";
    io::Error::new(io::ErrorKind::NotConnected, text)
}

/// What the pump of a `P` is called.
pub(crate) fn name_of<P>() -> Arc<str> {
    let name = std::any::type_name::<P>();
    let (path, _) = name.split_once('<').unwrap_or((name, ""));
    format!("transport of {}", path.rsplit("::").next().unwrap_or(path)).into()
}
