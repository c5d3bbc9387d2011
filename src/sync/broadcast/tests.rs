//! Broadcast channels polled by hand, and random walks against a plain model.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::sync::polled::Polled;

thread_local! {
    static IN_CLONE: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
    static CLONES: Cell<usize> = const { Cell::new(0) };
}

/// A value that counts as alive, and whose clone may do anything.
#[derive(Debug)]
struct Value(usize, Rc<()>);

impl Clone for Value {
    fn clone(&self) -> Self {
        CLONES.set(CLONES.get() + 1);
        let work = IN_CLONE.take();
        if let Some(work) = &work {
            work();
        }
        Self(self.0, self.1.clone())
    }
}

#[test]
fn the_last_receiver_gets_the_value_itself() {
    let (sender, mut first) = channel(2);
    let mut second = sender.subscribe();
    sender.send(Value(7, Rc::default())).unwrap();
    CLONES.set(0);
    assert_eq!(first.try_recv().unwrap().0, 7);
    assert_eq!((second.try_recv().unwrap().0, CLONES.get()), (7, 1));
    assert!(sender.is_empty());
}

#[test]
fn a_clone_that_uses_the_channel_gets_along_with_what_is_being_cloned() {
    let alive = Rc::new(());
    let (sender, mut first) = channel(1);
    let second = Rc::new(RefCell::new(sender.subscribe()));
    sender.send(Value(1, alive.clone())).unwrap();
    let (other, sender2, alive2) = (second.clone(), sender.clone(), alive.clone());
    // It takes the value from under it, and writes over it.
    IN_CLONE.set(Some(Box::new(move || {
        assert_eq!(other.borrow_mut().try_recv().unwrap().0, 1);
        sender2.send(Value(2, alive2.clone())).unwrap();
    })));
    assert_eq!(first.try_recv().unwrap().0, 1);
    assert_eq!(first.try_recv().unwrap().0, 2);
    assert_eq!(second.borrow_mut().try_recv().unwrap().0, 2);
    assert_eq!(first.try_recv().unwrap_err(), TryRecvError::Empty);
    drop((sender, first, second));
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn a_clone_that_panics_loses_nothing() {
    let (sender, mut first) = channel(1);
    let second = sender.subscribe();
    sender.send(Value(1, Rc::default())).unwrap();
    IN_CLONE.set(Some(Box::new(|| std::panic::resume_unwind(Box::new("a clone")))));
    catch_unwind(AssertUnwindSafe(|| first.try_recv())).unwrap_err();
    assert_eq!(first.try_recv().unwrap().0, 1);
    drop(second);
    assert!(sender.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Send,
    /// Of the receivers, by index modulo their number.
    Poll(usize),
    Drop(usize),
    TryRecv(usize),
    Subscribe,
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let index = || 0usize..64;
    prop_oneof![
        8 => Just(Step::Send),
        10 => index().prop_map(Step::Poll),
        2 => index().prop_map(Step::Drop),
        4 => index().prop_map(Step::TryRecv),
        2 => Just(Step::Subscribe),
        1 => index().prop_map(Step::Leave),
    ]
}

/// A receiver, perhaps within a future that waits.
struct Side {
    receiver: Rc<RefCell<Receiver<Value>>>,
    recv: Option<Polled<'static, Result<Value, RecvError>>>,
    next: usize,
}

impl Side {
    fn new(receiver: Receiver<Value>, next: usize) -> Self {
        Self { receiver: Rc::new(RefCell::new(receiver)), recv: None, next }
    }

    fn poll(&mut self) -> Poll<Result<Value, RecvError>> {
        let receiver = self.receiver.clone();
        #[expect(clippy::await_holding_refcell_ref, reason = "one at a time")]
        let recv = async move { receiver.borrow_mut().recv().await };
        let polled = self.recv.get_or_insert_with(|| Polled::new(recv)).poll();
        if polled.is_ready() {
            self.recv = None;
        }
        polled
    }

    /// Compares with what was sent: `sent` values, of which the last `capacity` are kept.
    fn got(&mut self, got: Result<Value, TryRecvError>, sent: usize, capacity: usize) {
        let oldest = sent.saturating_sub(capacity);
        match got {
            Ok(value) => {
                assert!(self.next >= oldest && value.0 == self.next);
                self.next += 1;
            }
            Err(TryRecvError::Lagged(missed)) => {
                assert_eq!(missed as usize, oldest - self.next);
                assert!(missed > 0);
                self.next = oldest;
            }
            Err(TryRecvError::Empty) => assert_eq!(self.next, sent),
            Err(TryRecvError::Closed) => panic!("closed before the end"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Seen to fail when a receiver that went kept the values that it had not received, and when only the
    // first of the receivers was woken.
    #[test]
    fn no_walk_loses_a_value_untold_or_keeps_one_that_has_reached_everybody(
        capacity in 1usize..5,
        steps in vec(step(), 1..120),
    ) {
        let alive = Rc::new(());
        let (sender, receiver) = channel(capacity);
        let mut sides = vec![Side::new(receiver, 0)];
        let mut sent = 0;
        // Of each value, how many receivers it has not reached.
        let mut left: BTreeMap<usize, usize> = BTreeMap::new();
        for step in steps {
            let count = sides.len();
            match step {
                Step::Send => {
                    let result = sender.send(Value(sent, alive.clone()));
                    match result {
                        Ok(reached) => {
                            assert_eq!(reached, count);
                            sent += 1;
                        }
                        Err(SendError(value)) => assert!(count == 0 && value.0 == sent),
                    }
                }
                Step::Poll(index) if count > 0 => {
                    let side = &mut sides[index % count];
                    let can = side.next < sent;
                    match side.poll() {
                        Poll::Ready(got) => {
                            assert!(can);
                            side.got(got.map_err(TryRecvError::from), sent, capacity);
                        }
                        Poll::Pending => assert!(!can),
                    }
                }
                Step::Drop(index) if count > 0 => sides[index % count].recv = None,
                Step::TryRecv(index) if count > 0 => {
                    let side = &mut sides[index % count];
                    side.recv = None;
                    let got = side.receiver.borrow_mut().try_recv();
                    side.got(got, sent, capacity);
                }
                Step::Subscribe => sides.push(Side::new(sender.subscribe(), sent)),
                Step::Leave(index) if count > 0 => drop(sides.remove(index % count)),
                Step::Poll(_) | Step::Drop(_) | Step::TryRecv(_) | Step::Leave(_) => {}
            }
            left.clear();
            for side in &sides {
                if let Some(recv) = &side.recv {
                    assert_eq!(recv.is_woken(), side.next < sent);
                } else {
                    assert_eq!(side.receiver.borrow().len(), sent - side.next);
                }
                for number in side.next.max(sent.saturating_sub(capacity))..sent {
                    *left.entry(number).or_default() += 1;
                }
            }
            assert_eq!((sender.len(), sender.receiver_count()), (left.len(), sides.len()));
            assert_eq!(Rc::strong_count(&alive), 1 + left.len(), "kept for nobody");
        }
        drop(sender);
        for side in &mut sides {
            assert!(side.recv.as_ref().is_none_or(Polled::is_woken));
            loop {
                match side.poll() {
                    Poll::Ready(Err(RecvError::Closed)) => break,
                    Poll::Ready(got) => side.got(got.map_err(TryRecvError::from), sent, capacity),
                    Poll::Pending => panic!("the end was not told"),
                }
            }
            assert_eq!(side.next, sent);
        }
        assert_eq!(Rc::strong_count(&alive), 1);
    }
}
