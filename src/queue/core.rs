//! What all queues share: a store between two kinds of rights, and the count of work to be done.
//!
//! ```text
//!   put ──► a right to a slot ──► store ──► a right to an item ──► get
//!                  ▲                                │
//!                  └──────── the slot is free ──────┘
//! ```
//!
//! A right is had by one task at most. An item stays in the store until the poll that returns it, so
//! nothing can get lost on the way. A shutdown makes all rights void: puts fail, and whoever comes takes
//! what is left.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;

use super::Shutdown;
use super::error::{QueueShutdown, TaskDoneError, TryGetError, TryPutError};
use super::store::Store;
use crate::sync::line::Line;
use crate::sync::rights::{Refused, Right, Rights};

pub(super) struct Core<S> {
    store: RefCell<S>,
    /// Apart from the store: it can be asked while items are compared.
    len: Cell<usize>,
    capacity: Option<usize>,
    /// Places that are neither filled nor promised.
    slots: Rights,
    /// Items that are not promised.
    items: Rights,
    /// Items that were put and not answered by a `task_done`.
    unfinished: Cell<usize>,
    joiners: Line,
    /// It stays with its thread, as its waiters do, even while there are none.
    _not_send: PhantomData<*const ()>,
}

/// More than memory holds, with room to count.
const UNBOUNDED: usize = usize::MAX >> 1;

impl<S: Store> Core<S> {
    pub(super) fn bounded(capacity: usize) -> Self {
        assert!(
            capacity > 0,
            "a queue needs a capacity of at least 1; without a bound it is `unbounded()`"
        );
        Self::new(Some(capacity))
    }

    pub(super) fn unbounded() -> Self {
        Self::new(None)
    }

    fn new(capacity: Option<usize>) -> Self {
        Self {
            store: RefCell::default(),
            len: Cell::new(0),
            capacity,
            slots: Rights::new(capacity.unwrap_or(UNBOUNDED).min(UNBOUNDED)),
            items: Rights::new(0),
            unfinished: Cell::new(0),
            joiners: Line::new(),
            _not_send: PhantomData,
        }
    }

    pub(super) async fn put(&self, item: S::Item) -> Result<(), QueueShutdown<S::Item>> {
        match self.slots.take("Queue::put").await {
            Ok(slot) => {
                self.insert(slot, item);
                Ok(())
            }
            Err(()) => Err(QueueShutdown(item)),
        }
    }

    pub(super) fn try_put(&self, item: S::Item) -> Result<(), TryPutError<S::Item>> {
        match self.slots.try_take() {
            Ok(slot) => {
                self.insert(slot, item);
                Ok(())
            }
            Err(Refused::Now) => Err(TryPutError::Full(item)),
            Err(Refused::Closed) => Err(TryPutError::Shutdown(item)),
        }
    }

    pub(super) async fn get(&self) -> Result<S::Item, QueueShutdown> {
        match self.items.take("Queue::get").await {
            Ok(right) => Ok(self.remove(right)),
            Err(()) => self.rest().ok_or(QueueShutdown(())),
        }
    }

    pub(super) fn try_get(&self) -> Result<S::Item, TryGetError> {
        match self.items.try_take() {
            Ok(right) => Ok(self.remove(right)),
            Err(Refused::Now) => Err(TryGetError::Empty),
            Err(Refused::Closed) => self.rest().ok_or(TryGetError::Shutdown),
        }
    }

    pub(super) fn task_done(&self) -> Result<(), TaskDoneError> {
        let left = self.unfinished.get().checked_sub(1).ok_or(TaskDoneError(()))?;
        self.unfinished.set(left);
        if left == 0 {
            self.joiners.tell_all();
        }
        Ok(())
    }

    pub(super) async fn join(&self) {
        let mut waiting = self.joiners.wait("Queue::join");
        // Who was told has been at the end, also if more has been put since.
        let is_done = |told| (told || self.unfinished.get() == 0).then_some(());
        let settle = || {
            if self.unfinished.get() == 0 {
                self.joiners.tell_all();
            }
        };
        poll_fn(|cx| waiting.poll_in_turn(cx, is_done, settle)).await;
    }

    pub(super) fn shutdown(&self, how: Shutdown) {
        let dropped = match how {
            Shutdown::Drain => S::default(),
            Shutdown::Immediate => std::mem::take(&mut *self.store_mut()),
        };
        self.slots.close();
        self.items.close();
        self.len.set(self.len.get() - dropped.len());
        let unfinished = self.unfinished.get();
        self.unfinished.set(unfinished.saturating_sub(dropped.len()));
        self.slots.tell_closed();
        self.items.tell_closed();
        if unfinished > 0 && self.unfinished.get() == 0 {
            self.joiners.tell_all();
        }
        // User code, and last.
        drop(dropped);
    }

    pub(super) fn is_shutdown(&self) -> bool {
        self.items.is_closed()
    }

    pub(super) fn len(&self) -> usize {
        self.len.get()
    }

    pub(super) fn is_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.len() >= capacity)
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    pub(super) fn unfinished(&self) -> usize {
        self.unfinished.get()
    }

    /// Should a comparison panic, the slot goes back.
    fn insert(&self, slot: Right<'_>, item: S::Item) {
        let place = self.store.borrow().place(&item);
        self.store_mut().insert(place, item);
        slot.use_up();
        self.len.set(self.len.get() + 1);
        self.unfinished.set(self.unfinished.get() + 1);
        self.items.give();
    }

    /// Should a comparison panic, the right goes back, and the item stays.
    fn remove(&self, right: Right<'_>) -> S::Item {
        let item = self.take_out().expect("a right to an item, and no item");
        right.use_up();
        self.slots.give();
        item
    }

    /// After the shutdown.
    fn rest(&self) -> Option<S::Item> {
        self.take_out()
    }

    fn take_out(&self) -> Option<S::Item> {
        let place = self.store.borrow().next()?;
        let item = self.store_mut().remove(place);
        self.len.set(self.len.get() - 1);
        Some(item)
    }

    /// Taken only while items are compared, by whose code this is called then.
    fn store_mut(&self) -> RefMut<'_, S> {
        match self.store.try_borrow_mut() {
            Ok(store) => store,
            Err(_) => panic!(
                "a PriorityQueue is used by the comparison of its own items: compare them without it"
            ),
        }
    }
}

impl<S> Core<S> {
    pub(super) fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("len", &self.len.get())
            .field("capacity", &self.capacity)
            .field("unfinished", &self.unfinished.get())
            .field("is_shutdown", &self.items.is_closed())
            .finish_non_exhaustive()
    }
}
