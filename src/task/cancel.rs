//! Asking many to end, so that each can clean up first.
//!
//! ```text
//!   root ──► server ──► connection        cancel() of a token reaches all below it,
//!     │         └─────► connection        and those that are made later
//!     └────► ticker
//! ```
//!
//! A node holds its parent, which holds its children weakly: one that is dropped takes itself out. All
//! walks are loops, for a chain of tokens may be longer than the stack is deep.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use slab::Slab;

use super::{discard, poll_proceed, spend, wake};
use crate::note::{self, Note, On};
use crate::wait_list::{Left, Ticket, WaitList};

/// A request to end that many can wait for and look at; it stays once it is made.
///
/// [Cancelling a task](super::JoinHandle::cancel) drops its future at once, which leaves no room for
/// clean-up that awaits. A token leaves the end to whoever listens: it is *level-triggered*, so nobody
/// misses it by looking late, and no `?` can swallow it. Clones are the same token; a
/// [child](Self::child_token) is cancelled with its parent and by itself.
///
/// It takes the place of asyncio's catchable [`CancelledError`] and of [`uncancel`]: what is nested has
/// a child token each, and which of them [is cancelled](Self::is_cancelled) says whose request it was.
///
/// A token belongs to one thread. To cancel from another one, spawn what cancels by a
/// [`Handle`](crate::Handle). It works under any executor.
///
/// [`CancelledError`]: https://docs.python.org/3/library/asyncio-exceptions.html#asyncio.CancelledError
/// [`uncancel`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.uncancel
///
/// # Examples
///
/// ```
/// use ringloop::task::CancelToken;
///
/// ringloop::run(async {
///     let token = CancelToken::new();
///     let child = token.child_token();
///     let worker = ringloop::spawn(async move {
///         let work = std::future::pending::<()>();
///         if child.run_until_cancelled(work).await.is_none() {
///             ringloop::task::yield_now().await; // Clean-up that awaits.
///         }
///         "clean"
///     });
///     token.cancel();
///     assert_eq!(worker.await.unwrap(), "clean");
/// });
/// ```
#[doc(alias = "CancellationToken")]
#[doc(alias = "CancelScope")]
#[doc(alias = "uncancel")]
#[derive(Clone)]
pub struct CancelToken {
    node: Rc<Node>,
}

struct Node {
    cancelled: Cell<bool>,
    waiters: RefCell<WaitList<(), ()>>,
    /// Those that live and were made before the cancel.
    children: RefCell<Slab<Weak<Self>>>,
    /// The parent, and the key there. `None` for a root, and where the parent was cancelled already.
    place: Cell<Option<(Rc<Self>, usize)>>,
}

impl Node {
    fn new(cancelled: bool) -> Self {
        Self {
            cancelled: Cell::new(cancelled),
            waiters: RefCell::new(WaitList::new()),
            children: RefCell::default(),
            place: Cell::new(None),
        }
    }

    /// Marks this node and all below it; gives those that were not marked before, parents first.
    fn mark(self: &Rc<Self>) -> Vec<Rc<Self>> {
        let mut marked = Vec::new();
        if !self.cancelled.replace(true) {
            marked.push(self.clone());
        }
        let mut next = 0;
        while let Some(node) = marked.get(next).cloned() {
            next += 1;
            let children = node.children.take();
            let children = children.into_iter().filter_map(|(_, child)| child.upgrade());
            marked.extend(children.filter(|child| !child.cancelled.replace(true)));
        }
        marked
    }

    fn wake_all(&self) {
        loop {
            let next = self.waiters.borrow_mut().hand_over(());
            let Ok(waker) = next else { return };
            wake(waker);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut place = self.place.take();
        while let Some((parent, key)) = place {
            // A cancelled parent has forgotten its children.
            parent.children.borrow_mut().try_remove(key);
            place = Rc::into_inner(parent).and_then(|parent| parent.place.take());
        }
    }
}

impl CancelToken {
    /// A token that nobody has cancelled.
    pub fn new() -> Self {
        Self { node: Rc::new(Node::new(false)) }
    }

    /// A token that is cancelled together with this one, and that can be cancelled without it.
    ///
    /// Where this one is cancelled already, so is the child.
    pub fn child_token(&self) -> Self {
        let child = Rc::new(Node::new(self.is_cancelled()));
        if !self.is_cancelled() {
            let key = self.node.children.borrow_mut().insert(Rc::downgrade(&child));
            child.place.set(Some((self.node.clone(), key)));
        }
        Self { node: child }
    }

    /// Cancels this token and all that descend from it, for good. Doing it twice does nothing.
    ///
    /// All of them are marked before the first waiter is woken.
    pub fn cancel(&self) {
        for node in self.node.mark() {
            node.wake_all();
        }
    }

    /// Whether it was cancelled, by itself or from above.
    pub fn is_cancelled(&self) -> bool {
        self.node.cancelled.get()
    }

    /// Whether anybody else holds it, or a child of it.
    pub(crate) fn is_shared(&self) -> bool {
        Rc::strong_count(&self.node) > 1
    }

    /// Waits until the token is cancelled; at once where it is.
    ///
    /// # Cancel safety
    ///
    /// Dropping it does nothing: whoever looks later finds the token cancelled.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { node: self.node.clone(), ticket: None }
    }

    /// Runs `future` until it ends or the token is cancelled: then it is dropped, and the answer is
    /// `None`.
    ///
    /// A token that is cancelled before the first poll lets none of it run. A result that is there in
    /// the poll that sees the cancel is given, not lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops `future`.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        if self.is_cancelled() {
            return None;
        }
        let mut future = pin!(future);
        let mut cancelled = self.cancelled();
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            // It asks for budget: without any, the result may be there, and the next poll finds out.
            Pin::new(&mut cancelled).poll(cx).map(|()| None)
        })
        .await
    }

    /// Cancels the token when the guard is dropped.
    #[must_use = "it cancels at once where it is dropped at once"]
    pub fn drop_guard(&self) -> DropGuard {
        DropGuard { token: Some(self.clone()) }
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("is_cancelled", &self.is_cancelled()).finish()
    }
}

/// The future of [`CancelToken::cancelled`]. It keeps the token alive.
#[must_use = "futures do nothing unless awaited"]
pub struct Cancelled {
    node: Rc<Node>,
    ticket: Option<Ticket>,
}

impl Cancelled {
    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let left = self.node.waiters.borrow_mut().leave(ticket);
            if let Left::Waiting { waker, .. } = left {
                discard(waker);
            }
        }
    }
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(poll_proceed(cx));
        if self.node.cancelled.get() {
            self.leave();
            spend();
            return Poll::Ready(());
        }
        note::waits_for(|| Note {
            what: "CancelToken::cancelled",
            on: On::Thing(Rc::as_ptr(&self.node).addr()),
        });
        let waiters = &self.node.waiters;
        if let Some(ticket) = &self.ticket
            && !waiters.borrow().is_stale(ticket, cx.waker())
        {
            return Poll::Pending;
        }
        let new = cx.waker().clone();
        // The clone is user code, which may cancel.
        if self.node.cancelled.get() {
            discard(new);
            self.leave();
            return Poll::Ready(());
        }
        let mut waiters = waiters.borrow_mut();
        match &self.ticket {
            Some(ticket) => {
                let old = waiters.renew(ticket, new);
                drop(waiters);
                discard(old);
            }
            None => {
                let ticket = waiters.enter((), new);
                drop(waiters);
                self.ticket = Some(ticket);
            }
        }
        Poll::Pending
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled").field("is_cancelled", &self.node.cancelled.get()).finish()
    }
}

/// Cancels its token when it is dropped; see [`CancelToken::drop_guard`].
///
/// # Examples
///
/// ```
/// use ringloop::task::CancelToken;
///
/// let token = CancelToken::new();
/// drop(token.drop_guard());
/// assert!(token.is_cancelled());
/// ```
#[derive(Debug)]
pub struct DropGuard {
    token: Option<CancelToken>,
}

impl DropGuard {
    /// Gives the token back; it is not cancelled.
    pub fn disarm(mut self) -> CancelToken {
        self.token.take().expect("only this takes it")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            token.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen to fail when a node's drop did not take it out.
    #[test]
    fn a_dropped_child_leaves_nothing_behind() {
        let root = CancelToken::new();
        for _ in 0..100 {
            let child = root.child_token();
            let grandchild = child.child_token();
            drop(child);
            assert_eq!(
                root.node.children.borrow().len(),
                1,
                "the grandchild must hear of a cancel"
            );
            drop(grandchild);
            assert!(root.node.children.borrow().is_empty());
        }
        let grandchild = root.child_token().child_token();
        root.cancel();
        assert!(grandchild.is_cancelled());
        assert_eq!(Rc::strong_count(&root.node) + Rc::weak_count(&root.node), 2);
    }

    #[test]
    fn a_dropped_wait_leaves_nothing_behind() {
        let token = CancelToken::new();
        for _ in 0..100 {
            let mut waiting = [token.cancelled(), token.cancelled()];
            for waiting in &mut waiting {
                let mut cx = Context::from_waker(std::task::Waker::noop());
                assert!(Pin::new(waiting).poll(&mut cx).is_pending());
            }
            assert_eq!(token.node.waiters.borrow().len(), 2);
        }
        assert!(token.node.waiters.borrow().is_empty());
    }
}
