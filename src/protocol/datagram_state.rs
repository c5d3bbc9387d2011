//! What the transport of a datagram socket and its pump know of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::panic::Location;
use std::rc::Rc;

use super::base::Base;
use super::datagram::DatagramProtocol;
use crate::net::DatagramSocket;

/// What a datagram that waits counts beside its bytes: as in asyncio.
const HEADER: usize = 8;

pub(super) struct State<S: DatagramSocket> {
    base: Base,
    /// `None` after the end.
    pub(super) socket: RefCell<Option<Rc<S>>>,
    pub(super) peer: Option<S::Addr>,
    pub(super) local: Option<S::Addr>,
    /// What found no room.
    pub(super) queue: RefCell<VecDeque<Outgoing<S>>>,
    queued: Cell<usize>,
    /// Of sends, to be told.
    pub(super) errors: RefCell<VecDeque<io::Error>>,
    /// The protocol of the next callback.
    pub(super) next: Cell<Option<Box<dyn DatagramProtocol<S>>>>,
}

pub(super) struct Outgoing<S: DatagramSocket> {
    pub(super) data: Rc<[u8]>,
    /// `None`: to the peer.
    pub(super) to: Option<S::Addr>,
}

impl<S: DatagramSocket> Deref for State<S> {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl<S: DatagramSocket> State<S> {
    pub(super) fn new(socket: S, made_at: &'static Location<'static>) -> Self {
        Self {
            base: Base::new(made_at),
            peer: socket.peer().ok(),
            local: socket.local().ok(),
            socket: RefCell::new(Some(Rc::new(socket))),
            queue: RefCell::default(),
            queued: Cell::new(0),
            errors: RefCell::default(),
            next: Cell::new(None),
        }
    }

    pub(super) fn socket(&self) -> Option<Rc<S>> {
        self.socket.borrow().clone()
    }

    /// Whether more than the high mark waits.
    pub(super) fn send(&self, data: &[u8], to: Option<S::Addr>) -> bool {
        let socket = self.socket().filter(|_| self.is_open());
        let Some(socket) = socket else {
            self.drop_write();
            return false;
        };
        if self.queue.borrow().is_empty() {
            match socket.send_now(data, to.as_ref()) {
                Ok(_) => return self.is_over(0),
                Err(error) if finds_no_room(&error) => {}
                Err(error) => {
                    self.fail(error);
                    return self.is_over(0);
                }
            }
        }
        self.queue(data, to)
    }

    /// Queues what finds no room.
    pub(super) fn queue(&self, data: &[u8], to: Option<S::Addr>) -> bool {
        self.wake_pump();
        self.queue.borrow_mut().push_back(Outgoing { data: data.into(), to });
        self.queued.set(self.queued.get() + data.len() + HEADER);
        self.is_over(self.queued.get())
    }

    /// Has the protocol be told of it.
    pub(super) fn fail(&self, error: io::Error) {
        self.errors.borrow_mut().push_back(error);
        self.wake_pump();
    }

    /// Takes the first out of the queue: it has gone.
    pub(super) fn advance(&self) {
        if let Some(gone) = self.queue.borrow_mut().pop_front() {
            self.queued.set(self.queued.get() - gone.data.len() - HEADER);
        }
    }

    pub(super) fn abort(&self) {
        if self.base.abort() {
            self.queue.borrow_mut().clear();
            self.queued.set(0);
        }
    }

    /// Lets go of the socket, and of what waits.
    pub(super) fn let_go(&self) {
        self.queue.borrow_mut().clear();
        self.queued.set(0);
        let socket = self.socket.take();
        drop(socket);
    }

    pub(super) fn buffered(&self) -> usize {
        self.queued.get()
    }
}

/// Whether it may go later.
pub(super) fn finds_no_room(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM))
}
