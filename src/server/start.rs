//! Starting a server, with the default options.

use std::io;
use std::path::Path;

use super::{Outcome, Server, ServerOptions};
use crate::net::ToSocketAddrs;
use crate::protocol::IntoProtocol;
use crate::stream::{Reader, Writer};

/// Listens on each address of `to`, and runs `handler` for each connection, as a task; asyncio's
/// [`start_server`]. [`Server::builder`] has options.
///
/// A name may have several addresses, of both families; `":80"` means every address of this
/// machine, and port 0 a free one for each. Addresses that this machine does not have are left out,
/// unless it has none of them.
///
/// A handler gets a [`Reader`] and a [`Writer`], and returns nothing or a `Result`. When it has
/// dropped both, the connection is closed, behind what was written. Its error and its panic are
/// told to the hook of [`Builder::on_unhandled`](crate::Builder::on_unhandled), and close the
/// connection, whoever else holds it; they end no other connection. The end of the runtime drops
/// handlers, and closes their connections, in silence. Handlers see the
/// [task-locals](crate::task_local) that are set here.
///
/// [`start_server`]: https://docs.python.org/3/library/asyncio-stream.html#asyncio.start_server
///
/// # Errors
///
/// As [`TcpListenerOptions::bind_each`](crate::net::TcpListenerOptions::bind_each): `AddrInUse`,
/// `AddrNotAvailable`, `PermissionDenied`, …; `InvalidInput` for text that is no address;
/// `NotConnected` outside a runtime.
///
/// # Cancel safety
///
/// Dropping it binds nothing, or closes again.
///
/// # Examples
///
/// ```
/// use ringloop::server::start_server;
/// use ringloop::stream::{copy, open_connection};
///
/// ringloop::run(async {
///     let server = start_server("localhost:0", async |mut reader, writer| {
///         copy(&mut reader, &writer).await
///     }).await?;
///
///     let (mut reader, writer) = open_connection(server.sockets()[0]).await?;
///     writer.write_all(b"hello").await?;
///     writer.write_eof()?;
///     let mut back = String::new();
///     reader.read_to_string(&mut back).await?;
///     assert_eq!(back, "hello");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[track_caller]
pub fn start_server<A, H, F>(
    to: A,
    handler: H,
) -> impl Future<Output = io::Result<Server>> + use<A, H, F>
where
    A: ToSocketAddrs,
    H: Fn(Reader, Writer) -> F + 'static,
    F: Future<Output: Outcome> + 'static,
{
    ServerOptions::new().start_server(to, handler)
}

/// As [`start_server`], at a path, or under an abstract name where it begins with a zero byte;
/// asyncio's [`start_unix_server`].
///
/// The file is made, replaced and removed as by a [`UnixListener`](crate::net::UnixListener);
/// [`ServerOptions::unix`] has more.
///
/// [`start_unix_server`]: https://docs.python.org/3/library/asyncio-stream.html#asyncio.start_unix_server
///
/// # Errors
///
/// As [`UnixListener::bind`](crate::net::UnixListener::bind).
///
/// # Cancel safety
///
/// Dropping it binds nothing, or closes again.
///
/// # Examples
///
/// ```
/// use std::io;
/// use ringloop::server::start_unix_server;
/// use ringloop::stream::Writer;
///
/// # let path = std::env::temp_dir().join(format!("ringloop-doc-server-{}", std::process::id()));
/// ringloop::run(async {
///     let server = start_unix_server(&path, async |_, writer: Writer| {
///         writer.write_all(b"hello").await
///     }).await?;
///     assert_eq!(server.unix_sockets()[0].as_pathname(), Some(path.as_path()));
///     server.close();
///     assert!(!path.exists());
///     io::Result::Ok(())
/// }).unwrap();
/// ```
#[track_caller]
pub fn start_unix_server<A, H, F>(
    path: A,
    handler: H,
) -> impl Future<Output = io::Result<Server>> + use<A, H, F>
where
    A: AsRef<Path>,
    H: Fn(Reader, Writer) -> F + 'static,
    F: Future<Output: Outcome> + 'static,
{
    ServerOptions::new().start_unix_server(path, handler)
}

/// As [`start_server`], for protocols: each connection gets one that `factory` makes; asyncio's
/// [`create_server`].
///
/// A panic of `factory` is told to the hook of
/// [`Builder::on_unhandled`](crate::Builder::on_unhandled); its connection is closed, and the
/// server goes on.
///
/// [`create_server`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_server
///
/// # Errors
///
/// As [`start_server`].
///
/// # Cancel safety
///
/// Dropping it binds nothing, or closes again.
///
/// # Examples
///
/// ```
/// use ringloop::protocol::{Protocol, Transport};
/// use ringloop::server::create_server;
/// use ringloop::stream::open_connection;
///
/// struct Echo;
///
/// impl Protocol for Echo {
///     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
///         transport.write(data);
///     }
/// }
///
/// ringloop::run(async {
///     let server = create_server(|| Echo, "127.0.0.1:0").await?;
///     let (mut reader, writer) = open_connection(server.sockets()[0]).await?;
///     writer.write_all(b"hello").await?;
///     let mut back = [0; 5];
///     reader.read_exact(&mut back).await?;
///     assert_eq!(&back, b"hello");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[track_caller]
pub fn create_server<M, P, A, Kind>(
    factory: M,
    to: A,
) -> impl Future<Output = io::Result<Server>> + use<M, P, A, Kind>
where
    M: Fn() -> P + 'static,
    P: IntoProtocol<Kind>,
    A: ToSocketAddrs,
{
    ServerOptions::new().create_server(factory, to)
}

/// As [`create_server`], at a path, or under an abstract name where it begins with a zero byte;
/// asyncio's [`create_unix_server`].
///
/// [`create_unix_server`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_unix_server
///
/// # Errors
///
/// As [`UnixListener::bind`](crate::net::UnixListener::bind).
///
/// # Cancel safety
///
/// Dropping it binds nothing, or closes again.
///
/// # Examples
///
/// ```
/// use ringloop::net::UnixStream;
/// use ringloop::protocol::{Protocol, Transport};
/// use ringloop::server::create_unix_server;
///
/// struct Greeting;
///
/// impl Protocol for Greeting {
///     fn connection_made(&mut self, transport: &Transport) {
///         transport.write(b"hello");
///         transport.close();
///     }
///
///     fn data_received(&mut self, _transport: &Transport, _data: &[u8]) {}
/// }
///
/// # let path = std::env::temp_dir().join(format!("ringloop-doc-create-{}", std::process::id()));
/// ringloop::run(async {
///     let _server = create_unix_server(|| Greeting, &path).await?;
///     let mut stream = UnixStream::connect(&path).await?;
///     assert_eq!(stream.read(&mut [0; 16]).await?, 5);
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[track_caller]
pub fn create_unix_server<M, P, A, Kind>(
    factory: M,
    path: A,
) -> impl Future<Output = io::Result<Server>> + use<M, P, A, Kind>
where
    M: Fn() -> P + 'static,
    P: IntoProtocol<Kind>,
    A: AsRef<Path>,
{
    ServerOptions::new().create_unix_server(factory, path)
}
