//! Task-locals: values that a future, all that it calls, and all that it spawns can see.
//!
//! What is set on this thread right now is one list that never changes, behind an `Rc`. A scope puts a
//! longer one in its place while its future is polled; a spawn takes the list as it stands, and each poll
//! of the task puts it there again. So nothing that a task sets is ever seen by who spawned it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::{Pin, pin};
use std::rc::Rc;

/// The values of a moment; `None`: there are none, as in most programs.
pub(crate) type Snapshot = Option<Rc<Locals>>;

/// Few, so they are searched in a row. A key stands here once.
pub(crate) struct Locals(Vec<(usize, Rc<dyn Any>)>);

thread_local! {
    /// Never dropped, as `local::HERE`.
    static NOW: RefCell<ManuallyDrop<Snapshot>> = const { RefCell::new(ManuallyDrop::new(None)) };

    /// Whether `NOW` is some: each poll and each spawn asks.
    static ANY: Cell<bool> = const { Cell::new(false) };
}

/// What is set on this thread right now.
#[inline]
pub(super) fn snapshot() -> Snapshot {
    if ANY.get() { NOW.with_borrow(|now| Option::clone(now)) } else { None }
}

/// While it lives, this thread has these locals and no others.
pub(crate) struct Within {
    before: Snapshot,
}

impl Within {
    pub(crate) fn new(locals: Snapshot) -> Self {
        Self { before: replace(locals) }
    }

    #[cold]
    fn of(locals: &Snapshot) -> Self {
        Self::new(locals.clone())
    }

    /// Nothing where there are none before and none after.
    #[inline]
    pub(super) fn if_any(locals: &Snapshot) -> Option<Self> {
        (locals.is_some() || ANY.get()).then(|| Self::of(locals))
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        // Values may be dropped with it: outside of the borrow.
        drop(replace(self.before.take()));
    }
}

fn replace(locals: Snapshot) -> Snapshot {
    ANY.set(locals.is_some());
    NOW.with_borrow_mut(|now| std::mem::replace(&mut **now, locals))
}

impl Locals {
    fn get(&self, key: usize) -> Option<Rc<dyn Any>> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone())
    }

    /// `before` and one more, which may hide one of them.
    fn with(before: &Snapshot, key: usize, value: Rc<dyn Any>) -> Rc<Self> {
        let others = before.iter().flat_map(|locals| &locals.0).filter(|(known, _)| *known != key);
        Rc::new(Self(others.cloned().chain([(key, value)]).collect()))
    }
}

/// Declares task-locals: values that a future, all that it calls, and all tasks that it spawns can see.
///
/// Each becomes a `static` of type [`LocalKey`].
///
/// # Examples
///
/// ```
/// ringloop::task_local! {
///     /// The request that is being served.
///     static REQUEST: u64;
/// }
///
/// ringloop::run(async {
///     let served = REQUEST.scope(7, async {
///         let child = ringloop::spawn(async { REQUEST.get() });
///         (REQUEST.get(), child.await.unwrap())
///     });
///     assert_eq!(served.await, (7, 7));
///     assert!(REQUEST.try_with(|_| ()).is_err());
/// });
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty);* $(;)?) => {
        $($(#[$attribute])*
        $visibility static $name: $crate::task::LocalKey<$type> = $crate::task::LocalKey::new();)*
    };
}

/// A task-local, as [`task_local!`](crate::task_local) declares it; asyncio's [`ContextVar`].
///
/// A value is set for a future, by [`scope`](Self::scope), and not for what comes after it. A task sees what
/// was set where it was spawned, as if it had been copied then: what either sets later, the other does not
/// see. (The value itself is one for both: a `Cell` in it is shared.) A callback of
/// [`call_soon`](crate::call_soon) sees what was set where it was scheduled.
///
/// A thread's tasks share nothing with those of other threads, so values need not be `Send`.
///
/// [`ContextVar`]: https://docs.python.org/3/library/contextvars.html
#[doc(alias = "ContextVar")]
#[doc(alias = "contextvars")]
pub struct LocalKey<T: 'static> {
    type_of_value: PhantomData<fn() -> T>,
    /// Its address is the key, so it must have one of its own.
    _place: u8,
}

impl<T: 'static> LocalKey<T> {
    /// For `task_local!`, whose statics live in one place for ever.
    #[doc(hidden)]
    #[allow(clippy::new_without_default, reason = "a key that is not a static is of no use")]
    pub const fn new() -> Self {
        Self { type_of_value: PhantomData, _place: 0 }
    }

    /// Runs `future` with `value` set. A scope within it may set another for its own future.
    ///
    /// It is set while the future is polled and while it is dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops `future`.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::task_local! { static DEPTH: u32 }
    ///
    /// ringloop::run(DEPTH.scope(1, async {
    ///     assert_eq!(DEPTH.scope(2, async { DEPTH.get() }).await, 2);
    ///     assert_eq!(DEPTH.get(), 1);
    /// }));
    /// ```
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> impl Future<Output = F::Output> {
        let mut unpolled =
            Unpolled { key: self.key(), value: Rc::new(value), future: Some(future) };
        async move {
            let future = pin!(unpolled.future.take());
            let (key, value) = (unpolled.key, unpolled.value.clone());
            let mut scoped = Scoped { key, value, outside: None, inside: None, future };
            poll_fn(|cx| {
                let _within = scoped.enter();
                scoped.future.as_mut().as_pin_mut().expect("it is dropped last").poll(cx)
            })
            .await
        }
    }

    /// Runs `f` with `value` set.
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let locals = Locals::with(&snapshot(), self.key(), Rc::new(value));
        let _within = Within::new(Some(locals));
        f()
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    ///
    /// If none is set here.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error} (a {})", std::any::type_name::<T>()),
        }
    }

    /// Calls `f` with the value, if one is set.
    ///
    /// # Errors
    ///
    /// [`AccessError`] where none is set.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let value = NOW.with_borrow(|now| now.as_ref()?.get(self.key()));
        match value.map(Rc::downcast::<T>) {
            Some(Ok(value)) => Ok(f(&value)),
            _ => Err(AccessError(())),
        }
    }

    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// If none is set here.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// No value of a task-local is set here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no value of this task-local is set here: run this within its scope")
    }
}

impl std::error::Error for AccessError {}

/// A future whose drop sees one more local, until its first poll takes it out.
struct Unpolled<F> {
    key: usize,
    value: Rc<dyn Any>,
    future: Option<F>,
}

impl<F> Drop for Unpolled<F> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            let locals = Locals::with(&snapshot(), self.key, self.value.clone());
            let _within = Within::new(Some(locals));
            drop(future);
        }
    }
}

/// A future whose polls and whose drop see one more local.
struct Scoped<'a, F> {
    key: usize,
    value: Rc<dyn Any>,
    /// What was set around it at its last poll, and what that made it set.
    outside: Snapshot,
    inside: Snapshot,
    future: Pin<&'a mut Option<F>>,
}

impl<F> Scoped<'_, F> {
    fn enter(&mut self) -> Within {
        let outside = snapshot();
        let same = match (&self.outside, &outside) {
            (Some(old), Some(new)) => Rc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        if self.inside.is_none() || !same {
            self.inside = Some(Locals::with(&outside, self.key, self.value.clone()));
            self.outside = outside;
        }
        Within::new(self.inside.clone())
    }
}

impl<F> Drop for Scoped<'_, F> {
    fn drop(&mut self) {
        let _within = self.enter();
        self.future.set(None);
    }
}
