//! Queues polled by hand: what a random walk does not reach.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::sync::polled::{Polled, Reenters};

mod property;
mod reentrance;
mod subject;

thread_local! {
    static QUEUE: RefCell<Option<Rc<Queue<u8>>>> = const { RefCell::new(None) };
}

/// A waker that uses this thread's queue from its `wake` and from its `drop`.
fn reentering(work: fn(&Queue<u8>)) -> Waker {
    Waker::from(Arc::new(Reenters(move || {
        let queue = QUEUE.with_borrow(|queue| queue.clone());
        work(&queue.expect("a test set it"));
    })))
}

#[test]
fn a_waker_that_uses_the_queue_finds_it_free() {
    let queue = Rc::new(Queue::bounded(1));
    QUEUE.set(Some(queue.clone()));
    let waker = reentering(|queue| {
        let _ = queue.try_put(9);
        let _ = queue.try_get();
        let _ = queue.task_done();
    });
    let cx = &mut Context::from_waker(&waker);
    let mut get = Box::pin(queue.get());
    assert!(get.as_mut().poll(cx).is_pending());
    queue.try_put(1).unwrap();
    // The waker's own get found nothing: the item was promised.
    assert!(matches!(get.as_mut().poll(cx), Poll::Ready(Ok(1))));
    queue.try_put(2).unwrap();
    let mut put = Box::pin(queue.put(3));
    assert!(put.as_mut().poll(cx).is_pending());
    // Under another waker: the old one is dropped while the queue is free.
    assert!(put.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(waker);
    assert_eq!(queue.try_get(), Err(TryGetError::Empty), "the waker's drop took it");
    assert!(put.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    queue.shutdown(Shutdown::Immediate);
    assert!(queue.is_empty());
    QUEUE.set(None);
}

/// Compares as it is told.
#[derive(Debug)]
struct Item<'a>(u8, &'a Cell<Compare>, &'a PriorityQueue<Self>);

#[derive(Clone, Copy, PartialEq, Debug)]
enum Compare {
    Well,
    Panic,
    Reenter,
}

impl Ord for Item<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.1.get() {
            Compare::Well => {}
            Compare::Panic => std::panic::resume_unwind(Box::new("a comparison")),
            Compare::Reenter => drop(self.2.try_get()),
        }
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Item<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Item<'_> {}
impl PartialEq for Item<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

// Seen to fail when a slot was used up before the item was compared.
#[test]
fn a_comparison_that_panics_or_uses_the_queue_loses_no_item_and_no_place() {
    for mad in [Compare::Panic, Compare::Reenter] {
        let compare = Box::leak(Box::new(Cell::new(Compare::Well)));
        let queue = Box::leak(Box::new(PriorityQueue::bounded(5)));
        for number in [3, 1, 2, 4] {
            queue.try_put(Item(number, compare, queue)).unwrap();
        }
        compare.set(mad);
        let put = catch_unwind(AssertUnwindSafe(|| queue.try_put(Item(0, compare, queue))));
        put.unwrap_err();
        catch_unwind(AssertUnwindSafe(|| queue.try_get())).unwrap_err();
        compare.set(Compare::Well);
        assert_eq!((queue.len(), queue.unfinished()), (4, 4));
        queue.try_put(Item(5, compare, queue)).unwrap();
        let mut out = Vec::new();
        while let Ok(item) = queue.try_get() {
            out.push(item.0);
        }
        assert_eq!(out, [1, 2, 3, 4, 5]);
    }
}

#[test]
fn items_that_use_the_queue_when_they_are_dropped_find_it_free() {
    struct Uses(Rc<LifoQueue<Self>>);
    impl Drop for Uses {
        fn drop(&mut self) {
            assert_eq!(self.0.len(), 0);
            assert_eq!(self.0.try_get().err(), Some(TryGetError::Shutdown));
            self.0.shutdown(Shutdown::Immediate);
        }
    }
    let queue = Rc::new(LifoQueue::unbounded());
    let mut join = Polled::new(queue.join());
    for _ in 0..3 {
        queue.try_put(Uses(queue.clone())).unwrap();
    }
    assert!(join.poll().is_pending());
    queue.shutdown(Shutdown::Immediate);
    join.result();
    assert_eq!(Rc::strong_count(&queue), 1);
}

#[test]
fn a_forgotten_getter_keeps_what_it_was_promised_and_no_more() {
    let queue = Queue::bounded(2);
    let get = Polled::pending(queue.get());
    queue.try_put(1).unwrap();
    std::mem::forget(get);
    queue.try_put(2).unwrap();
    assert_eq!(queue.try_get(), Ok(1));
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    // A shutdown makes promises void.
    queue.shutdown(Shutdown::Drain);
    assert_eq!(queue.try_get(), Ok(2));
}

#[test]
#[should_panic(expected = "a queue needs a capacity of at least 1")]
fn a_queue_without_a_place_is_refused() {
    let _ = Queue::<u8>::bounded(0);
}
