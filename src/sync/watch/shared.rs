//! The value, its version, and who waits for the next.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use crate::sync::line::Line;

pub(super) struct Shared<T> {
    /// `None` while a sender's closure has it.
    value: Cell<Option<Rc<T>>>,
    /// Counts the changes.
    pub(super) version: Cell<u64>,
    pub(super) senders: Cell<usize>,
    pub(super) receivers: Cell<usize>,
    /// Those who wait for a change, or for the end of the last sender.
    pub(super) changes: Line,
    /// Those who wait for the end of the last receiver.
    pub(super) ends: Line,
}

/// The value of a watch channel at the time of the call, by reference.
///
/// It may be kept, also across an await: senders go on beside it, and only
/// [`send_modify`](super::Sender::send_modify) and [`send_if_modified`](super::Sender::send_if_modified),
/// which change the value in its place, refuse meanwhile.
pub struct Ref<T> {
    value: Rc<T>,
    pub(super) has_changed: bool,
}

impl<T> Ref<T> {
    /// Whether the receiver had not seen this value before.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Shared<T> {
    pub(super) fn new(value: T) -> Rc<Self> {
        Rc::new(Self {
            value: Cell::new(Some(Rc::new(value))),
            version: Cell::new(0),
            senders: Cell::new(0),
            receivers: Cell::new(0),
            changes: Line::new(),
            ends: Line::new(),
        })
    }

    pub(super) fn get(&self, has_changed: bool) -> Ref<T> {
        let value = self.taken();
        self.value.set(Some(value.clone()));
        Ref { value, has_changed }
    }

    /// Puts in another value; the old one comes back, where nobody reads it.
    ///
    /// It is written over where nobody reads it, so that sending takes no memory.
    pub(super) fn replace(&self, new: T) -> Result<T, Rc<T>> {
        let mut rc = self.taken();
        let old = match Rc::get_mut(&mut rc) {
            Some(value) => Ok(std::mem::replace(value, new)),
            None => Err(std::mem::replace(&mut rc, Rc::new(new))),
        };
        self.value.set(Some(rc));
        old
    }

    /// Lets a closure change the value in its place. Nobody else has it meanwhile.
    pub(super) fn modify<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        /// Puts it back, also when the closure panics.
        struct Lent<'a, T>(&'a Shared<T>, Option<Rc<T>>);
        impl<T> Drop for Lent<'_, T> {
            fn drop(&mut self) {
                self.0.value.set(self.1.take());
            }
        }
        let mut lent = Lent(self, Some(self.taken()));
        let value = lent.1.as_mut().and_then(Rc::get_mut);
        let Some(value) = value else {
            panic!(
                "a watch value is changed in its place while a `Ref` of it is held: drop it, or use `send`"
            );
        };
        change(value)
    }

    /// All receivers see that it has changed.
    pub(super) fn announce(&self) {
        self.version.set(self.version.get() + 1);
        self.changes.tell_all();
    }

    fn taken(&self) -> Rc<T> {
        let value = self.value.take();
        value.expect(
            "a watch channel is used by the closure that changes its value: use its argument",
        )
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
