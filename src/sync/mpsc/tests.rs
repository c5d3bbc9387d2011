//! Channels polled by hand: what a random walk does not reach.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::sync::polled::{Polled, Reenters};

mod property;

#[test]
fn values_that_use_the_channel_when_they_are_dropped_find_it_closed() {
    struct Uses(Sender<Self>, #[expect(dead_code, reason = "counted")] Rc<()>);
    impl Drop for Uses {
        fn drop(&mut self) {
            assert!(self.0.is_closed() && self.0.is_empty());
        }
    }
    let alive = Rc::new(());
    let (sender, receiver) = channel(3);
    for _ in 0..2 {
        assert!(sender.try_send(Uses(sender.clone(), alive.clone())).is_ok());
    }
    let permit = sender.try_reserve().unwrap();
    // A channel whose values hold its senders ends with its receiver.
    drop(receiver);
    assert_eq!(Rc::strong_count(&alive), 1);
    permit.send(Uses(sender.clone(), alive.clone()));
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn the_receiver_of_a_closed_channel_waits_for_permits_and_no_longer() {
    let (sender, mut receiver) = channel(3);
    let (first, second) = (sender.try_reserve().unwrap(), sender.try_reserve().unwrap());
    receiver.close();
    let mut recv = Polled::pending(receiver.recv());
    first.send(1);
    assert!(recv.is_woken());
    assert_eq!(recv.poll(), Poll::Ready(Some(1)));
    drop(recv);
    let recv = Polled::pending(receiver.recv());
    drop(second);
    assert_eq!(recv.result(), None);
}

#[test]
fn a_sender_that_was_handed_a_place_before_the_close_gets_its_value_back() {
    let (sender, mut receiver) = channel(1);
    sender.try_send('a').unwrap();
    let send = Polled::pending(sender.send('b'));
    assert_eq!(receiver.try_recv(), Ok('a'));
    receiver.close();
    assert_eq!(send.result(), Err(SendError('b')));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn whoever_waits_for_the_end_of_the_receiver_is_told_once() {
    let (sender, receiver) = unbounded_channel::<u8>();
    let other = sender.clone();
    assert!(sender.same_channel(&other));
    let (first, second) = (Polled::pending(sender.closed()), Polled::pending(other.closed()));
    drop(receiver);
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
    first.result();
    second.result();
    assert!(sender.is_closed());
}

#[test]
fn the_receiver_comes_to_the_end_when_the_last_sender_goes() {
    let (sender, mut receiver) = channel::<u8>(1);
    let other = sender.clone();
    let recv = Polled::pending(receiver.recv());
    drop(sender);
    assert_eq!(recv.wakes(), 0);
    drop(other);
    assert_eq!(recv.result(), None);
    assert!(receiver.is_closed());
}

#[test]
fn a_forgotten_permit_does_not_hide_the_end() {
    let (sender, mut receiver) = channel::<u8>(2);
    std::mem::forget(sender.try_reserve().unwrap());
    let recv = Polled::pending(receiver.recv());
    drop(sender);
    assert_eq!(recv.result(), None);
    assert!(receiver.is_closed());
}

#[test]
fn a_closed_channel_has_room_for_nothing() {
    let (sender, mut receiver) = channel::<u8>(2);
    receiver.close();
    assert_eq!((sender.capacity(), sender.max_capacity()), (0, 2));
}

// Seen to fail when the seat was not left.
#[test]
fn a_receive_that_is_dropped_keeps_no_waker() {
    let (_sender, mut receiver) = channel::<u8>(1);
    let task = Arc::new(Reenters(|| ()));
    let waker = Waker::from(task.clone());
    let mut recv = Box::pin(receiver.recv());
    assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert_eq!(Arc::strong_count(&task), 2);
    drop(recv);
    let mut buffer = Vec::new();
    assert_eq!(Arc::strong_count(&task), 1, "a waker is kept");
    let mut recv = Box::pin(receiver.recv_many(&mut buffer, 1));
    let waker = Waker::from(task.clone());
    assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop((waker, recv));
    assert_eq!(Arc::strong_count(&task), 1, "a waker is kept");
}

#[test]
#[should_panic(expected = "a channel needs a capacity of at least 1")]
fn a_channel_without_a_place_is_refused() {
    let _ = channel::<u8>(0);
}
