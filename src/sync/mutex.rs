//! Mutual exclusion.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::cell::{Exclusive, Guarded};
use super::permits::{Lends, Permits};

/// A value that one task at a time may touch; asyncio's [`Lock`].
///
/// First come, first served: an unlocked mutex is handed to whoever waits longest, and nobody gets it in
/// between. It is for what must stay together over an `await`; where there is none, a `RefCell` will do,
/// for the tasks of a thread do not interrupt each other. It is not poisoned by a panic, and not reentrant:
/// a task that locks it twice waits for ever.
///
/// [`Lock`]: https://docs.python.org/3/library/asyncio-sync.html#asyncio.Lock
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use ringloop::sync::Mutex;
/// use ringloop::task::yield_now;
///
/// ringloop::run(async {
///     let account = Rc::new(Mutex::new(100));
///     let other = account.clone();
///     let task = ringloop::spawn(async move {
///         let mut balance = other.lock().await;
///         let before = *balance;
///         yield_now().await; // nobody else can change it meanwhile
///         *balance = before - 30;
///     });
///     yield_now().await;
///     assert!(account.is_locked());
///     *account.lock().await -= 20;
///     task.await.unwrap();
///     assert_eq!(*account.lock().await, 50);
/// });
/// ```
#[doc(alias = "Lock")]
pub struct Mutex<T: ?Sized> {
    pub(super) cell: Guarded<T>,
}

/// What [`Mutex::lock`] gives: the value, and the lock until it is dropped.
///
/// One that is forgotten (`std::mem::forget`) keeps the mutex locked for ever.
#[must_use = "a mutex is unlocked when its guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized>(Exclusive<&'a Guarded<T>>);

/// A [`MutexGuard`] that borrows nothing: it holds the [`Rc`] of its mutex.
#[must_use = "a mutex is unlocked when its guard is dropped"]
pub struct OwnedMutexGuard<T: ?Sized>(Exclusive<Rc<Mutex<T>>>);

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub const fn new(value: T) -> Self {
        Self { cell: Guarded::new(value) }
    }

    /// The value; nobody else has the mutex any more.
    pub fn into_inner(self) -> T {
        self.cell.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// The value, without locking: nobody else has the mutex now.
    pub fn get_mut(&mut self) -> &mut T {
        self.cell.get_mut()
    }

    /// Waits until it is this task's turn.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in line. One that has been handed the lock passes it on.
    ///
    /// # Examples
    ///
    /// ```
    /// ringloop::run(async {
    ///     let mutex = ringloop::sync::Mutex::new(1);
    ///     *mutex.lock().await += 1;
    ///     assert_eq!(mutex.into_inner(), 2);
    /// });
    /// ```
    #[doc(alias = "acquire")]
    #[inline]
    pub fn lock(&self) -> impl Future<Output = MutexGuard<'_, T>> + Unpin {
        Exclusive::wait(&self.cell, "Mutex::lock", MutexGuard)
    }

    /// Locks if nobody has it and nobody waits for it.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        Exclusive::try_new(&self.cell).map(MutexGuard)
    }

    /// As [`lock`](Self::lock), with a guard that borrows nothing, to keep in a struct or to give to a task.
    ///
    /// # Cancel safety
    ///
    /// As for [`lock`](Self::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::rc::Rc;
    ///
    /// ringloop::run(async {
    ///     let mutex = Rc::new(ringloop::sync::Mutex::new(String::new()));
    ///     let mut guard = mutex.clone().lock_owned().await;
    ///     ringloop::spawn(async move { guard.push('a') }).await.unwrap();
    ///     assert_eq!(*mutex.lock().await, "a");
    /// });
    /// ```
    #[inline]
    pub fn lock_owned(self: Rc<Self>) -> impl Future<Output = OwnedMutexGuard<T>> + Unpin {
        Exclusive::wait(self, "Mutex::lock", OwnedMutexGuard)
    }

    /// As [`try_lock`](Self::try_lock), with a guard that borrows nothing.
    pub fn try_lock_owned(self: Rc<Self>) -> Option<OwnedMutexGuard<T>> {
        Exclusive::try_new(self).map(OwnedMutexGuard)
    }

    /// Whether somebody has it: a guard, or a waiter that has been handed it.
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.cell.is_held()
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(super) fn place(&self) -> &'a Guarded<T> {
        self.0.place()
    }

    /// Waits for the lock of a guard that has been given up.
    pub(super) fn again(place: &'a Guarded<T>) -> impl Future<Output = Self> + Unpin {
        Exclusive::wait(place, "Mutex::lock", MutexGuard)
    }
}

impl<T: ?Sized> Lends for Mutex<T> {
    #[inline]
    fn permits(&self) -> &Permits {
        self.cell.permits()
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: ?Sized> Deref for OwnedMutexGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for OwnedMutexGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(guard) => d.field("value", &&*guard).finish(),
            None => d.field("value", &format_args!("<locked>")).finish(),
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
