//! What a server knows of the links that it has accepted.

use std::rc::{Rc, Weak};

use super::{Link, State};
use crate::net::socket::{Counts, Place, Socket};
use crate::sys::SockAddr;

/// A link that keeps nothing open.
#[derive(Clone, Debug)]
pub(crate) struct WeakLink {
    state: Weak<State>,
    /// The socket may outlive all its links, while it sends what was written.
    socket: Weak<Socket>,
}

impl WeakLink {
    /// As [`Link::close`]; a link that has gone was closed by that.
    pub(crate) fn close(&self) {
        if let Some(state) = self.state.upgrade() {
            Link(state).close();
        }
    }

    /// As [`Link::abort`], also where the links have gone and the socket has not.
    pub(crate) fn abort(&self) {
        if let Some(state) = self.state.upgrade() {
            Link(state).abort();
        } else if let Some(socket) = self.socket.upgrade() {
            socket.abort();
        }
    }
}

impl Link {
    /// The link of a connection whose peer is known.
    pub(crate) fn accepted(stream: impl Into<Self>, peer: impl Into<SockAddr>) -> Self {
        let link = stream.into();
        link.0.peer.replace(Some(Box::new(peer.into())));
        link
    }

    /// Lets `with` count the socket, in the place of that number, until it has gone. Once for a link, and
    /// before it is closed.
    pub(crate) fn count(&self, with: Rc<dyn Counts>, number: usize) {
        if let Some(socket) = self.socket() {
            socket.count(Place { with, number });
        }
    }

    /// The link, as long as others hold it.
    pub(crate) fn downgrade(&self) -> WeakLink {
        let socket = self.socket().as_ref().map_or_else(Weak::new, Rc::downgrade);
        WeakLink { state: Rc::downgrade(&self.0), socket }
    }
}
