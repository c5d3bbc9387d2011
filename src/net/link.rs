//! What floor 5 holds of a stream socket: shared by its reader, its writer and its transport.
//!
//! Writing never waits here, as in asyncio: whoever writes looks at [`Link::buffered`], or waits for
//! it to fall. Closing is for all who share it: what has been received and not read stays to be
//! read, what was written is sent in the background, and then the descriptor goes, whoever is left.

mod accepted;
mod close;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::cell::RefCell;
use std::io;
use std::rc::{Rc, Weak};

use super::inbox::Inbox;
use super::options::{self, Setting};
use super::pipe::PipeReader;
use super::pipe_writer::PipeWriter;
use super::socket::{Heir, Socket};
use super::stream_socket::StreamSocket;
use super::tcp_stream::Handle;
use crate::op::Call;
use crate::runtime::Core;
use crate::sys::SockAddr;

pub(crate) use accepted::WeakLink;

/// A shared handle on a stream socket. The last one to go closes it.
#[derive(Clone)]
pub(crate) struct Link(Rc<State>);

struct State {
    core: Rc<Core>,
    /// `None` once it has been closed.
    handle: RefCell<Option<Handle>>,
    /// What had come and was not read when it was closed; an open one has no need of it.
    rest: RefCell<Option<Box<Inbox>>>,
    /// The socket while a close sends what was written.
    closing: RefCell<Weak<Socket>>,
    heir: Rc<Heir>,
    peer: RefCell<Option<Box<SockAddr>>>,
    local: RefCell<Option<Box<SockAddr>>>,
}

impl<S: StreamSocket> From<S> for Link {
    fn from(stream: S) -> Self {
        Self::new(stream.into_handle())
    }
}

impl From<PipeReader> for Link {
    fn from(pipe: PipeReader) -> Self {
        Self::new(pipe.into_handle())
    }
}

impl From<PipeWriter> for Link {
    fn from(pipe: PipeWriter) -> Self {
        Self::new(pipe.into_handle())
    }
}

impl Link {
    pub(super) fn new(handle: Handle) -> Self {
        Self(Rc::new(State {
            core: handle.0.core().clone(),
            handle: RefCell::new(Some(handle)),
            rest: RefCell::new(None),
            closing: RefCell::new(Weak::new()),
            heir: Rc::default(),
            peer: RefCell::new(None),
            local: RefCell::new(None),
        }))
    }

    /// The socket, held by itself: what follows may close the link.
    fn socket(&self) -> Option<Rc<Socket>> {
        self.0.handle.borrow().as_ref().map(|handle| handle.0.clone())
    }

    fn open(&self) -> io::Result<Rc<Socket>> {
        self.socket().ok_or_else(closed)
    }

    /// Whether it has been closed, or aborted.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.handle.borrow().is_none()
    }

    /// `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says; `NotConnected` after the close.
    pub(crate) fn set_nodelay(&self, on: bool) -> io::Result<()> {
        let socket = self.open()?;
        let nodelay = Setting::flag(libc::IPPROTO_TCP, libc::TCP_NODELAY, on);
        options::set(socket.core(), socket.fd.raw(), nodelay)
    }

    /// The address of the peer; known for good once it was asked for, or given by an accept.
    ///
    /// # Errors
    ///
    /// What `getpeername(2)` says; `NotConnected` after the close.
    pub(crate) fn peer_addr(&self) -> io::Result<SockAddr> {
        cached(&self.0.peer, || {
            let (socket, mut address) = (self.open()?, SockAddr::empty());
            socket.core().call(Call::PeerAddr { fd: socket.fd.raw(), address: &mut address })?;
            Ok(address)
        })
    }

    /// The local address; known for good once it was asked for.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says; `NotConnected` after the close.
    pub(crate) fn local_addr(&self) -> io::Result<SockAddr> {
        cached(&self.0.local, || {
            let (socket, mut address) = (self.open()?, SockAddr::empty());
            socket.core().call(Call::LocalAddr { fd: socket.fd.raw(), address: &mut address })?;
            Ok(address)
        })
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.socket() {
            Some(socket) => socket.fmt(f),
            None => f.write_str("closed"),
        }
    }
}

fn cached(
    cell: &RefCell<Option<Box<SockAddr>>>,
    ask: impl FnOnce() -> io::Result<SockAddr>,
) -> io::Result<SockAddr> {
    if let Some(known) = &*cell.borrow() {
        return Ok(**known);
    }
    let address = ask()?;
    cell.replace(Some(Box::new(address)));
    Ok(address)
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection has been closed")
}
