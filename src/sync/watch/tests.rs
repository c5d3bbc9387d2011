//! Watch channels polled by hand, and random walks against a plain model.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::sync::polled::Polled;

#[test]
fn a_value_that_is_held_is_not_written_over() {
    let (sender, receiver) = channel(String::from("first"));
    let first = receiver.borrow();
    sender.send(String::from("second")).unwrap();
    assert_eq!((first.as_str(), receiver.borrow().as_str()), ("first", "second"));
    assert!(receiver.borrow().has_changed() && !first.has_changed());
    let second = sender.borrow();
    let modify = || sender.send_modify(|value| value.push('!'));
    let refused = catch_unwind(AssertUnwindSafe(modify)).unwrap_err();
    let text = refused.downcast_ref::<&str>().unwrap();
    assert!(text.contains("while a `Ref` of it is held"), "{text}");
    drop((first, second));
    modify();
    assert_eq!(*receiver.borrow(), "second!");
}

#[test]
fn a_closure_that_panics_or_uses_the_channel_leaves_the_value_there_and_tells_nobody() {
    let (sender, mut receiver) = channel(1);
    let mut changed = Polled::pending(receiver.changed());
    let panics = |_: &mut i32| std::panic::resume_unwind(Box::new("a closure"));
    catch_unwind(AssertUnwindSafe(|| sender.send_modify(panics))).unwrap_err();
    let uses = |_: &mut i32| assert_eq!(*sender.borrow(), 1);
    catch_unwind(AssertUnwindSafe(|| sender.send_modify(uses))).unwrap_err();
    assert!(!changed.is_woken() && changed.poll().is_pending());
    assert!(sender.send_if_modified(|value| std::mem::replace(value, 2) == 1));
    assert_eq!(changed.result(), Ok(()));
    assert_eq!(*receiver.borrow(), 2);
}

#[test]
fn whoever_waits_for_a_condition_sees_values_as_they_come_and_hears_of_the_end() {
    let (sender, mut receiver) = channel(1);
    assert!(Polled::new(receiver.wait_for(|value| *value == 1)).poll().is_ready());
    let mut waits = Polled::pending(receiver.wait_for(|value| *value == 3));
    sender.send(2).unwrap();
    assert!(waits.is_woken() && waits.poll().is_pending());
    sender.send(3).unwrap();
    assert_eq!(*waits.result().unwrap(), 3);
    let waits = Polled::pending(receiver.wait_for(|value| *value == 4));
    drop(sender);
    assert!(waits.result().is_err());
}

#[test]
fn the_sender_hears_when_the_last_receiver_goes() {
    let (sender, receiver) = channel(());
    let other = receiver.clone();
    let closed = Polled::pending(sender.closed());
    drop(receiver);
    assert!(!closed.is_woken());
    drop(other);
    closed.result();
    assert_eq!(sender.send(()), Err(SendError(())));
    assert_eq!(sender.subscribe().has_changed(), Ok(false));
}

#[derive(Clone, Debug)]
enum Step {
    Send,
    Modify,
    Pretend,
    /// Of the receivers, by index modulo their number.
    Poll(usize),
    Drop(usize),
    Update(usize),
    Clone(usize),
    Subscribe,
}

fn step() -> impl Strategy<Value = Step> {
    let index = || 0usize..64;
    prop_oneof![
        4 => Just(Step::Send),
        1 => Just(Step::Modify),
        1 => Just(Step::Pretend),
        8 => index().prop_map(Step::Poll),
        3 => index().prop_map(Step::Drop),
        2 => index().prop_map(Step::Update),
        1 => index().prop_map(Step::Clone),
        1 => Just(Step::Subscribe),
    ]
}

/// A receiver, perhaps within a future that waits.
struct Side {
    receiver: Rc<RefCell<Receiver<u32>>>,
    changed: Option<Polled<'static, Result<(), RecvError>>>,
    seen: u32,
}

impl Side {
    fn new(receiver: Receiver<u32>, seen: u32) -> Self {
        Self { receiver: Rc::new(RefCell::new(receiver)), changed: None, seen }
    }

    fn poll(&mut self) -> Poll<Result<(), RecvError>> {
        let receiver = self.receiver.clone();
        #[expect(clippy::await_holding_refcell_ref, reason = "one at a time")]
        let changed = async move { receiver.borrow_mut().changed().await };
        let polled = self.changed.get_or_insert_with(|| Polled::new(changed)).poll();
        if polled.is_ready() {
            self.changed = None;
        }
        polled
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Seen to fail when only the first of the receivers was woken, and when the end of the senders woke
    // nobody.
    #[test]
    fn no_walk_hides_a_change_from_a_receiver_or_tells_of_one_twice(
        steps in vec(step(), 1..100),
    ) {
        let (sender, receiver) = channel(0);
        let mut sides = vec![Side::new(receiver, 0)];
        // A value is its version.
        let mut version = 0;
        for step in steps {
            let count = sides.len();
            match step {
                Step::Send => {
                    version += 1;
                    sender.send(version).unwrap();
                }
                Step::Modify => {
                    version += 1;
                    sender.send_modify(|value| *value += 1);
                }
                Step::Pretend => assert!(!sender.send_if_modified(|_| false)),
                Step::Poll(index) => {
                    let side = &mut sides[index % count];
                    assert_eq!(side.poll().is_ready(), side.seen != version);
                    side.seen = version;
                }
                Step::Drop(index) => sides[index % count].changed = None,
                Step::Update(index) => {
                    let side = &mut sides[index % count];
                    side.changed = None;
                    let value = side.receiver.borrow_mut().borrow_and_update();
                    assert_eq!((*value, value.has_changed()), (version, side.seen != version));
                    side.seen = version;
                }
                Step::Clone(index) => {
                    let side = &mut sides[index % count];
                    side.changed = None;
                    let clone = Side::new(side.receiver.borrow().clone(), side.seen);
                    sides.push(clone);
                }
                Step::Subscribe => sides.push(Side::new(sender.subscribe(), version)),
            }
            for side in &sides {
                if let Some(changed) = &side.changed {
                    assert_eq!(changed.is_woken(), side.seen != version);
                }
            }
            assert_eq!(sender.receiver_count(), sides.len());
        }
        drop(sender);
        for side in &mut sides {
            assert!(side.changed.as_ref().is_none_or(Polled::is_woken));
            if side.seen != version {
                assert_eq!(side.poll(), Poll::Ready(Ok(())));
            }
            assert_eq!(side.poll(), Poll::Ready(Err(RecvError)));
        }
    }
}
