//! What a server knows, shared by its handle, its accepting tasks and the sockets that it accepted.
//!
//! ```text
//!   Bound ── start_serving ──► Serving ── close ──► Closed ── last accepted, last gone ──► over
//!     └──────────────────────── close ────────────────▲              last handler ended ──► quiet
//! ```
//!
//! Clients are known weakly: a link and a socket keep themselves, and the socket says when it goes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use slab::Slab;

use super::listener::Listener;
use crate::net::{Counts, Link, WeakLink};
use crate::protocol::WeakTransport;
use crate::runtime::current;
use crate::sync::Event;
use crate::task::{Spawn, report_error};

/// What is done with a connection that was accepted.
pub(super) type Connected = Rc<dyn Fn(&Rc<State>, Link, Place)>;

/// Which client it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(usize);

pub(super) struct State {
    phase: Cell<Phase>,
    /// Those that listen, or will.
    listeners: RefCell<Vec<Rc<Listener>>>,
    connected: RefCell<Option<Connected>>,
    /// Tasks that accept.
    accepting: Cell<usize>,
    clients: RefCell<Slab<Client>>,
    /// At how many clients accepting pauses.
    most: usize,
    /// Set while there are fewer.
    room: Event,
    /// Handlers that have not ended.
    handlers: Cell<usize>,
    /// Set while somebody awaits `serve_forever`.
    forever: Cell<bool>,
    /// Why the last listener to fail did.
    failed: Cell<Option<io::Error>>,
    /// Set, for good, when it is closed and the last client has gone.
    over: Event,
    /// As `over`, and the last handler has ended.
    quiet: Event,
    backlog: u32,
    name: Option<Arc<str>>,
    started_at: &'static Location<'static>,
}

/// Somebody who is connected.
#[derive(Clone)]
struct Client {
    link: WeakLink,
    /// Where a protocol has the connection.
    transport: Option<WeakTransport>,
}

impl Client {
    fn close(&self) {
        match self.transport.as_ref().and_then(WeakTransport::upgrade) {
            Some(transport) => transport.close(),
            None => self.link.close(),
        }
    }

    fn abort(&self) {
        match self.transport.as_ref().and_then(WeakTransport::upgrade) {
            Some(transport) => transport.abort(),
            None => self.link.abort(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Its sockets have their addresses; whether they listen already, their options said.
    Bound,
    Serving,
    Closed,
}

impl State {
    pub(super) fn new(
        listeners: Vec<Listener>,
        connected: Connected,
        options: &super::ServerOptions,
        started_at: &'static Location<'static>,
    ) -> Rc<Self> {
        let room = Event::new();
        room.set();
        Rc::new(Self {
            phase: Cell::new(Phase::Bound),
            listeners: RefCell::new(listeners.into_iter().map(Rc::new).collect()),
            connected: RefCell::new(Some(connected)),
            accepting: Cell::new(0),
            clients: RefCell::default(),
            most: options.max_connections,
            room,
            handlers: Cell::new(0),
            forever: Cell::new(false),
            failed: Cell::new(None),
            over: Event::new(),
            quiet: Event::new(),
            backlog: options.backlog,
            name: options.name.clone(),
            started_at,
        })
    }

    pub(super) fn is_serving(&self) -> bool {
        self.phase.get() == Phase::Serving
    }

    fn is_closed(&self) -> bool {
        self.phase.get() == Phase::Closed
    }

    /// Where the program made the server.
    pub(super) fn started_at(&self) -> &'static Location<'static> {
        self.started_at
    }

    pub(super) fn over(&self) -> &Event {
        &self.over
    }

    pub(super) fn quiet(&self) -> &Event {
        &self.quiet
    }

    pub(super) fn connections(&self) -> usize {
        self.clients.borrow().len()
    }

    pub(super) fn listeners(&self) -> Vec<Rc<Listener>> {
        self.listeners.borrow().clone()
    }

    /// A task for a connection, named and placed as its server.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let mut spawn = Spawn::new();
        if let Some(name) = &self.name {
            spawn = spawn.name(name.clone());
        }
        drop(spawn.spawn_at(task, self.started_at));
    }

    pub(super) fn report(&self, message: &'static str, error: &dyn std::fmt::Display) {
        report_error(message, error, self.started_at);
    }

    pub(super) fn start_serving(self: &Rc<Self>) -> io::Result<()> {
        match self.phase.get() {
            Phase::Serving => return Ok(()),
            Phase::Closed => return Err(closed()),
            Phase::Bound => {}
        }
        // Without a runtime there is nobody to accept.
        current()?;
        let listeners = self.listeners();
        for listener in &listeners {
            listener.start(self.backlog)?;
        }
        self.phase.set(Phase::Serving);
        let connected = self.connected.borrow().clone();
        let connected = connected.expect("only a close takes it");
        for listener in listeners {
            self.accepting.set(self.accepting.get() + 1);
            let name = listener.task_name(self.name.as_deref());
            let accepting = Accepting { state: self.clone(), listener: Some(listener) };
            let accept_all = accepting.run(connected.clone());
            drop(Spawn::new().name(name).spawn_at(accept_all, self.started_at));
        }
        Ok(())
    }

    /// Stops listening. Those who have connected already are still served, as far as there is room.
    pub(super) fn close(&self) {
        if self.phase.replace(Phase::Closed) == Phase::Closed {
            return;
        }
        for listener in self.listeners.take() {
            listener.close();
        }
        // Whoever waits for room sees that it is over.
        self.room.set();
        let connected = self.connected.take();
        self.look();
        // A closure of the user's: whatever its drop does, the server is closed.
        drop(connected);
    }

    fn has_room(&self) -> bool {
        self.connections() < self.most
    }

    /// The next connection of `listener`; `None` when there will be none.
    async fn next(&self, listener: &Listener) -> io::Result<Option<Link>> {
        loop {
            if !self.has_room() {
                if self.is_closed() {
                    return Ok(None);
                }
                self.room.wait().await;
                continue;
            }
            let mut accept = pin!(listener.accept());
            // Another listener's connection may take the last place while this one waits.
            let accepted = poll_fn(|cx| match self.has_room() {
                true => accept.as_mut().poll(cx).map(Some),
                false => Poll::Ready(None),
            });
            match accepted.await {
                Some(Ok(link)) => return Ok(Some(link)),
                Some(Err(_)) if self.is_closed() => return Ok(None),
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
    }

    /// Counts a connection until its socket has gone.
    fn enlist(self: &Rc<Self>, link: &Link) -> Place {
        let client = Client { link: link.downgrade(), transport: None };
        let mut clients = self.clients.borrow_mut();
        let number = clients.insert(client);
        let is_full = clients.len() >= self.most;
        drop(clients);
        if is_full {
            self.room.clear();
        }
        link.count(self.clone(), number);
        Place(number)
    }

    /// The client has a protocol from now on, which is to hear of a close.
    pub(super) fn has_transport(&self, place: Place, transport: WeakTransport) {
        if let Some(client) = self.clients.borrow_mut().get_mut(place.0) {
            client.transport = Some(transport);
        }
    }

    pub(super) fn close_clients(&self) {
        for client in self.clients() {
            client.close();
        }
    }

    /// How many there were.
    pub(super) fn abort_clients(&self) -> usize {
        let clients = self.clients();
        for client in &clients {
            client.abort();
        }
        clients.len()
    }

    /// A copy: wakers, which are anybody's code, run while they are closed.
    fn clients(&self) -> Vec<Client> {
        self.clients.borrow().iter().map(|(_, client)| client.clone()).collect()
    }

    pub(super) fn handler_begins(&self) {
        self.handlers.set(self.handlers.get() + 1);
    }

    pub(super) fn handler_ended(&self) {
        self.handlers.set(self.handlers.get() - 1);
        self.look();
    }

    /// Looks whether it is over.
    fn look(&self) {
        if self.is_closed() && self.accepting.get() == 0 && self.connections() == 0 {
            self.over.set();
            if self.handlers.get() == 0 {
                self.quiet.set();
            }
        }
    }

    /// # Errors
    ///
    /// It is closed, or somebody does already.
    pub(super) fn begin_forever(self: &Rc<Self>) -> io::Result<Forever> {
        if self.is_closed() {
            return Err(closed());
        }
        if self.forever.replace(true) {
            let text = "somebody awaits serve_forever of this server already";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        Ok(Forever(self.clone()))
    }

    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.failed.take()
    }
}

impl Counts for State {
    fn gone(&self, place: usize) {
        let client = self.clients.borrow_mut().try_remove(place);
        drop(client);
        if self.has_room() {
            self.room.set();
        }
        self.look();
    }
}

/// While it lives, a task accepts the connections of a listener.
struct Accepting {
    state: Rc<State>,
    listener: Option<Rc<Listener>>,
}

impl Accepting {
    async fn run(self, connected: Connected) {
        let (state, listener) = (&self.state, self.listener.as_ref().expect("it has one"));
        loop {
            match state.next(listener).await {
                Ok(Some(link)) => {
                    let place = state.enlist(&link);
                    connected(state, link, place);
                }
                Ok(None) => return,
                Err(error) => {
                    state.report("a server's listener failed", &error);
                    state.failed.set(Some(error));
                    return;
                }
            }
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        let state = &self.state;
        let listener = self.listener.take();
        state
            .listeners
            .borrow_mut()
            .retain(|other| listener.as_ref().is_none_or(|listener| !Rc::ptr_eq(other, listener)));
        drop(listener);
        state.accepting.set(state.accepting.get() - 1);
        if state.accepting.get() == 0 {
            // The last listener has failed, or the runtime ends.
            state.close();
        }
        state.look();
    }
}

/// While it lives, somebody awaits `serve_forever`. That closes the server when it is given up.
pub(super) struct Forever(Rc<State>);

impl Drop for Forever {
    fn drop(&mut self) {
        self.0.forever.set(false);
        self.0.close();
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the server is closed")
}
