//! In which order items come out.
//!
//! A store first says where (which may compare items: user code), then changes (which may not). So a
//! comparison that panics, or that uses the queue, finds everything as it was.

use std::collections::VecDeque;

pub(super) trait Store: Default {
    type Item;
    /// Where an item goes to or comes from. It holds until the store is changed.
    type Place;

    /// Where `item` would go.
    fn place(&self, item: &Self::Item) -> Self::Place;
    fn insert(&mut self, place: Self::Place, item: Self::Item);
    /// What comes out next, if there is anything.
    fn next(&self) -> Option<Self::Place>;
    fn remove(&mut self, place: Self::Place) -> Self::Item;
    fn len(&self) -> usize;
}

/// The oldest first.
#[derive(Debug)]
pub(super) struct Fifo<T>(VecDeque<T>);

/// The newest first.
#[derive(Debug)]
pub(super) struct Lifo<T>(Vec<T>);

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Default for Lifo<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

const THERE: &str = "a place that was named is there";

impl<T> Store for Fifo<T> {
    type Item = T;
    type Place = ();

    fn place(&self, _item: &T) {}

    fn insert(&mut self, (): (), item: T) {
        self.0.push_back(item);
    }

    fn next(&self) -> Option<()> {
        (!self.0.is_empty()).then_some(())
    }

    fn remove(&mut self, (): ()) -> T {
        self.0.pop_front().expect(THERE)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Store for Lifo<T> {
    type Item = T;
    type Place = ();

    fn place(&self, _item: &T) {}

    fn insert(&mut self, (): (), item: T) {
        self.0.push(item);
    }

    fn next(&self) -> Option<()> {
        (!self.0.is_empty()).then_some(())
    }

    fn remove(&mut self, (): ()) -> T {
        self.0.pop().expect(THERE)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}
