//! One-shot channels polled by hand, and all orders of what their two sides may do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Wake, Waker};

use super::*;
use crate::sync::polled::Polled;

/// A value that counts as alive.
#[derive(Debug)]
struct Value(#[expect(dead_code, reason = "counted")] Rc<()>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    Send,
    DropSender,
    Poll,
    TryRecv,
    Close,
    DropReceiver,
}

/// A receiver and the wakes that it got.
struct Side {
    receiver: Receiver<Value>,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Side {
    fn new(receiver: Receiver<Value>) -> Self {
        Self { receiver, wakes: Arc::default() }
    }

    fn poll(&mut self) -> Poll<Result<Value, RecvError>> {
        self.wakes = Arc::default();
        let waker = Waker::from(self.wakes.clone());
        Pin::new(&mut self.receiver).poll(&mut Context::from_waker(&waker))
    }

    fn is_woken(&self) -> bool {
        self.wakes.0.load(Relaxed) > 0
    }
}

/// Every order of every choice of steps, for each side goes only once.
fn orders(before: &[Step], all: &mut BTreeSet<Vec<Step>>) {
    use Step::*;
    all.insert(before.to_vec());
    for next in [Send, DropSender, Poll, TryRecv, Close, DropReceiver] {
        let polls = before.iter().filter(|step| **step == Poll).count();
        let goes = |step: Step| before.contains(&step);
        let possible = match next {
            Send | DropSender => !goes(Send) && !goes(DropSender),
            Poll => !goes(DropReceiver) && polls < 2,
            TryRecv | Close | DropReceiver => !goes(next) && !goes(DropReceiver),
        };
        if possible {
            orders(&[before, &[next]].concat(), all);
        }
    }
}

// Seen to fail when a sender that was dropped unsent woke nobody.
#[test]
fn in_no_order_is_the_value_lost_or_the_receiver_left_waiting() {
    let mut all = BTreeSet::new();
    orders(&[], &mut all);
    assert!(all.len() > 500, "{}", all.len());
    for steps in all {
        let alive = Rc::new(());
        let (sender, receiver) = channel();
        let (mut sender, mut receiver) = (Some(sender), Some(Side::new(receiver)));
        let (mut is_sent, mut is_closed, mut is_waiting) = (false, false, false);
        for &step in &steps {
            let is_over = is_closed || sender.is_none();
            match step {
                Step::Send => {
                    let sent = sender.take().unwrap().send(Value(alive.clone()));
                    assert_eq!(sent.is_ok(), !is_closed, "{steps:?}");
                    is_sent = sent.is_ok();
                }
                Step::DropSender => sender = None,
                Step::Poll => {
                    let receiver = receiver.as_mut().unwrap();
                    let polled = receiver.poll();
                    is_waiting = polled.is_pending();
                    match polled {
                        Poll::Ready(Ok(_)) => assert!(std::mem::take(&mut is_sent), "{steps:?}"),
                        Poll::Ready(Err(RecvError)) => assert!(!is_sent && is_over, "{steps:?}"),
                        Poll::Pending => assert!(!is_sent && !is_over, "{steps:?}"),
                    }
                }
                Step::TryRecv => {
                    let got = receiver.as_mut().unwrap().receiver.try_recv();
                    is_waiting = false;
                    match got {
                        Ok(_) => assert!(std::mem::take(&mut is_sent), "{steps:?}"),
                        Err(TryRecvError::Disconnected) => assert!(!is_sent && is_over),
                        Err(TryRecvError::Empty) => assert!(!is_sent && !is_over, "{steps:?}"),
                    }
                }
                Step::Close => {
                    receiver.as_mut().unwrap().receiver.close();
                    (is_closed, is_waiting) = (true, false);
                }
                Step::DropReceiver => {
                    receiver = None;
                    (is_closed, is_waiting, is_sent) = (true, false, false);
                }
            }
            if let (Some(receiver), true) = (&receiver, is_waiting) {
                assert_eq!(receiver.is_woken(), is_sent || sender.is_none(), "{steps:?}");
            }
            if let Some(sender) = &sender {
                assert_eq!(sender.is_closed(), is_closed, "{steps:?}");
            }
        }
        drop((sender, receiver));
        assert_eq!(Rc::strong_count(&alive), 1, "{steps:?} keep the value");
    }
}

#[test]
fn a_sender_hears_that_nobody_wants_the_value_any_more() {
    let (mut sender, mut receiver) = channel::<u8>();
    let closed = Polled::pending(sender.closed());
    receiver.close();
    closed.result();

    let (mut sender, receiver) = channel::<u8>();
    let mut closed = Polled::pending(sender.closed());
    assert!(closed.poll_elsewhere().is_pending());
    drop(receiver);
    closed.result();
}
