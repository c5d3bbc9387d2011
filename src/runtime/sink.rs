//! Sinks: sockets that take in completions themselves.
//!
//! What a socket receives belongs to the socket, not to the call that asked: its requests settle
//! into the sink, whether or not anybody waits.

use std::rc::Rc;
use std::task::Waker;

use crate::op::Completion;

/// Which of a sink's requests a completion belongs to: a number of the sink's own choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Role(pub(crate) u8);

/// Wakers to wake once nothing is borrowed any more.
pub(crate) type Wakes = Vec<Waker>;

/// A receiver of completions. None of these runs user code.
pub(crate) trait Sink {
    /// Takes in a completion; leaves wakers in `wakes`.
    fn settle(self: Rc<Self>, role: Role, completion: Completion, wakes: &mut Wakes);

    /// Hands over what gathered in this turn. Called once for each `Core::mark_dirty`, when the tasks
    /// that were ready have run.
    fn flush(self: Rc<Self>, _wakes: &mut Wakes) {}

    /// Receives again: there are buffers, or it is this sink's turn to do without. Called once for
    /// each `Core::mark_starved`.
    fn rearm(self: Rc<Self>) {}

    /// The alarm that it set has come.
    fn alarm(self: Rc<Self>, _wakes: &mut Wakes) {}
}
