//! What the two sides share: the values, and who waits for what.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::sync::line::Line;
use crate::sync::rights::{Right, Rights};
use crate::sync::seat::Seat;

pub(super) struct Chan<T> {
    values: RefCell<VecDeque<T>>,
    pub(super) capacity: usize,
    /// Places that are neither filled nor promised to a sender. Closed when nothing may be sent.
    pub(super) slots: Rights,
    /// Held by permits: what they send is waited for even when the channel is closed.
    pub(super) permits: Cell<usize>,
    pub(super) senders: Cell<usize>,
    /// The receiver is no more: what permits send now has nobody to go to.
    abandoned: Cell<bool>,
    pub(super) receiver: Seat,
    /// Those who wait until it is closed.
    pub(super) closers: Line,
}

impl<T> Chan<T> {
    pub(super) fn new(capacity: usize) -> Rc<Self> {
        Rc::new(Self {
            values: RefCell::default(),
            capacity,
            slots: Rights::new(capacity),
            permits: Cell::new(0),
            senders: Cell::new(0),
            abandoned: Cell::new(false),
            receiver: Seat::new(),
            closers: Line::new(),
        })
    }

    /// Puts a value where there is a right to.
    pub(super) fn put(&self, right: Right<'_>, value: T) {
        if self.abandoned.get() {
            return;
        }
        right.use_up();
        self.values.borrow_mut().push_back(value);
        self.receiver.wake();
    }

    pub(super) fn pop(&self) -> Option<T> {
        let value = self.values.borrow_mut().pop_front()?;
        self.slots.give();
        Some(value)
    }

    /// Moves at most `limit` values to `buffer`; says how many.
    pub(super) fn pop_many(&self, buffer: &mut Vec<T>, limit: usize) -> usize {
        let mut values = self.values.borrow_mut();
        let count = values.len().min(limit);
        buffer.extend(values.drain(..count));
        drop(values);
        for _ in 0..count {
            self.slots.give();
        }
        count
    }

    /// Whether no value can come any more.
    pub(super) fn is_over(&self) -> bool {
        // Permits borrow their sender: where no sender is left, those that count were forgotten.
        let over = self.senders.get() == 0 || (self.slots.is_closed() && self.permits.get() == 0);
        over && self.is_empty()
    }

    pub(super) fn close(&self) {
        if !self.slots.is_closed() {
            self.slots.close();
            self.slots.tell_closed();
            self.closers.tell_all();
        }
    }

    /// Closes for good; values that nobody received are dropped.
    pub(super) fn abandon(&self) {
        self.receiver.leave();
        self.abandoned.set(true);
        self.close();
        let values = self.values.take();
        // User code, and last.
        drop(values);
    }

    pub(super) fn len(&self) -> usize {
        self.values.borrow().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.borrow().is_empty()
    }
}
