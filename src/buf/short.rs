//! A queue whose first element stands inline: most hold one, and an idle socket none.

use std::collections::VecDeque;

/// The longest queue that is kept when it is empty; a longer one is given back.
const KEPT: usize = 64;

/// First in, first out; allocates from the second element on.
#[derive(Debug)]
pub(crate) struct Short<T> {
    first: Option<T>,
    /// Empty unless there is a first.
    rest: VecDeque<T>,
}

impl<T> Short<T> {
    pub(crate) const fn new() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, item: T) {
        if self.first.is_none() {
            self.first = Some(item);
        } else {
            self.rest.push_back(item);
        }
    }

    pub(crate) fn push_front(&mut self, item: T) {
        if let Some(second) = self.first.replace(item) {
            self.rest.push_front(second);
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let alone = self.rest.is_empty() && self.rest.capacity() <= KEPT;
        let next = if alone { None } else { self.pop_rest() };
        std::mem::replace(&mut self.first, next)
    }

    #[inline(never)]
    fn pop_rest(&mut self) -> Option<T> {
        let next = self.rest.pop_front();
        if next.is_none() {
            self.rest = VecDeque::new();
        }
        next
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut()
    }

    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        if self.rest.is_empty() { self.first.as_mut() } else { self.rest.back_mut() }
    }

    /// Keeps those that `keep` says yes to.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.rest.retain(&mut keep);
        if self.first.as_ref().is_some_and(|first| !keep(first)) {
            self.pop();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

impl<T> Default for Short<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen to fail when `pop` keeps whatever the queue has grown to.
    #[test]
    fn a_queue_that_was_once_long_does_not_stay_long_when_it_is_empty() {
        let mut queue = Short::new();
        for round in 0..3 {
            (0..10_000).for_each(|i| queue.push(i));
            assert!((0..10_000).all(|i| queue.pop() == Some(i)), "round {round}");
            assert!(queue.is_empty() && queue.pop().is_none());
            assert!(queue.rest.capacity() <= KEPT, "{} are kept", queue.rest.capacity());
        }
    }

    #[test]
    fn what_is_pushed_to_the_front_comes_first_whatever_is_there() {
        for there in 0..4 {
            let mut queue = Short::new();
            (0..there).for_each(|i| queue.push(i));
            queue.push_front(100);
            queue.push(200);
            let all: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
            let expected: Vec<i32> = [100].into_iter().chain(0..there).chain([200]).collect();
            assert_eq!(all, expected);
        }
    }

    #[test]
    fn what_is_not_kept_leaves_the_others_in_order() {
        for kept in 0..16_u32 {
            let mut queue = Short::new();
            (0..4).for_each(|i| queue.push(i));
            queue.retain(|i| kept >> i & 1 == 1);
            assert_eq!(queue.len(), kept.count_ones() as usize);
            let all: Vec<u32> = std::iter::from_fn(|| queue.pop()).collect();
            assert!(all.iter().copied().eq((0..4).filter(|i| kept >> i & 1 == 1)));
        }
    }

    #[test]
    fn a_short_queue_allocates_once() {
        let mut queue = Short::new();
        (0..KEPT / 2).for_each(|i| queue.push(i));
        let capacity = queue.rest.capacity();
        while queue.pop().is_some() {}
        assert_eq!(queue.rest.capacity(), capacity, "it would allocate again");
    }
}
