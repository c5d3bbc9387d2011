//! A listening socket of a server, whatever its family.

use std::io;
use std::net::SocketAddr;
use std::os::unix;
use std::sync::Arc;

use crate::net::{Link, TcpListener, UnixListener};

pub(super) struct Listener {
    socket: Socket,
    /// Whether it was bound only.
    deferred: bool,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub(super) fn tcp(listener: TcpListener, deferred: bool) -> Self {
        Self { socket: Socket::Tcp(listener), deferred }
    }

    pub(super) fn unix(listener: UnixListener, deferred: bool) -> Self {
        Self { socket: Socket::Unix(listener), deferred }
    }

    /// Begins to listen, if it does not yet.
    pub(super) fn start(&self, backlog: u32) -> io::Result<()> {
        match &self.socket {
            _ if !self.deferred => Ok(()),
            Socket::Tcp(listener) => listener.listen(backlog),
            Socket::Unix(listener) => listener.listen(backlog),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Link> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Link::accepted(stream, peer))
            }
            // A peer without a name is asked for it when somebody wants to know.
            Socket::Unix(listener) => Ok(Link::from(listener.accept().await?.0)),
        }
    }

    pub(super) fn close(&self) {
        match &self.socket {
            Socket::Tcp(listener) => listener.close(),
            Socket::Unix(listener) => listener.close(),
        }
    }

    pub(super) fn inet_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    pub(super) fn unix_addr(&self) -> Option<unix::net::SocketAddr> {
        match &self.socket {
            Socket::Tcp(_) => None,
            Socket::Unix(listener) => listener.local_addr().ok(),
        }
    }

    /// What the task is called that accepts.
    pub(super) fn task_name(&self, server: Option<&str>) -> Arc<str> {
        let server = server.unwrap_or("a server");
        match (self.inet_addr(), self.unix_addr()) {
            (Some(address), _) => format!("{server}, accepting on {address}").into(),
            (_, Some(address)) => format!("{server}, accepting on {address:?}").into(),
            _ => server.into(),
        }
    }
}
