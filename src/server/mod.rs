//! Servers: who listens, accepts, and runs a handler for each connection.

mod handler;
mod listener;
mod options;
mod start;
mod state;
#[cfg(test)]
mod tests;

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
/// Dropping it closes it, as [`close`](Self::close) does, and so does the end of the runtime.
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

    /// How many connections there are: each counts until its socket has gone, with everything that was
    /// written to it sent.
    pub fn connections(&self) -> usize {
        self.state.connections()
    }

    /// Begins to accept, where the options [said not to](ServerOptions::start_serving). Doing it twice does nothing.
    ///
    /// # Errors
    ///
    /// `NotConnected`: it is closed. What `listen(2)` says.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn start_serving(&self) -> io::Result<()> {
        self.state.start_serving()
    }

    /// Whether it accepts connections.
    pub fn is_serving(&self) -> bool {
        self.state.is_serving()
    }

    /// Serves until somebody else [closes](Self::close) it and the last connection has gone.
    ///
    /// # Errors
    ///
    /// `ResourceBusy`: somebody awaits it already. `NotConnected`: the server is closed. What ended the
    /// last of its listeners.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the server; connections live on.
    pub async fn serve_forever(&self) -> io::Result<()> {
        let _forever = self.state.begin_forever()?;
        self.state.start_serving()?;
        self.wait_closed().await;
        match self.state.take_failure() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Stops listening. Connections live on; those who had connected before are still served.
    /// Doing it twice does nothing.
    pub fn close(&self) {
        self.state.close();
    }

    /// Waits until it is closed, by whomever, and all its connections have gone. Any number of tasks may wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn wait_closed(&self) {
        self.state.over().wait().await;
    }

    /// Closes all connections, when what was written to them has been sent. Does not wait, and does not
    /// close the server.
    pub fn close_clients(&self) {
        self.state.close_clients();
    }

    /// Closes all connections at once, with a reset: what was written and has not left is discarded.
    pub fn abort_clients(&self) {
        self.state.abort_clients();
    }

    /// Closes the server and lets its handlers end within `grace`; then [closes](Self::close_clients) the
    /// connections that are left and [aborts](Self::abort_clients) those that do not take at once what
    /// was written to them. Returns how many were aborted.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the server closed, and the connections that are left to themselves.
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
