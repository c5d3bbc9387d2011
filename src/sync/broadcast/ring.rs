//! The last values, and how many receivers each still has to reach.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::RecvError;
use crate::sync::line::Line;

pub(super) struct Shared<T> {
    ring: RefCell<Ring<T>>,
    pub(super) senders: Cell<usize>,
    /// Those who wait for the next value, or for the end of the last sender.
    pub(super) news: Line,
}

struct Ring<T> {
    /// Value number `n` stands at `n % capacity`. As long as values were sent, at most.
    slots: Vec<Slot<T>>,
    capacity: usize,
    /// Number of the next value.
    next: u64,
    receivers: usize,
}

struct Slot<T> {
    /// `None` once it has reached everybody. The allocation is used again and again; it is shared while
    /// the value is being cloned, which is user code.
    value: Rc<Option<T>>,
    /// Receivers that it has not reached.
    left: usize,
}

/// What a receiver finds.
enum Found<T> {
    /// The last one to be reached takes it.
    Mine(T),
    ToClone(Rc<Option<T>>),
}

impl<T> Ring<T> {
    fn at(&mut self, number: u64) -> &mut Slot<T> {
        let index = number % self.capacity as u64;
        &mut self.slots[index as usize]
    }

    /// Number of the oldest value.
    fn oldest(&self) -> u64 {
        self.next - self.slots.len() as u64
    }

    /// One more receiver has value `number`, if it still is there; the last takes it along.
    fn reached(&mut self, number: u64) -> Option<T> {
        if number < self.oldest() {
            return None;
        }
        let slot = self.at(number);
        slot.left -= 1;
        match slot.left {
            0 => Rc::get_mut(&mut slot.value).and_then(Option::take),
            _ => None,
        }
    }

    /// Writes a value over the oldest, which comes back.
    fn push(&mut self, value: T) -> Option<T> {
        let left = self.receivers;
        let number = self.next;
        self.next += 1;
        if self.slots.len() < self.capacity {
            self.slots.push(Slot { value: Rc::new(Some(value)), left });
            return None;
        }
        let slot = self.at(number);
        slot.left = left;
        match Rc::get_mut(&mut slot.value) {
            Some(old) => old.replace(value),
            None => {
                // Being cloned: whoever clones it drops it.
                slot.value = Rc::new(Some(value));
                None
            }
        }
    }
}

impl<T> Shared<T> {
    pub(super) fn new(capacity: usize) -> Rc<Self> {
        let ring = Ring { slots: Vec::new(), capacity, next: 0, receivers: 0 };
        Rc::new(Self { ring: RefCell::new(ring), senders: Cell::new(0), news: Line::new() })
    }

    /// Sends to all receivers there are; says how many. The value comes back if there is none.
    pub(super) fn send(&self, value: T) -> Result<usize, T> {
        let mut ring = self.ring.borrow_mut();
        let receivers = ring.receivers;
        if receivers == 0 {
            return Err(value);
        }
        let old = ring.push(value);
        drop(ring);
        self.news.tell_all();
        // User code, and last.
        drop(old);
        Ok(receivers)
    }

    /// The number of the next value, for one more receiver.
    pub(super) fn join(&self) -> u64 {
        let mut ring = self.ring.borrow_mut();
        ring.receivers += 1;
        ring.next
    }

    /// A receiver that has come to `number` goes.
    pub(super) fn part(&self, number: u64) {
        let mut ring = self.ring.borrow_mut();
        ring.receivers -= 1;
        let first = number.max(ring.oldest());
        // What is sent from now on does not count on it.
        let end = ring.next;
        drop(ring);
        for number in first..end {
            let value = self.ring.borrow_mut().reached(number);
            drop(value);
        }
    }

    /// How many values a receiver that has come to `number` has not got.
    pub(super) fn behind(&self, number: u64) -> u64 {
        self.ring.borrow().next - number
    }

    /// How many values some receiver has not got.
    pub(super) fn kept(&self) -> usize {
        let ring = self.ring.borrow();
        ring.slots.iter().filter(|slot| slot.left > 0).count()
    }

    pub(super) fn receivers(&self) -> usize {
        self.ring.borrow().receivers
    }

    /// Whether a receiver that has come to `number` finds something: a value, or an error.
    pub(super) fn has_news(&self, number: u64) -> bool {
        self.behind(number) > 0 || self.senders.get() == 0
    }
}

impl<T: Clone> Shared<T> {
    /// Value `*number` for a receiver, which has got it then.
    pub(super) fn get(&self, number: &mut u64) -> Option<Result<T, RecvError>> {
        let found = match self.find(number)? {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        let shared = match found {
            Found::Mine(value) => return Some(Ok(value)),
            Found::ToClone(shared) => shared,
        };
        let value = Option::clone(&shared);
        drop(shared);
        let spare = self.ring.borrow_mut().reached(*number);
        *number += 1;
        // It was the last one's after all, for others have gone while it was cloned.
        drop(spare);
        Some(Ok(value.expect("a value that has not reached everybody is there")))
    }

    fn find(&self, number: &mut u64) -> Option<Result<Found<T>, RecvError>> {
        let mut ring = self.ring.borrow_mut();
        if *number == ring.next {
            return (self.senders.get() == 0).then_some(Err(RecvError::Closed));
        }
        let missed = ring.oldest().saturating_sub(*number);
        if missed > 0 {
            *number += missed;
            return Some(Err(RecvError::Lagged(missed)));
        }
        let slot = ring.at(*number);
        if slot.left == 1
            && let Some(value) = Rc::get_mut(&mut slot.value)
        {
            let value = value.take().expect("a value that has not reached everybody is there");
            slot.left = 0;
            *number += 1;
            return Some(Ok(Found::Mine(value)));
        }
        Some(Ok(Found::ToClone(slot.value.clone())))
    }
}
