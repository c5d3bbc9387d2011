//! What a server runs for each connection.

use std::fmt::Display;
use std::rc::Rc;

use super::state::State;
use crate::net::{Link, WeakLink};

/// What a handler may give back: nothing, or a `Result` whose error is reported and closes the
/// connection.
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

/// Runs a handler as a task of its own. Its error is reported; after an error, a panic or a cancel the
/// connection is closed, whoever holds it.
pub(super) fn run<F>(state: &Rc<State>, link: &Link, handler: impl FnOnce() -> F + 'static)
where
    F: Future<Output: Outcome> + 'static,
{
    state.handler_begins();
    let running = Running { state: state.clone(), link: link.downgrade(), is_fine: false };
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
