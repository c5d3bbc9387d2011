//! What a server runs for each connection.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use super::state::{Connected, State};
use crate::net::WeakLink;
use crate::protocol::{IntoProtocol, accepted, name_of};
use crate::stream::{Reader, Writer, pair};
use crate::task::report_caught;

/// What a handler of [`start_server`](super::start_server) may give back: nothing, or a `Result`,
/// whose error is reported to the hook of [`Builder::on_unhandled`](crate::Builder::on_unhandled).
pub trait Outcome {
    /// What went wrong.
    fn error(&self) -> Option<&dyn Display>;
}

impl Outcome for () {
    fn error(&self) -> Option<&dyn Display> {
        None
    }
}

impl<T, E: Display> Outcome for Result<T, E> {
    fn error(&self) -> Option<&dyn Display> {
        self.as_ref().err().map(|error| error as &dyn Display)
    }
}

/// Each connection is handed to `handler`, as a reader and a writer.
pub(super) fn streams<H, F>(handler: H, limit: usize) -> Connected
where
    H: Fn(Reader, Writer) -> F + 'static,
    F: Future<Output: Outcome> + 'static,
{
    let handler = Rc::new(handler);
    Rc::new(move |state, link, _| {
        let handler = handler.clone();
        // The call is made in the task: it is user code.
        run(state, link.downgrade(), move || {
            let (mut reader, writer) = pair(link);
            reader.set_limit(limit).expect("the options have been checked");
            handler(reader, writer)
        });
    })
}

/// Each connection gets a protocol that `factory` makes.
pub(super) fn protocols<P, Kind>(
    factory: impl Fn() -> P + 'static,
    name: Option<Arc<str>>,
) -> Connected
where
    P: IntoProtocol<Kind>,
{
    let name = name.unwrap_or_else(name_of::<P>);
    Rc::new(move |state, link, place| {
        match catch_unwind(AssertUnwindSafe(&factory)) {
            Ok(protocol) => {
                let transport = accepted(protocol, link, name.clone(), state.started_at());
                state.has_transport(place, transport.downgrade());
            }
            // The connection goes with the link.
            Err(payload) => {
                let what = "the factory of a server's protocols panicked";
                report_caught(what, payload, state.started_at());
            }
        }
    })
}

/// Runs a handler as a task of its own. Its error is reported; after an error, a panic or a cancel
/// the connection is closed, whoever holds it.
pub(super) fn run<F>(state: &Rc<State>, link: WeakLink, handler: impl FnOnce() -> F + 'static)
where
    F: Future<Output: Outcome> + 'static,
{
    state.handler_begins();
    let running = Running { state: state.clone(), link, is_fine: false };
    state.spawn(async move {
        // All of it, not a copy of what it says.
        let mut running = running;
        let outcome = handler().await;
        match outcome.error() {
            Some(error) => running.state.report("the handler of a connection failed", error),
            None => running.is_fine = true,
        }
    });
}

/// While it lives, a handler runs, or is about to.
struct Running {
    state: Rc<State>,
    /// Weak: the handler may close the connection by dropping it, and go on.
    link: WeakLink,
    is_fine: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_fine {
            self.link.close();
        }
        self.state.handler_ended();
    }
}
