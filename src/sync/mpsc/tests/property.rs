//! Random walks of senders, permits and the receiver, against a plain model.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Send,
    Reserve,
    /// Of the senders that wait, by index modulo their number.
    Poll(usize),
    PollElsewhere(usize),
    Drop(usize),
    TrySend,
    TryReserve,
    /// Of the permits, likewise.
    Use(usize),
    GiveBack(usize),
    Recv,
    DropRecv,
    TryRecv,
    RecvMany(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let index = || 0usize..64;
    prop_oneof![
        8 => Just(Step::Send),
        4 => Just(Step::Reserve),
        10 => index().prop_map(Step::Poll),
        2 => index().prop_map(Step::PollElsewhere),
        4 => index().prop_map(Step::Drop),
        3 => Just(Step::TrySend),
        2 => Just(Step::TryReserve),
        4 => index().prop_map(Step::Use),
        2 => index().prop_map(Step::GiveBack),
        8 => Just(Step::Recv),
        2 => Just(Step::DropRecv),
        3 => Just(Step::TryRecv),
        2 => (0usize..4).prop_map(Step::RecvMany),
        1 => prop_oneof![6 => Just(Step::DropRecv), 1 => Just(Step::Close)],
    ]
}

/// A value that counts as alive.
#[derive(Debug)]
struct Value(usize, #[expect(dead_code, reason = "counted")] Rc<()>);

enum Out {
    Sent(Result<(), Value>),
    Reserved(Option<Permit<'static, Value>>),
}

struct Waiter {
    /// Of the value, if it sends one.
    number: Option<usize>,
    polled: Polled<'static, Out>,
    arrived: Option<usize>,
}

struct World {
    sender: &'static Sender<Value>,
    capacity: usize,
    alive: Rc<()>,
    numbers: usize,
    values: VecDeque<usize>,
    waiters: Vec<Waiter>,
    permits: Vec<Permit<'static, Value>>,
    is_closed: bool,
}

impl World {
    fn value(&mut self) -> Value {
        self.numbers += 1;
        Value(self.numbers, self.alive.clone())
    }

    fn in_line(&self, woken: bool) -> Vec<usize> {
        let line = self.waiters.iter().filter(|waiter| waiter.polled.is_woken() == woken);
        line.filter_map(|waiter| waiter.arrived).collect()
    }

    fn free(&self) -> usize {
        self.capacity - self.values.len() - self.permits.len() - self.in_line(true).len()
    }

    fn is_over(&self) -> bool {
        self.is_closed && self.permits.is_empty() && self.values.is_empty()
    }

    fn poll(&mut self, index: usize, elsewhere: bool) {
        if self.waiters.is_empty() {
            return;
        }
        let index = index % self.waiters.len();
        let has_free = !self.is_closed && self.free() > 0;
        let waiter = &mut self.waiters[index];
        let is_new = waiter.arrived.is_none();
        let can = waiter.polled.is_woken() || is_new && (self.is_closed || has_free);
        let polled = if elsewhere { waiter.polled.poll_elsewhere() } else { waiter.polled.poll() };
        let Poll::Ready(out) = polled else {
            assert!(!can, "a sender could go on, and does not");
            if is_new {
                self.numbers += 1;
                waiter.arrived = Some(self.numbers);
            }
            return;
        };
        assert!(can, "a sender could not go on, and does");
        let waiter = self.waiters.remove(index);
        match out {
            Out::Sent(Ok(())) => {
                assert!(!self.is_closed);
                self.values.push_back(waiter.number.unwrap());
            }
            Out::Sent(Err(value)) => assert!(self.is_closed && Some(value.0) == waiter.number),
            Out::Reserved(Some(permit)) => {
                assert!(!self.is_closed);
                self.permits.push(permit);
            }
            Out::Reserved(None) => assert!(self.is_closed),
        }
    }

    fn check(&self, receiver_len: usize) {
        assert_eq!(receiver_len, self.values.len());
        let waiting = self.in_line(false);
        if self.is_closed {
            assert!(waiting.is_empty(), "the end was not told");
            return;
        }
        assert_eq!(self.sender.capacity(), self.free());
        assert!(waiting.is_empty() || self.free() == 0, "a sender was not woken");
        if let (Some(last), Some(first)) = (self.in_line(true).iter().max(), waiting.iter().min()) {
            assert!(last < first, "somebody was overtaken");
        }
    }

    fn received(&mut self, value: &Value) {
        assert_eq!(Some(value.0), self.values.pop_front(), "out of order");
    }
}

/// The receiver stays put; a future that borrows it comes and goes.
fn walk(capacity: usize, steps: Vec<Step>) {
    let (sender, receiver) = channel::<Value>(capacity);
    let sender = &*Box::leak(Box::new(sender));
    let receiver = std::cell::RefCell::new(receiver);
    let mut recv: Option<Polled<'_, Option<Value>>> = None;
    let mut world = World {
        sender,
        capacity,
        alive: Rc::new(()),
        numbers: 0,
        values: VecDeque::new(),
        waiters: Vec::new(),
        permits: Vec::new(),
        is_closed: false,
    };
    for step in steps {
        let of_permits = |index: usize| index % world.permits.len();
        match step {
            Step::Send => {
                let value = world.value();
                let number = Some(value.0);
                let send = async move { Out::Sent(sender.send(value).await.map_err(|e| e.0)) };
                world.waiters.push(Waiter { number, polled: Polled::new(send), arrived: None });
            }
            Step::Reserve => {
                let reserve = async move { Out::Reserved(sender.reserve().await.ok()) };
                let polled = Polled::new(reserve);
                world.waiters.push(Waiter { number: None, polled, arrived: None });
            }
            Step::Poll(index) => world.poll(index, false),
            Step::PollElsewhere(index) => world.poll(index, true),
            Step::Drop(index) if !world.waiters.is_empty() => {
                let index = index % world.waiters.len();
                drop(world.waiters.remove(index));
            }
            Step::TrySend => {
                let value = world.value();
                let number = value.0;
                match sender.try_send(value) {
                    Ok(()) => {
                        assert!(!world.is_closed && world.free() > 0);
                        world.values.push_back(number);
                    }
                    Err(TrySendError::Full(value)) => {
                        assert!(!world.is_closed && world.free() == 0 && value.0 == number);
                    }
                    Err(TrySendError::Disconnected(value)) => {
                        assert!(world.is_closed && value.0 == number);
                    }
                }
            }
            Step::TryReserve => match sender.try_reserve() {
                Ok(permit) => {
                    assert!(!world.is_closed && world.free() > 0);
                    world.permits.push(permit);
                }
                Err(error) => {
                    assert_eq!(world.is_closed, error == TrySendError::Disconnected(()));
                    assert!(world.is_closed || world.free() == 0);
                }
            },
            Step::Use(index) if !world.permits.is_empty() => {
                let permit = world.permits.remove(of_permits(index));
                let value = world.value();
                world.values.push_back(value.0);
                permit.send(value);
            }
            Step::GiveBack(index) if !world.permits.is_empty() => {
                let permit = world.permits.remove(of_permits(index));
                drop(permit);
            }
            Step::Recv => {
                let can = !world.values.is_empty() || world.is_over();
                #[expect(clippy::await_holding_refcell_ref, reason = "one at a time")]
                let future = async { receiver.borrow_mut().recv().await };
                let polled = recv.get_or_insert_with(|| Polled::new(future));
                match polled.poll() {
                    Poll::Ready(value) => {
                        recv = None;
                        assert!(can);
                        match value {
                            Some(value) => world.received(&value),
                            None => assert!(world.is_over()),
                        }
                    }
                    Poll::Pending => assert!(!can, "the receiver could go on, and does not"),
                }
            }
            Step::DropRecv => recv = None,
            Step::TryRecv => {
                recv = None;
                let is_over = world.is_over();
                match receiver.borrow_mut().try_recv() {
                    Ok(value) => world.received(&value),
                    Err(error) => {
                        assert!(world.values.is_empty());
                        assert_eq!(is_over, error == TryRecvError::Disconnected);
                    }
                }
            }
            Step::RecvMany(limit) => {
                recv = None;
                let mut values = Vec::new();
                let mut receiver = receiver.borrow_mut();
                let count = Polled::new(receiver.recv_many(&mut values, limit)).poll();
                let can = limit == 0 || !world.values.is_empty() || world.is_over();
                assert_eq!(count.is_ready(), can);
                assert!(values.len() == world.values.len().min(limit));
                for value in &values {
                    world.received(value);
                }
            }
            Step::Close => {
                recv = None;
                receiver.borrow_mut().close();
                world.is_closed = true;
            }
            Step::Drop(_) | Step::Use(_) | Step::GiveBack(_) => {}
        }
        if let Some(recv) = &recv {
            let can = !world.values.is_empty() || world.is_over();
            assert_eq!(recv.is_woken(), can, "the receiver");
        }
        world.check(sender.len());
    }
    recv = None;
    drop(recv);
    drop(receiver);
    world.is_closed = true;
    while !world.waiters.is_empty() {
        world.poll(0, false);
    }
    world.permits.into_iter().for_each(|permit| permit.send(Value(0, world.alive.clone())));
    assert_eq!(Rc::strong_count(&world.alive), 1, "a value is kept somewhere");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Seen to fail when a dropped waiter kept its place, when a new waker was not taken, and when the last
    // permit of a closed channel woke nobody.
    #[test]
    fn no_walk_loses_doubles_or_reorders_a_value_or_forgets_a_waiter(
        capacity in 1usize..4,
        steps in vec(step(), 1..100),
    ) {
        walk(capacity, steps);
    }
}
