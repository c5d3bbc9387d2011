//! So many at once, and no more.

use std::rc::Rc;

use super::permits::{Held, Lends, Permits, Taking};

/// A number of permits, each of which somebody has or nobody; asyncio's [`Semaphore`].
///
/// First come, first served, also where the first needs more permits than are free: those behind it wait,
/// so it is not starved. A permit is a guard that goes back when it is dropped. Permits can be
/// [added](Self::add_permits) beyond the first number; [`BoundedSemaphore`](super::BoundedSemaphore) calls
/// that an error.
///
/// [`Semaphore`]: https://docs.python.org/3/library/asyncio-sync.html#asyncio.Semaphore
///
/// # Examples
///
/// ```
/// use ringloop::sync::Semaphore;
///
/// ringloop::run(async {
///     let connections = Semaphore::new(2);
///     let one = connections.acquire().await;
///     let two = connections.acquire().await;
///     assert!(connections.try_acquire().is_none());
///     drop(one);
///     assert_eq!(connections.available_permits(), 1);
/// });
/// ```
#[derive(Debug)]
pub struct Semaphore {
    permits: Permits,
}

/// Permits of a [`Semaphore`], which they go back to when this is dropped.
#[derive(Debug)]
#[must_use = "permits go back when they are dropped"]
pub struct SemaphorePermit<'a>(Held<&'a Semaphore>);

/// A [`SemaphorePermit`] that borrows nothing: it holds the [`Rc`] of its semaphore.
#[derive(Debug)]
#[must_use = "permits go back when they are dropped"]
pub struct OwnedSemaphorePermit(Held<Rc<Semaphore>>);

impl Semaphore {
    /// The most permits that a semaphore may have free.
    pub const MAX_PERMITS: usize = Permits::MAX;

    /// A semaphore with `permits` permits, which may be none.
    ///
    /// # Panics
    ///
    /// Above [`MAX_PERMITS`](Self::MAX_PERMITS).
    pub const fn new(permits: usize) -> Self {
        Self { permits: Permits::new(permits) }
    }

    /// Waits for a permit.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in line. One that has been handed a permit passes it on.
    #[inline]
    pub fn acquire(&self) -> impl Future<Output = SemaphorePermit<'_>> + Unpin {
        self.acquire_many(1)
    }

    /// Waits for `count` permits together. For more than there will ever be it waits for ever, and so do
    /// those behind it.
    ///
    /// # Cancel safety
    ///
    /// As for [`acquire`](Self::acquire); those behind it who need less may go then.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::sync::Semaphore;
    ///
    /// ringloop::run(async {
    ///     let megabytes = Semaphore::new(64);
    ///     let large = megabytes.acquire_many(60).await;
    ///     assert!(megabytes.try_acquire_many(10).is_none());
    ///     drop(large);
    ///     assert!(megabytes.try_acquire_many(10).is_some());
    /// });
    /// ```
    #[inline]
    pub fn acquire_many(&self, count: usize) -> impl Future<Output = SemaphorePermit<'_>> + Unpin {
        Taking::new(self, count, "Semaphore::acquire", |place, count| {
            SemaphorePermit(Held::new(place, count))
        })
    }

    /// A permit, if one is free and nobody waits.
    #[inline]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.try_acquire_many(1)
    }

    /// `count` permits, if so many are free and nobody waits.
    #[inline]
    pub fn try_acquire_many(&self, count: usize) -> Option<SemaphorePermit<'_>> {
        self.permits.try_take(count).then(|| SemaphorePermit(Held::new(self, count)))
    }

    /// As [`acquire`](Self::acquire), with a permit that borrows nothing, to keep in a struct or to give to
    /// a task.
    ///
    /// # Cancel safety
    ///
    /// As for [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::rc::Rc;
    /// use ringloop::sync::Semaphore;
    ///
    /// ringloop::run(async {
    ///     let limit = Rc::new(Semaphore::new(3));
    ///     for _ in 0..10 {
    ///         let permit = limit.clone().acquire_owned().await;
    ///         ringloop::spawn(async move {
    ///             // Three of these run at once.
    ///             drop(permit);
    ///         });
    ///     }
    ///     let all_have_ended = limit.acquire_many(3).await;
    ///     # drop(all_have_ended);
    /// });
    /// ```
    #[inline]
    pub fn acquire_owned(self: Rc<Self>) -> impl Future<Output = OwnedSemaphorePermit> + Unpin {
        self.acquire_many_owned(1)
    }

    /// As [`acquire_many`](Self::acquire_many), with permits that borrow nothing.
    ///
    /// # Cancel safety
    ///
    /// As for [`acquire_many`](Self::acquire_many).
    #[inline]
    pub fn acquire_many_owned(
        self: Rc<Self>,
        count: usize,
    ) -> impl Future<Output = OwnedSemaphorePermit> + Unpin {
        Taking::new(self, count, "Semaphore::acquire", |place, count| {
            OwnedSemaphorePermit(Held::new(place, count))
        })
    }

    /// As [`try_acquire`](Self::try_acquire), with a permit that borrows nothing.
    pub fn try_acquire_owned(self: Rc<Self>) -> Option<OwnedSemaphorePermit> {
        self.try_acquire_many_owned(1)
    }

    /// As [`try_acquire_many`](Self::try_acquire_many), with permits that borrow nothing.
    pub fn try_acquire_many_owned(self: Rc<Self>, count: usize) -> Option<OwnedSemaphorePermit> {
        self.permits.try_take(count).then(|| OwnedSemaphorePermit(Held::new(self, count)))
    }

    /// Adds permits, or gives back those that were [forgotten](SemaphorePermit::forget).
    ///
    /// Guards that come back afterwards fill it up to [`MAX_PERMITS`](Self::MAX_PERMITS); what is beyond is
    /// lost.
    ///
    /// # Panics
    ///
    /// When more than [`MAX_PERMITS`](Self::MAX_PERMITS) would be free.
    #[doc(alias = "release")]
    pub fn add_permits(&self, count: usize) {
        assert!(
            count <= Self::MAX_PERMITS - self.permits.free(),
            "a semaphore has at most Semaphore::MAX_PERMITS permits"
        );
        self.permits.give(count);
    }

    /// Takes away up to `count` of the permits that are free; says how many there were.
    pub fn forget_permits(&self, count: usize) -> usize {
        self.permits.withdraw(count)
    }

    /// How many permits are free. A newcomer does not get them while somebody waits for more.
    pub fn available_permits(&self) -> usize {
        self.permits.free()
    }

    /// Whether [`acquire`](Self::acquire) would wait: no permit is free, or somebody waits already.
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.permits.is_exhausted()
    }
}

impl Lends for Semaphore {
    #[inline]
    fn permits(&self) -> &Permits {
        &self.permits
    }
}

impl SemaphorePermit<'_> {
    /// Keeps the permits away from the semaphore for ever, or until as many are
    /// [added](Semaphore::add_permits).
    pub fn forget(mut self) {
        self.0.forget();
    }

    /// Takes `count` of these permits out into their own guard; `None` if there are not so many.
    pub fn split(&mut self, count: usize) -> Option<Self> {
        self.0.split(count).map(Self)
    }

    /// Adds the permits of `other` to these.
    ///
    /// # Panics
    ///
    /// When they are of another semaphore.
    pub fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    /// How many permits these are.
    pub fn num_permits(&self) -> usize {
        self.0.count()
    }
}

impl OwnedSemaphorePermit {
    /// Keeps the permits away from the semaphore for ever, or until as many are
    /// [added](Semaphore::add_permits).
    pub fn forget(mut self) {
        self.0.forget();
    }

    /// Takes `count` of these permits out into their own guard; `None` if there are not so many.
    pub fn split(&mut self, count: usize) -> Option<Self> {
        self.0.split(count).map(Self)
    }

    /// Adds the permits of `other` to these.
    ///
    /// # Panics
    ///
    /// When they are of another semaphore.
    pub fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    /// How many permits these are.
    pub fn num_permits(&self) -> usize {
        self.0.count()
    }

    /// The semaphore that they go back to.
    pub fn semaphore(&self) -> &Rc<Semaphore> {
        &self.0.place
    }
}
