//! A listening socket of a server, whatever its family.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::net::{Link, TcpListener};

pub(super) struct Listener {
    socket: Socket,
    /// Whether it was bound only.
    deferred: bool,
}

enum Socket {
    Tcp(TcpListener),
}

impl Listener {
    pub(super) fn tcp(listener: TcpListener, deferred: bool) -> Self {
        Self { socket: Socket::Tcp(listener), deferred }
    }

    /// Begins to listen, if it does not yet.
    pub(super) fn start(&self, backlog: u32) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(_) if !self.deferred => Ok(()),
            Socket::Tcp(listener) => listener.listen(backlog),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Link> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Link::accepted(stream, peer))
            }
        }
    }

    pub(super) fn close(&self) {
        match &self.socket {
            Socket::Tcp(listener) => listener.close(),
        }
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr(),
        }
    }

    /// What the task is called that accepts.
    pub(super) fn task_name(&self, server: Option<&str>) -> Arc<str> {
        let server = server.unwrap_or("a server");
        match self.local_addr() {
            Ok(address) => format!("{server}, accepting on {address}").into(),
            Err(_) => server.into(),
        }
    }
}
