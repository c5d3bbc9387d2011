//! Tasks that begin and end within one block.
//!
//! ```text
//!   scope(body).await ─ polls ─► the body            until it ends, or the group closes: then it is dropped
//!                     ├ polls ─► children that borrow   only those that were woken
//!                     └ joins ─► children that are tasks
//! ```
//!
//! *Open* until the first failure, a cancel, or the end of the block; *closing* until the last child has
//! ended; then *ended*. Only *open* takes children in.

mod child;
mod error;
mod harvest;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use self::harvest::Harvest;
use super::local::spawn;
use super::quietly;
use super::ready_set::{Ready, ReadySet, Turn};
use crate::note::{self, On};
use crate::sys::sync::Arc;
use child::{End, Member, Scoped, Spawned};

pub use child::ChildHandle;
pub use error::GroupError;

/// Tasks that belong together: none outlives the block, and the first failure ends them all.
///
/// asyncio's [`TaskGroup`]. A clone is the same group, for children that add children; one that outlives
/// the block takes none.
///
/// There are two kinds of children. [`spawn`](Self::spawn) makes a task, which owns what it uses.
/// [`spawn_scoped`](Self::spawn_scoped) takes a future that may borrow what lives outside of the block;
/// it is part of the block's own future and is polled within it, so it is gone when that is dropped.
///
/// [`TaskGroup`]: https://docs.python.org/3/library/asyncio-task.html#asyncio.TaskGroup
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use ringloop::task::{TaskGroup, yield_now};
///
/// ringloop::run(async {
///     let sum = Cell::new(0);
///     let group = TaskGroup::scope(async |group| {
///         for n in 1..=3 {
///             let sum = &sum;
///             group.spawn_scoped(async move {
///                 yield_now().await;
///                 sum.set(sum.get() + n);
///                 Ok::<_, std::io::Error>(())
///             });
///         }
///         Ok(())
///     });
///     group.await.unwrap();
///     assert_eq!(sum.get(), 6);
/// });
/// ```
pub struct TaskGroup<'env, E> {
    shared: Rc<Shared<'env, E>>,
}

struct Shared<'env, E> {
    phase: Cell<Phase>,
    children: RefCell<ReadySet<Rc<dyn Member<E> + 'env>>>,
    /// Of `children`.
    ready: Arc<Ready>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    Closing,
    Ended,
}

impl<'env, E> TaskGroup<'env, E> {
    /// Runs `body`, which adds children to the group that it is given, and waits until it and all
    /// children have ended.
    ///
    /// The first error, of a child or of the body, closes the group: the body and the other children
    /// are cancelled, which means that their futures are dropped where they await; and new children are
    /// refused. A child that is merely [cancelled](ChildHandle::cancel) fails nobody.
    ///
    /// The answer is the body's value; `None` where the group was [cancelled](Self::cancel) before there
    /// was one. With [`spawn_scoped`](Self::spawn_scoped) alone it runs under any executor.
    ///
    /// # Errors
    ///
    /// [`GroupError`]: all errors of children in the order in which they came, then the body's.
    ///
    /// # Panics
    ///
    /// When the body or a child has panicked, with the first payload, after all have ended. Errors
    /// besides are lost then. Further panics, and the first where the block is dropped before it could
    /// pass it on, go to the hook of [`Builder::on_unhandled`](crate::Builder::on_unhandled).
    ///
    /// # Cancel safety
    ///
    /// Dropping it cancels body and children. Those that are tasks are dropped in the loop's next turn,
    /// the others at once. So a cancel from outside is never lost to a failure of the group: it ends
    /// both. For clean-up that awaits, let a child listen to a [`CancelToken`](super::CancelToken).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::task::TaskGroup;
    ///
    /// ringloop::run(async {
    ///     let group = TaskGroup::scope(async |group| {
    ///         group.spawn(async { Err::<(), _>("broken") });
    ///         group.spawn(std::future::pending::<Result<(), _>>()); // Ends with the other one.
    ///         std::future::pending::<Result<(), _>>().await // And so does the body.
    ///     });
    ///     assert_eq!(group.await.unwrap_err().errors(), ["broken"]);
    /// });
    /// ```
    #[track_caller]
    pub fn scope<R, B, F>(body: B) -> impl Future<Output = Result<Option<R>, GroupError<E>>>
    where
        B: FnOnce(Self) -> F,
        F: Future<Output = Result<R, E>>,
    {
        Self::run(body, Location::caller())
    }

    async fn run<R, B, F>(
        body: B,
        opened_at: &'static Location<'static>,
    ) -> Result<Option<R>, GroupError<E>>
    where
        B: FnOnce(Self) -> F,
        F: Future<Output = Result<R, E>>,
    {
        let (phase, children) = (Cell::new(Phase::Open), ReadySet::new());
        let ready = children.ready().clone();
        let shared = Rc::new(Shared { phase, children: RefCell::new(children), ready });
        let end = EndOnDrop(shared.clone());
        let mut harvest = Harvest::new(opened_at);
        // Declared last, so dropped first: what it adds meanwhile is ended as well.
        let mut body = pin!(Some(body(Self { shared: shared.clone() })));
        poll_fn(|cx| shared.poll(cx, body.as_mut(), &mut harvest)).await;
        drop(end);
        harvest.finish()
    }

    /// Runs `future` as a task of the current runtime that belongs to the group; see
    /// [`spawn`]. Its error closes the group.
    ///
    /// A group that is [closed](Self::is_closed) drops `future` at once, and the handle says *cancelled*.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[doc(alias = "create_task")]
    #[track_caller]
    pub fn spawn<T, F>(&self, future: F) -> ChildHandle<'static, T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
        E: 'static,
    {
        if self.is_closed() {
            return ChildHandle::refused();
        }
        let child = Rc::new(Spawned::new(spawn(future)));
        self.shared.add(child.clone());
        ChildHandle::new(child)
    }

    /// Adds a future that may borrow what lives outside of the block. It is polled within the block, as
    /// its own waker asks for, and is no task: no [`Runtime`](crate::Runtime) need be there.
    ///
    /// What its children share in one poll of their block is one task's budget, and a child that computes
    /// for long holds up the others. A closed group drops `future` at once, and the handle says
    /// *cancelled*.
    #[track_caller]
    pub fn spawn_scoped<T, F>(&self, future: F) -> ChildHandle<'env, T>
    where
        F: Future<Output = Result<T, E>> + 'env,
        T: 'env,
        E: 'env,
    {
        if self.is_closed() {
            return ChildHandle::refused();
        }
        let child = Rc::new(Scoped::new(future, Location::caller()));
        self.shared.add(child.clone());
        ChildHandle::new(child)
    }

    /// Ends the group without an error: the body and all children are cancelled, new ones are refused.
    ///
    /// It runs none of their code: their futures are dropped when the loop comes to them. Doing it twice,
    /// or late, does nothing.
    ///
    /// asyncio's [`TaskGroup.cancel`].
    ///
    /// [`TaskGroup.cancel`]: https://docs.python.org/3.15/library/asyncio-task.html#asyncio.TaskGroup.cancel
    pub fn cancel(&self) {
        self.shared.close();
        self.shared.ready.wake();
    }

    /// Whether children are refused: one has failed, the group was cancelled, or the block has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.phase.get() != Phase::Open
    }

    /// How many children have not ended.
    pub fn len(&self) -> usize {
        self.shared.children.borrow().len()
    }

    /// Whether all children have ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'env, E> Shared<'env, E> {
    fn add(&self, child: Rc<dyn Member<E> + 'env>) {
        self.children.borrow_mut().insert(child);
        self.ready.wake();
    }

    /// Refuses children from now on and asks those that are there to end.
    fn close(&self) {
        if self.phase.get() == Phase::Open {
            self.phase.set(Phase::Closing);
            let children = self.children.borrow().all();
            children.iter().for_each(|child| child.cancel());
        }
    }

    fn poll<R, F>(
        &self,
        cx: &mut Context<'_>,
        mut body: Pin<&mut Option<F>>,
        harvest: &mut Harvest<R, E>,
    ) -> Poll<()>
    where
        F: Future<Output = Result<R, E>>,
    {
        // What the body adds is polled below, and need not wake us.
        self.ready.deafen();
        self.poll_body(cx, body.as_mut(), harvest);
        self.ready.listen(cx.waker());
        let mut left = self.ready.len();
        while left > 0 {
            left -= 1;
            let was = self.phase.get();
            if !self.poll_child(harvest) {
                break;
            }
            if self.phase.get() != was {
                // All were woken, to end within this poll.
                left = self.ready.len();
            }
        }
        if self.phase.get() != Phase::Open {
            end_body(body.as_mut(), harvest);
        }
        if body.is_none() && self.children.borrow().is_empty() {
            Poll::Ready(())
        } else {
            self.children.borrow().note();
            note::waits("TaskGroup::scope", On::Nothing);
            Poll::Pending
        }
    }

    fn poll_body<R, F>(
        &self,
        cx: &mut Context<'_>,
        mut body: Pin<&mut Option<F>>,
        harvest: &mut Harvest<R, E>,
    ) where
        F: Future<Output = Result<R, E>>,
    {
        if self.phase.get() != Phase::Open {
            return end_body(body, harvest);
        }
        let Some(future) = body.as_mut().as_pin_mut() else { return };
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(Ok(value))) => harvest.value = Some(value),
            Ok(Poll::Ready(Err(error))) => {
                harvest.own = Some(error);
                self.close();
            }
            Err(payload) => {
                harvest.panicked_here(payload);
                self.close();
            }
        }
        end_body(body, harvest);
    }

    /// Polls the child that was woken first. False: none was.
    fn poll_child<R>(&self, harvest: &mut Harvest<R, E>) -> bool {
        let turn = self.children.borrow_mut().next();
        let Some(Turn { key, member, waker }) = turn else { return false };
        let Poll::Ready(end) = member.poll_end(&mut Context::from_waker(&waker)) else {
            self.children.borrow_mut().put_back(key, member.clone());
            if self.phase.get() != Phase::Open {
                // It closed the group itself, while it stood apart.
                member.cancel();
            }
            return true;
        };
        self.children.borrow_mut().remove(key);
        match end {
            End::Fine => {}
            End::Failed(error) => {
                harvest.errors.push(error);
                self.close();
            }
            End::Panicked(panic) => {
                harvest.panicked(panic);
                self.close();
            }
        }
        // With its value, where nobody has a handle: user code.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(member))) {
            harvest.panicked_here(payload);
            self.close();
        }
        true
    }
}

/// Drops the body.
fn end_body<R, E, F>(mut body: Pin<&mut Option<F>>, harvest: &mut Harvest<R, E>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| body.set(None))) {
        harvest.panicked_here(payload);
    }
}

/// Ends what is left when a block ends, in whatever way.
struct EndOnDrop<'env, E>(Rc<Shared<'env, E>>);

impl<E> Drop for EndOnDrop<'_, E> {
    fn drop(&mut self) {
        self.0.phase.set(Phase::Ended);
        self.0.ready.deafen();
        let children = self.0.children.borrow_mut().drain();
        children.iter().for_each(|child| child.abandon());
        for child in children {
            quietly(|| drop(child));
        }
    }
}

impl<E> Clone for TaskGroup<'_, E> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<E> fmt::Debug for TaskGroup<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("children", &self.len())
            .field("phase", &self.shared.phase.get())
            .finish()
    }
}
