//! How a server is made.

use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::Server;
use super::listener::Listener;
use super::state::{Connected, State};
use crate::net::{TcpListener, TcpListenerOptions, ToSocketAddrs};

/// How a [`Server`] is made: [`Server::builder`].
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub(super) name: Option<Arc<str>>,
    pub(super) backlog: u32,
    pub(super) max_connections: usize,
    pub(super) reuse_port: bool,
    pub(super) nodelay: bool,
    pub(super) keepalive: Option<Duration>,
    pub(super) limit: usize,
    pub(super) start_serving: bool,
}

impl ServerOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            name: None,
            backlog: 4096,
            max_connections: usize::MAX,
            reuse_port: false,
            nodelay: true,
            keepalive: None,
            limit: 64 * 1024,
            start_serving: true,
        }
    }

    /// What the tasks of its connections are called, for people who look at them.
    pub fn name(&mut self, name: impl Into<Arc<str>>) -> &mut Self {
        self.name = Some(name.into());
        self
    }

    /// How many connections the kernel keeps before they are accepted (4096, where asyncio has 100; the
    /// kernel lowers it to `net.core.somaxconn`). See `listen(2)`.
    pub fn backlog(&mut self, connections: u32) -> &mut Self {
        self.backlog = connections;
        self
    }

    /// How many connections there may be at once (no limit): then accepting pauses until one has gone.
    /// Others wait in the kernel's [backlog](Self::backlog). No connection is accepted ahead then, at the price of a
    /// system call for each.
    pub fn max_connections(&mut self, connections: usize) -> &mut Self {
        self.max_connections = connections;
        self
    }

    /// `SO_REUSEPORT` (off): several servers share the address, and the kernel spreads connections.
    pub fn reuse_port(&mut self, on: bool) -> &mut Self {
        self.reuse_port = on;
        self
    }

    /// `TCP_NODELAY` of the connections (on): small writes leave at once. What is written in one turn of
    /// the loop leaves together, anyway.
    pub fn nodelay(&mut self, on: bool) -> &mut Self {
        self.nodelay = on;
        self
    }

    /// After how much silence the kernel asks whether a client is there (never); see
    /// [`TcpStream::set_keepalive`](crate::net::TcpStream::set_keepalive).
    #[doc(alias = "keep_alive")]
    pub fn keepalive(&mut self, idle: Option<Duration>) -> &mut Self {
        self.keepalive = idle;
        self
    }

    /// How many bytes a line, or what else a reader looks for the end of, may have (64 KiB).
    pub fn limit(&mut self, bytes: usize) -> &mut Self {
        self.limit = bytes;
        self
    }

    /// Whether it serves at once (yes). Else it only takes its addresses: dials are refused until
    /// [`Server::start_serving`].
    pub fn start_serving(&mut self, on: bool) -> &mut Self {
        self.start_serving = on;
        self
    }

    fn check(&self) -> io::Result<()> {
        let invalid = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if self.max_connections == 0 {
            return invalid("a server of no connections (max_connections) would serve nobody");
        }
        if self.limit == 0 {
            return invalid("the limit of a reader is at least one byte");
        }
        Ok(())
    }

    pub(super) async fn bind(&self, to: impl ToSocketAddrs) -> io::Result<Vec<Listener>> {
        self.check()?;
        let mut options = TcpListenerOptions::new();
        options.backlog(self.backlog).reuse_port(self.reuse_port);
        if self.max_connections < usize::MAX {
            options.parked(0);
        }
        if !self.start_serving {
            options.deferred();
        }
        let listeners = options.bind_each(to).await?;
        listeners.into_iter().map(|listener| self.listener(listener)).collect()
    }

    fn listener(&self, listener: TcpListener) -> io::Result<Listener> {
        listener.hand_down(self.nodelay, self.keepalive)?;
        Ok(Listener::tcp(listener, !self.start_serving))
    }

    pub(super) fn start(
        &self,
        listeners: Vec<Listener>,
        connected: Connected,
        started_at: &'static Location<'static>,
    ) -> io::Result<Server> {
        let server = Server::new(State::new(listeners, connected, self, started_at));
        if self.start_serving {
            server.start_serving()?;
        }
        Ok(server)
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self::new()
    }
}
