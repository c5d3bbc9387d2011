//! Servers: they listen, accept, and give each connection to code of yours.
//!
//! ```text
//!   start_server ──┐                                  ┌──► a task: your handler(Reader, Writer)
//!                  ├──► Server: listens, and accepts ─┤
//!   create_server ─┘            while there is room   └──► your Protocol, called by its Transport
//! ```
//!
//! [`start_server`] has a handler of [streams](crate::stream), [`create_server`] a factory of
//! [protocols](crate::protocol); both have a twin for Unix sockets. [`Server::builder`] is for
//! whoever wants more: several addresses, a limit of connections, sockets that are there already.
//!
//! # The end of a server
//!
//! | call | listening | connections |
//! |---|---|---|
//! | [`close`](Server::close), and dropping the server | ends | live on |
//! | [`close_clients`](Server::close_clients) | goes on | are closed, behind what was written to them |
//! | [`abort_clients`](Server::abort_clients) | goes on | are closed at once, with a reset |
//! | [`wait_closed`](Server::wait_closed) | waits until it has ended | waits until they have gone |
//! | [`shutdown`](Server::shutdown) | ends | may end by themselves for some time; then closed, or aborted |
//!
//! # Examples
//!
//! ```
//! use std::io;
//! use std::time::Duration;
//! use ringloop::server::start_server;
//! use ringloop::stream::{Reader, Writer, open_connection};
//!
//! /// Answers each line in capitals.
//! async fn shout(mut reader: Reader, writer: Writer) -> io::Result<()> {
//!     let mut line = String::new();
//!     while reader.read_line(&mut line).await? > 0 {
//!         writer.write_all(line.to_uppercase().as_bytes()).await?;
//!         line.clear();
//!     }
//!     Ok(())
//! }
//!
//! ringloop::run(async {
//!     let server = start_server("127.0.0.1:0", shout).await?;
//!     let (mut reader, writer) = open_connection(server.sockets()[0]).await?;
//!     writer.write_all(b"hello\n").await?;
//!     let mut line = String::new();
//!     reader.read_line(&mut line).await?;
//!     assert_eq!(line, "HELLO\n");
//!     drop((reader, writer));
//!     assert_eq!(server.shutdown(Duration::from_secs(5)).await, 0);
//!     io::Result::Ok(())
//! }).unwrap();
//! ```

mod handler;
mod listener;
mod options;
mod start;
mod state;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix;
use std::rc::Rc;
use std::time::Duration;

use self::state::State;
use crate::task::yield_now;
use crate::time::timeout;

pub use handler::Outcome;
pub use options::ServerOptions;
pub use start::{create_server, create_unix_server, start_server, start_unix_server};

/// Sockets that listen, and the connections that came of them; asyncio's [`Server`].
///
/// It serves in the background: to keep it is enough. Dropping it closes it, as
/// [`close`](Self::close) does, where asyncio's goes on unless `async with` says otherwise; so does
/// the end of the runtime. Connections belong to their handlers, not to the server, which knows of
/// them and keeps none open.
///
/// Put it into an `Rc` where several tasks, or its own handlers, have something to say to it.
///
/// [`Server`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Server
#[must_use = "a server that is dropped is closed"]
pub struct Server {
    state: Rc<State>,
}

impl Server {
    fn new(state: Rc<State>) -> Self {
        Self { state }
    }

    /// Options, to start from.
    pub fn builder() -> ServerOptions {
        ServerOptions::new()
    }

    /// The addresses that it listens on; none once it is closed, and none of a Unix server, which has
    /// [`unix_sockets`](Self::unix_sockets).
    pub fn sockets(&self) -> Vec<SocketAddr> {
        self.state.listeners().iter().filter_map(|listener| listener.inet_addr()).collect()
    }

    /// The paths and names that a Unix server listens at; none once it is closed.
    pub fn unix_sockets(&self) -> Vec<unix::net::SocketAddr> {
        self.state.listeners().iter().filter_map(|listener| listener.unix_addr()).collect()
    }

    /// How many connections there are: each counts until its socket has gone, with everything that
    /// was written to it sent.
    pub fn connections(&self) -> usize {
        self.state.connections()
    }

    /// Begins to accept, where the options [said not to](ServerOptions::start_serving). Doing it
    /// twice does nothing.
    ///
    /// # Errors
    ///
    /// `NotConnected`: it is closed, or no runtime runs here. What `listen(2)` says.
    pub fn start_serving(&self) -> io::Result<()> {
        self.state.start_serving()
    }

    /// Whether it accepts connections, or would if there were [room](ServerOptions::max_connections).
    pub fn is_serving(&self) -> bool {
        self.state.is_serving()
    }

    /// Serves until somebody [closes](Self::close) it and the last connection has gone. It begins
    /// to serve where it does not yet.
    ///
    /// A server serves without it as well: this is the thing to await for a program that does
    /// nothing else.
    ///
    /// # Errors
    ///
    /// `ResourceBusy`: somebody awaits it already. `NotConnected`: the server is closed. Why the last of its
    /// listeners failed, where it did.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the server, as cancelling asyncio's does; connections live on.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use ringloop::server::start_server;
    /// use ringloop::stream::copy;
    ///
    /// ringloop::run(async {
    ///     let echo = async |mut reader, writer| copy(&mut reader, &writer).await;
    ///     start_server("localhost:7000", echo).await?.serve_forever().await
    /// }).unwrap();
    /// ```
    pub async fn serve_forever(&self) -> io::Result<()> {
        let _forever = self.state.begin_forever()?;
        self.state.start_serving()?;
        self.wait_closed().await;
        match self.state.take_failure() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Stops listening, at once. Connections live on, and those who had connected before are still
    /// served, as far as there is [room](ServerOptions::max_connections). Doing it twice does
    /// nothing.
    pub fn close(&self) {
        self.state.close();
    }

    /// Waits until it is closed, by whomever, and all its connections have gone. Any number of
    /// tasks may wait, from whenever on.
    ///
    /// It does not close anything, and has no limit of its own: [`shutdown`](Self::shutdown) has.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn wait_closed(&self) {
        self.state.over().wait().await;
    }

    /// Closes all connections, when what was written to them has been sent. Does not wait, and does
    /// not close the server.
    ///
    /// Whoever reads one of them is given what has come, and then the end.
    pub fn close_clients(&self) {
        self.state.close_clients();
    }

    /// Closes all connections at once, with a reset: what was written and has not left is discarded.
    pub fn abort_clients(&self) {
        self.state.abort_clients();
    }

    /// Closes the server and lets its handlers end within `grace`; then
    /// [closes](Self::close_clients) the connections that are left and
    /// [aborts](Self::abort_clients) those that do not take at once what was written to them.
    /// Returns how many were aborted.
    ///
    /// So it ends in time, whatever clients and handlers do. A handler that waits for something
    /// else than its connection is not ended by that: give it a
    /// [`CancelToken`](crate::task::CancelToken).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the server closed, and the connections that are left to themselves.
    #[doc(alias = "graceful_shutdown")]
    pub async fn shutdown(&self, grace: Duration) -> usize {
        self.close();
        if timeout(grace, self.state.quiet().wait()).await.is_ok() {
            return 0;
        }
        self.close_clients();
        for _ in 0..TURNS {
            if self.state.over().is_set() {
                return 0;
            }
            yield_now().await;
        }
        let aborted = self.state.abort_clients();
        let _ = timeout(ABORT, self.wait_closed()).await;
        aborted
    }
}

/// Turns of the loop in which the kernel takes what it has room for.
const TURNS: usize = 16;

/// How long an aborted socket has, at most, to end what is in flight.
const ABORT: Duration = Duration::from_secs(1);

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("sockets", &self.sockets())
            .field("is_serving", &self.is_serving())
            .field("connections", &self.connections())
            .finish()
    }
}
