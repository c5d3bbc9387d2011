//! A value that its holders share by permits: who has all of them may write, who has one may read.
#![expect(
    unsafe_code,
    reason = "the permits say who may touch the value, as a RefCell's flag would"
)]

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::mutex::Mutex;
use super::permits::{Held, Lender, Lends, Permits, Taking};
use super::rwlock::RwLock;

/// The value behind a lock.
pub(super) struct Guarded<T: ?Sized> {
    /// Of which there are `ALL`, here and with the guards: none is ever added.
    permits: Permits,
    value: UnsafeCell<T>,
}

/// All permits: those of a writer.
const ALL: usize = Permits::MAX;

/// Whoever leads to a guarded value.
///
/// # Safety
///
/// It is the same value every time, where the permits are as well, and it stays where it is for as long as
/// `self` or a clone of it lives, however they are moved.
pub(super) unsafe trait Leads: Lender {
    type Value: ?Sized;

    fn guarded(&self) -> &Guarded<Self::Value>;
}

/// Has all permits, and with them the value to itself.
pub(super) struct Exclusive<P: Leads>(Held<P>);

/// Has one permit: there are others like it, but no [`Exclusive`].
pub(super) struct Shared<P: Leads>(Held<P>);

impl<T> Guarded<T> {
    pub(super) const fn new(value: T) -> Self {
        Self { permits: Permits::new(ALL), value: UnsafeCell::new(value) }
    }

    pub(super) fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Guarded<T> {
    pub(super) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether nobody could write at once.
    pub(super) fn is_held(&self) -> bool {
        self.permits.free() < ALL
    }
}

impl<T: ?Sized> Lends for Guarded<T> {
    fn permits(&self) -> &Permits {
        &self.permits
    }
}

// SAFETY: a shared borrow keeps what it leads to in place; it is plain data, copied as it is.
unsafe impl<T: ?Sized> Leads for &Guarded<T> {
    type Value = T;

    #[inline]
    fn guarded(&self) -> &Guarded<T> {
        self
    }
}

// SAFETY: an Rc keeps the lock in place while one of its clones lives; the cell is a field of the lock.
unsafe impl<T: ?Sized> Leads for Rc<Mutex<T>> {
    type Value = T;

    #[inline]
    fn guarded(&self) -> &Guarded<T> {
        &self.cell
    }
}

// SAFETY: as above.
unsafe impl<T: ?Sized> Leads for Rc<RwLock<T>> {
    type Value = T;

    #[inline]
    fn guarded(&self) -> &Guarded<T> {
        &self.cell
    }
}

impl<P: Leads> Exclusive<P> {
    /// Waits for all permits; `wrap` makes a public guard of it.
    #[inline]
    pub(super) fn wait<T>(
        place: P,
        what: &'static str,
        wrap: impl Fn(Self) -> T,
    ) -> Taking<P, impl FnMut(P, usize) -> T> {
        Taking::new(place, ALL, what, move |place, count| wrap(Self(Held::new(place, count))))
    }

    #[inline]
    pub(super) fn try_new(place: P) -> Option<Self> {
        place.permits().try_take(ALL).then(|| Self(Held::new(place, ALL)))
    }

    /// Lets others read as well, without letting anybody write in between.
    pub(super) fn downgrade(mut self) -> Shared<P> {
        Shared(self.0.split(1).expect("all are more than one"))
    }

    pub(super) fn place(&self) -> &P {
        &self.0.place
    }
}

impl<P: Leads> Shared<P> {
    /// Waits for a permit; `wrap` makes a public guard of it.
    #[inline]
    pub(super) fn wait<T>(
        place: P,
        what: &'static str,
        wrap: impl Fn(Self) -> T,
    ) -> Taking<P, impl FnMut(P, usize) -> T> {
        Taking::new(place, 1, what, move |place, count| wrap(Self(Held::new(place, count))))
    }

    #[inline]
    pub(super) fn try_new(place: P) -> Option<Self> {
        place.permits().try_take(1).then(|| Self(Held::new(place, 1)))
    }
}

impl<P: Leads> Deref for Exclusive<P> {
    type Target = P::Value;

    #[inline]
    fn deref(&self) -> &P::Value {
        // SAFETY: all permits are in `self.0`: they were taken before it was made, and nothing gives them
        // back before it is dropped. So no other guard is alive, and `&self` rules out a `&mut` of this.
        unsafe { &*self.0.place.guarded().value.get() }
    }
}

impl<P: Leads> DerefMut for Exclusive<P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut P::Value {
        // SAFETY: as in `deref`, and `&mut self` rules out any other borrow of this guard.
        unsafe { &mut *self.0.place.guarded().value.get() }
    }
}

impl<P: Leads> Deref for Shared<P> {
    type Target = P::Value;

    #[inline]
    fn deref(&self) -> &P::Value {
        // SAFETY: a permit is in `self.0`, so nobody has all of them: no `Exclusive` is alive, and a
        // `Shared` gives out shared borrows only.
        unsafe { &*self.0.place.guarded().value.get() }
    }
}
