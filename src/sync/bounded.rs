//! A semaphore that notices when more comes back than was taken.

use std::cell::Cell;
use std::fmt;

use super::permits::{Held, Lends, Permits, Taking};

/// A [`Semaphore`](super::Semaphore) whose permits never become more; asyncio's [`BoundedSemaphore`].
///
/// A permit is a guard, so it goes back once. Where taking and giving back are too far apart for a guard,
/// [`forget`](BoundedPermit::forget) it and [`release`](Self::release) by hand later: one release for each
/// forgotten permit, and one more is an error.
///
/// [`BoundedSemaphore`]: https://docs.python.org/3/library/asyncio-sync.html#asyncio.BoundedSemaphore
///
/// # Examples
///
/// ```
/// use ringloop::sync::{BoundedSemaphore, OverRelease};
///
/// ringloop::run(async {
///     let semaphore = BoundedSemaphore::new(1);
///     semaphore.acquire().await.forget();
///     assert!(semaphore.is_locked());
///     assert_eq!(semaphore.release(), Ok(()));
///     assert!(semaphore.release().is_err()); // it has all of its permits
///     assert_eq!(semaphore.available_permits(), 1);
/// });
/// ```
#[derive(Debug)]
pub struct BoundedSemaphore {
    permits: Permits,
    bound: usize,
    /// Permits that come back by `release` only.
    forgotten: Cell<usize>,
}

/// A permit of a [`BoundedSemaphore`], which it goes back to when it is dropped.
#[derive(Debug)]
#[must_use = "a permit goes back when it is dropped"]
pub struct BoundedPermit<'a>(Held<&'a BoundedSemaphore>);

/// A [`BoundedSemaphore::release`] without an acquire before it; asyncio's `ValueError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverRelease(());

impl BoundedSemaphore {
    /// A semaphore with `permits` permits, which may be none.
    ///
    /// # Panics
    ///
    /// Above [`Semaphore::MAX_PERMITS`](super::Semaphore::MAX_PERMITS).
    pub const fn new(permits: usize) -> Self {
        Self { permits: Permits::new(permits), bound: permits, forgotten: Cell::new(0) }
    }

    /// Waits for a permit.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in line. One that has been handed a permit passes it on.
    #[inline]
    pub fn acquire(&self) -> impl Future<Output = BoundedPermit<'_>> + Unpin {
        Taking::new(self, 1, "BoundedSemaphore::acquire", |place, count| {
            BoundedPermit(Held::new(place, count))
        })
    }

    /// A permit, if one is free and nobody waits.
    pub fn try_acquire(&self) -> Option<BoundedPermit<'_>> {
        self.permits.try_take(1).then(|| BoundedPermit(Held::new(self, 1)))
    }

    /// Gives back a permit that was [forgotten](BoundedPermit::forget).
    ///
    /// # Errors
    ///
    /// [`OverRelease`] when none is: all others are free, or have a guard that gives them back. Nothing has
    /// changed then.
    pub fn release(&self) -> Result<(), OverRelease> {
        let forgotten = self.forgotten.get().checked_sub(1).ok_or(OverRelease(()))?;
        self.forgotten.set(forgotten);
        self.permits.give(1);
        Ok(())
    }

    /// How many permits are free.
    pub fn available_permits(&self) -> usize {
        self.permits.free()
    }

    /// How many permits there are.
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// Whether [`acquire`](Self::acquire) would wait: no permit is free.
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.permits.is_exhausted()
    }
}

impl Lends for BoundedSemaphore {
    #[inline]
    fn permits(&self) -> &Permits {
        &self.permits
    }
}

impl BoundedPermit<'_> {
    /// Keeps the permit away from the semaphore until [`release`](BoundedSemaphore::release).
    pub fn forget(mut self) {
        let forgotten = &self.0.place.forgotten;
        forgotten.set(forgotten.get() + 1);
        self.0.forget();
    }
}

impl fmt::Display for OverRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bounded semaphore was released more often than it was acquired")
    }
}

impl std::error::Error for OverRelease {}
