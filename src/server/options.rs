//! How a server is made.

use std::io;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Server;
use super::handler::{Outcome, protocols, streams};
use super::listener::Listener;
use super::state::{Connected, State};
use crate::net::{TcpListener, TcpListenerOptions, ToSocketAddrs, UnixListenerOptions};
use crate::protocol::IntoProtocol;
use crate::stream::{Reader, Writer};

/// How a [`Server`] is made: [`Server::builder`].
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub(super) name: Option<Arc<str>>,
    pub(super) backlog: u32,
    pub(super) max_connections: usize,
    reuse_port: bool,
    nodelay: bool,
    keepalive: Option<Duration>,
    limit: usize,
    start_serving: bool,
    unix: UnixListenerOptions,
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
            unix: UnixListenerOptions::new(),
        }
    }

    /// What the tasks of its connections are called, for people who look at them.
    pub fn name(&mut self, name: impl Into<Arc<str>>) -> &mut Self {
        self.name = Some(name.into());
        self
    }

    /// How many connections the kernel keeps before they are accepted (4096, where asyncio has 100;
    /// the kernel lowers it to `net.core.somaxconn`). See `listen(2)`.
    pub fn backlog(&mut self, connections: u32) -> &mut Self {
        self.backlog = connections;
        self
    }

    /// How many connections there may be at once (no limit): then accepting pauses until one has
    /// gone. Others wait in the kernel's [backlog](Self::backlog). No connection is accepted ahead
    /// then, at the price of a system call for each.
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

    /// How the sockets of its Unix servers are made: the permissions of the file, whether one that is
    /// there is replaced, and whether it is removed in the end. Backlog and inbox are the server's.
    #[doc(alias = "cleanup_socket")]
    pub fn unix(&mut self, options: &UnixListenerOptions) -> &mut Self {
        self.unix = options.clone();
        self
    }

    /// As [`start_server`](super::start_server), with these options.
    ///
    /// # Errors
    ///
    /// As [`start_server`](super::start_server); `InvalidInput` for no connections at all
    /// ([`max_connections`](Self::max_connections)), or a [limit](Self::limit) of zero.
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::server::Server;
    ///
    /// ringloop::run(async {
    ///     let server = Server::builder()
    ///         .max_connections(1000)
    ///         .start_server("127.0.0.1:0", async |_reader, writer| writer.write_all(b"hello\n").await)
    ///         .await?;
    ///     assert!(server.is_serving());
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn start_server<A, H, F>(
        &self,
        to: A,
        handler: H,
    ) -> impl Future<Output = io::Result<Server>> + use<A, H, F>
    where
        A: ToSocketAddrs,
        H: Fn(Reader, Writer) -> F + 'static,
        F: Future<Output: Outcome> + 'static,
    {
        let connected = streams(handler, self.limit);
        self.clone().start_inet(to, connected, Location::caller())
    }

    /// As [`start_server`](Self::start_server), on sockets that are there: taken over from std, or
    /// made by other options. Nothing is awaited.
    ///
    /// With a limit of [connections](Self::max_connections), let the listeners have
    /// [no inbox](TcpListenerOptions::parked): what they accept ahead is not counted.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: there is no listener, or an option makes no sense; what `setsockopt(2)` says;
    /// `NotConnected` outside a runtime.
    #[track_caller]
    pub fn start_server_on<H, F>(
        &self,
        listeners: impl IntoIterator<Item = TcpListener>,
        handler: H,
    ) -> io::Result<Server>
    where
        H: Fn(Reader, Writer) -> F + 'static,
        F: Future<Output: Outcome> + 'static,
    {
        let started_at = Location::caller();
        self.check()?;
        // They listen already.
        let listening = |listener: TcpListener| {
            listener.hand_down(self.nodelay, self.keepalive)?;
            Ok(Listener::tcp(listener, false))
        };
        let listeners: io::Result<Vec<_>> = listeners.into_iter().map(listening).collect();
        let listeners = listeners?;
        if listeners.is_empty() {
            return Err(invalid("a server needs a socket that listens"));
        }
        self.start(listeners, streams(handler, self.limit), started_at)
    }

    /// As [`start_unix_server`](super::start_unix_server), with these options.
    ///
    /// # Errors
    ///
    /// As [`start_unix_server`](super::start_unix_server), and [`start_server`](Self::start_server).
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    #[track_caller]
    pub fn start_unix_server<A, H, F>(
        &self,
        path: A,
        handler: H,
    ) -> impl Future<Output = io::Result<Server>> + use<A, H, F>
    where
        A: AsRef<Path>,
        H: Fn(Reader, Writer) -> F + 'static,
        F: Future<Output: Outcome> + 'static,
    {
        let connected = streams(handler, self.limit);
        self.clone().start_unix(path, connected, Location::caller())
    }

    /// As [`create_server`](super::create_server), with these options.
    ///
    /// # Errors
    ///
    /// As [`start_server`](Self::start_server).
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    #[track_caller]
    pub fn create_server<M, P, A, Kind>(
        &self,
        factory: M,
        to: A,
    ) -> impl Future<Output = io::Result<Server>> + use<M, P, A, Kind>
    where
        M: Fn() -> P + 'static,
        P: IntoProtocol<Kind>,
        A: ToSocketAddrs,
    {
        let connected = protocols(factory, self.name.clone());
        self.clone().start_inet(to, connected, Location::caller())
    }

    /// As [`create_unix_server`](super::create_unix_server), with these options.
    ///
    /// # Errors
    ///
    /// As [`start_unix_server`](Self::start_unix_server).
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    #[track_caller]
    pub fn create_unix_server<M, P, A, Kind>(
        &self,
        factory: M,
        path: A,
    ) -> impl Future<Output = io::Result<Server>> + use<M, P, A, Kind>
    where
        M: Fn() -> P + 'static,
        P: IntoProtocol<Kind>,
        A: AsRef<Path>,
    {
        let connected = protocols(factory, self.name.clone());
        self.clone().start_unix(path, connected, Location::caller())
    }

    async fn start_inet(
        self,
        to: impl ToSocketAddrs,
        connected: Connected,
        started_at: &'static Location<'static>,
    ) -> io::Result<Server> {
        let listeners = self.bind(to).await?;
        self.start(listeners, connected, started_at)
    }

    async fn start_unix(
        self,
        path: impl AsRef<Path>,
        connected: Connected,
        started_at: &'static Location<'static>,
    ) -> io::Result<Server> {
        self.check()?;
        let mut options = self.unix.clone();
        options.backlog(self.backlog);
        if self.is_limited() {
            options.parked(0);
        }
        if !self.start_serving {
            options.deferred();
        }
        let listener = Listener::unix(options.bind(path).await?, !self.start_serving);
        self.start(vec![listener], connected, started_at)
    }

    fn check(&self) -> io::Result<()> {
        if self.max_connections == 0 {
            return Err(invalid("a server of no connections (max_connections) serves nobody"));
        }
        if self.limit == 0 {
            return Err(invalid("the limit of a reader is at least one byte"));
        }
        Ok(())
    }

    fn is_limited(&self) -> bool {
        self.max_connections < usize::MAX
    }

    async fn bind(&self, to: impl ToSocketAddrs) -> io::Result<Vec<Listener>> {
        self.check()?;
        let mut options = TcpListenerOptions::new();
        options.backlog(self.backlog).reuse_port(self.reuse_port);
        if self.is_limited() {
            options.parked(0);
        }
        if !self.start_serving {
            options.deferred();
        }
        let listener = |listener: TcpListener| {
            listener.hand_down(self.nodelay, self.keepalive)?;
            Ok(Listener::tcp(listener, !self.start_serving))
        };
        options.bind_each(to).await?.into_iter().map(listener).collect()
    }

    fn start(
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

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self::new()
    }
}
