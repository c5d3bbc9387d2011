//! Making transports.

use std::io;
use std::panic::Location;
use std::sync::Arc;

use super::Transport;
use super::any::IntoProtocol;
use super::pump::start;
use crate::net::{Link, TcpConnector, TcpStream, ToSocketAddrs};
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
        begin(factory, stream.into(), made_at).await
    }
}

/// Makes a transport of a connection that is there: accepted, or connected by a
/// [`TcpConnector`]. asyncio's [`connect_accepted_socket`].
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
    stream: TcpStream,
) -> impl Future<Output = io::Result<Transport>>
where
    P: IntoProtocol<Kind>,
{
    let made_at = Location::caller();
    begin(factory, stream.into(), made_at)
}

async fn begin<P, Kind>(
    factory: impl FnOnce() -> P,
    link: Link,
    made_at: &'static Location<'static>,
) -> io::Result<Transport>
where
    P: IntoProtocol<Kind>,
{
    // Without a runtime there is nobody to call it.
    current()?;
    let (transport, _) = start(link, factory().into_any(), name_of::<P>(), made_at);
    let mut guard = CloseOnDrop(Some(|| transport.close()));
    transport.0.begun.wait().await;
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
    start(link, protocol.into_any(), name, made_at).0
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
