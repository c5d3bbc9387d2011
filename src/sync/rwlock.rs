//! One writer, or readers together.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::cell::{Exclusive, Guarded, Shared};
use super::permits::{Lends, Permits};

/// A value that many tasks may read at once, or one may write.
///
/// asyncio has none; the name is std's. First come, first served: a reader that comes after a waiting
/// writer waits as well, so a writer is never starved. Readers that stand in line one behind the other are
/// let in together. A task that reads and asks to read once more waits for ever if a writer came in between.
///
/// # Examples
///
/// ```
/// use ringloop::sync::RwLock;
///
/// ringloop::run(async {
///     let routes = RwLock::new(vec!["/"]);
///     {
///         let (one, two) = (routes.read().await, routes.read().await);
///         assert_eq!(one.len(), two.len());
///         assert!(routes.try_write().is_none());
///     }
///     routes.write().await.push("/about");
///     assert_eq!(routes.read().await.len(), 2);
/// });
/// ```
pub struct RwLock<T: ?Sized> {
    pub(super) cell: Guarded<T>,
}

/// What [`RwLock::read`] gives: the value to look at, and the lock until it is dropped.
#[must_use = "a lock is released when its guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized>(Shared<&'a Guarded<T>>);

/// What [`RwLock::write`] gives: the value to change, and the lock until it is dropped.
#[must_use = "a lock is released when its guard is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized>(Exclusive<&'a Guarded<T>>);

/// A [`RwLockReadGuard`] that borrows nothing: it holds the [`Rc`] of its lock.
#[must_use = "a lock is released when its guard is dropped"]
pub struct OwnedRwLockReadGuard<T: ?Sized>(Shared<Rc<RwLock<T>>>);

/// A [`RwLockWriteGuard`] that borrows nothing: it holds the [`Rc`] of its lock.
#[must_use = "a lock is released when its guard is dropped"]
pub struct OwnedRwLockWriteGuard<T: ?Sized>(Exclusive<Rc<RwLock<T>>>);

impl<T> RwLock<T> {
    /// A lock that nobody has.
    pub const fn new(value: T) -> Self {
        Self { cell: Guarded::new(value) }
    }

    /// The value; nobody else has the lock any more.
    pub fn into_inner(self) -> T {
        self.cell.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// The value, without locking: nobody else has the lock now.
    pub fn get_mut(&mut self) -> &mut T {
        self.cell.get_mut()
    }

    /// Waits until nobody writes, and all who came before have had their turn.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in line, and lets in who stood behind it. One that has been handed
    /// the lock passes it on.
    #[inline]
    pub fn read(&self) -> impl Future<Output = RwLockReadGuard<'_, T>> + Unpin {
        Shared::wait(&self.cell, "RwLock::read", RwLockReadGuard)
    }

    /// Waits until nobody reads or writes, and all who came before have had their turn.
    ///
    /// # Cancel safety
    ///
    /// As for [`read`](Self::read): readers behind a dropped writer are let in.
    #[inline]
    pub fn write(&self) -> impl Future<Output = RwLockWriteGuard<'_, T>> + Unpin {
        Exclusive::wait(&self.cell, "RwLock::write", RwLockWriteGuard)
    }

    /// Reads if nobody writes and nobody waits.
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        Shared::try_new(&self.cell).map(RwLockReadGuard)
    }

    /// Writes if nobody reads or writes.
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        Exclusive::try_new(&self.cell).map(RwLockWriteGuard)
    }

    /// As [`read`](Self::read), with a guard that borrows nothing.
    ///
    /// # Cancel safety
    ///
    /// As for [`read`](Self::read).
    #[inline]
    pub fn read_owned(self: Rc<Self>) -> impl Future<Output = OwnedRwLockReadGuard<T>> + Unpin {
        Shared::wait(self, "RwLock::read", OwnedRwLockReadGuard)
    }

    /// As [`write`](Self::write), with a guard that borrows nothing.
    ///
    /// # Cancel safety
    ///
    /// As for [`read`](Self::read).
    #[inline]
    pub fn write_owned(self: Rc<Self>) -> impl Future<Output = OwnedRwLockWriteGuard<T>> + Unpin {
        Exclusive::wait(self, "RwLock::write", OwnedRwLockWriteGuard)
    }

    /// As [`try_read`](Self::try_read), with a guard that borrows nothing.
    pub fn try_read_owned(self: Rc<Self>) -> Option<OwnedRwLockReadGuard<T>> {
        Shared::try_new(self).map(OwnedRwLockReadGuard)
    }

    /// As [`try_write`](Self::try_write), with a guard that borrows nothing.
    pub fn try_write_owned(self: Rc<Self>) -> Option<OwnedRwLockWriteGuard<T>> {
        Exclusive::try_new(self).map(OwnedRwLockWriteGuard)
    }

    /// Whether somebody reads or writes, or has been handed the lock to do so.
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.cell.is_held()
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Reads on, and lets the readers who wait do so as well. Nobody writes in between.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::sync::{RwLock, RwLockWriteGuard};
    ///
    /// ringloop::run(async {
    ///     let lock = RwLock::new(1);
    ///     let mut guard = lock.write().await;
    ///     *guard = 2;
    ///     let guard = RwLockWriteGuard::downgrade(guard);
    ///     assert_eq!((*guard, *lock.read().await), (2, 2));
    /// });
    /// ```
    pub fn downgrade(this: Self) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard(this.0.downgrade())
    }
}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// Reads on; see [`RwLockWriteGuard::downgrade`].
    pub fn downgrade(this: Self) -> OwnedRwLockReadGuard<T> {
        OwnedRwLockReadGuard(this.0.downgrade())
    }
}

impl<T: ?Sized> Lends for RwLock<T> {
    #[inline]
    fn permits(&self) -> &Permits {
        self.cell.permits()
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: ?Sized> Deref for OwnedRwLockReadGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> Deref for OwnedRwLockWriteGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for OwnedRwLockWriteGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_struct("RwLock");
        match self.try_read() {
            Some(guard) => d.field("value", &&*guard).finish(),
            None => d.field("value", &format_args!("<locked>")).finish(),
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockReadGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockWriteGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
