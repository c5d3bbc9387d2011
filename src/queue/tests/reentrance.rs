//! User code that comes back: wakers, values and comparisons that go on with a random script whenever they
//! are woken, dropped, cloned or compared. Nothing may be found borrowed, and nothing lost.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::queue::{LifoQueue, PriorityQueue, Queue, Shutdown};
use crate::sync::polled::Reenters;
use crate::sync::{broadcast, mpsc, oneshot, watch};

#[derive(Clone, Copy, Debug)]
enum Step {
    TryPut,
    TryGet,
    Put,
    Get,
    Join,
    TaskDone,
    Send,
    TrySend,
    Recv,
    Set,
    Changed,
    Speak,
    Hear,
    OneShot,
    /// Of the futures, by index modulo their number.
    Poll(usize),
    Drop(usize),
    Shutdown,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    prop_oneof![
        8 => (0usize..64).prop_map(Poll),
        4 => (0usize..64).prop_map(Drop),
        8 => prop_oneof![Just(TryPut), Just(TryGet), Just(Put), Just(Get)],
        2 => prop_oneof![Just(Join), Just(TaskDone)],
        6 => prop_oneof![Just(Send), Just(TrySend), Just(Recv)],
        6 => prop_oneof![Just(Set), Just(Changed), Just(Speak), Just(Hear), Just(OneShot)],
        1 => prop_oneof![9 => Just(TryGet), 1 => Just(Shutdown)],
    ]
}

/// A value whose drop, clone and comparison go on with the script.
struct Value(Rc<()>);

impl Value {
    fn new(world: &World) -> Self {
        Self(world.alive.clone())
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        go_on();
        Self(self.0.clone())
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        go_on();
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

struct World {
    alive: Rc<()>,
    script: RefCell<VecDeque<Step>>,
    /// Vacant while one is polled.
    tasks: RefCell<Vec<Option<Task>>>,
    fifo: Rc<Queue<Value>>,
    lifo: Rc<LifoQueue<Value>>,
    sender: mpsc::Sender<Value>,
    receiver: Cell<Option<mpsc::Receiver<Value>>>,
    state: watch::Sender<Value>,
    chat: broadcast::Sender<Value>,
    /// What went wrong where nobody may hear of it: within a waker.
    failed: Cell<bool>,
}

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// The next step of the script, if there is one, and if that does not go too deep.
fn go_on() {
    let Some(world) = WORLD.with_borrow(Clone::clone) else { return };
    let Some(step) = world.script.borrow_mut().pop_front() else { return };
    if DEPTH.get() < 20 {
        DEPTH.set(DEPTH.get() + 1);
        if catch_unwind(AssertUnwindSafe(|| world.step(step))).is_err() {
            world.failed.set(true);
        }
        DEPTH.set(DEPTH.get() - 1);
    }
}

impl World {
    fn new(script: Vec<Step>) -> Self {
        let alive = Rc::new(());
        let (sender, receiver) = mpsc::channel(1);
        Self {
            script: RefCell::new(script.into()),
            tasks: RefCell::default(),
            fifo: Rc::new(Queue::bounded(1)),
            lifo: Rc::new(LifoQueue::bounded(2)),
            sender,
            receiver: Cell::new(Some(receiver)),
            state: watch::channel(Value(alive.clone())).0,
            chat: broadcast::channel(2).0,
            alive,
            failed: Cell::new(false),
        }
    }

    fn start(&self, future: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().push(Some(Box::pin(future)));
        let index = self.tasks.borrow().len() - 1;
        self.poll(index);
    }

    fn take(&self, index: usize) -> Option<Task> {
        self.tasks.borrow_mut().get_mut(index)?.take()
    }

    fn at(&self, index: usize) -> usize {
        index % self.tasks.borrow().len().max(1)
    }

    fn poll(&self, index: usize) {
        let Some(mut task) = self.take(index) else { return };
        let waker = Waker::from(Arc::new(Reenters(go_on)));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.tasks.borrow_mut()[index] = Some(task);
        }
    }

    fn step(&self, step: Step) {
        let (fifo, lifo) = (self.fifo.clone(), self.lifo.clone());
        let value = || Value::new(self);
        match step {
            Step::TryPut => drop((fifo.try_put(value()), lifo.try_put(value()))),
            Step::TryGet => drop((fifo.try_get(), lifo.try_get())),
            Step::Put => {
                let (first, second) = (value(), value());
                self.start(async move { drop((fifo.put(first).await, lifo.put(second).await)) });
            }
            Step::Get => self.start(async move { drop((fifo.get().await, lifo.get().await)) }),
            Step::Join => self.start(async move { fifo.join().await }),
            Step::TaskDone => drop((fifo.task_done(), lifo.task_done())),
            Step::Send => {
                let (sender, value) = (self.sender.clone(), value());
                self.start(async move { drop(sender.send(value).await) });
            }
            Step::TrySend => drop(self.sender.try_send(value())),
            Step::Recv => {
                let Some(mut receiver) = self.receiver.take() else { return };
                let waker = Waker::from(Arc::new(Reenters(go_on)));
                let got = receiver.poll_recv(&mut Context::from_waker(&waker));
                self.receiver.set(Some(receiver));
                drop(got);
            }
            Step::Set => self.state.send_replace(value()),
            Step::Changed => {
                let mut receiver = self.state.subscribe();
                self.start(async move { while receiver.changed().await.is_ok() {} });
            }
            Step::Speak => drop(self.chat.send(value())),
            Step::Hear => {
                let mut receiver = self.chat.subscribe();
                self.start(async move { while receiver.recv().await.is_ok() {} });
            }
            Step::OneShot => {
                let (sender, receiver) = oneshot::channel();
                self.start(async move { drop(receiver.await) });
                drop(sender.send(value()));
            }
            Step::Poll(index) => self.poll(self.at(index)),
            Step::Drop(index) => drop(self.take(self.at(index))),
            Step::Shutdown => {
                fifo.shutdown(Shutdown::Immediate);
                lifo.shutdown(Shutdown::Drain);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Seen to fail when the queue was borrowed while a putter was woken, when a value that was written over
    // was dropped in the ring, and when a waker was dropped in line.
    #[test]
    fn user_code_that_comes_back_finds_nothing_borrowed(script in vec(step(), 1..200)) {
        let world = Rc::new(World::new(script));
        WORLD.set(Some(world.clone()));
        while !world.script.borrow().is_empty() {
            go_on();
        }
        // All that is left goes, with nothing more to do.
        WORLD.set(None);
        assert!(!world.failed.get(), "something was borrowed, or gave up");
        let alive = world.alive.clone();
        world.tasks.take();
        drop(world);
        assert_eq!(Rc::strong_count(&alive), 1, "a value is kept somewhere");
    }
}

/// Compared by its number; the comparison asks the queue for its figures, as it may.
struct Numbered(u8, Rc<PriorityQueue<Self>>);

impl Ord for Numbered {
    fn cmp(&self, other: &Self) -> Ordering {
        assert!(self.1.len() <= 3 && !self.1.is_shutdown() && self.1.unfinished() <= 3);
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Numbered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Numbered {}
impl PartialEq for Numbered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

#[test]
fn a_comparison_may_ask_the_queue_for_its_figures_and_leave_its_lines() {
    let queue = Rc::new(PriorityQueue::bounded(3));
    for number in [2, 3, 1] {
        queue.try_put(Numbered(number, queue.clone())).ok().unwrap();
    }
    for number in [1, 2, 3] {
        assert_eq!(queue.try_get().ok().unwrap().0, number);
    }
    assert!(matches!(
        Box::pin(queue.get()).as_mut().poll(&mut Context::from_waker(Waker::noop())),
        Poll::Pending
    ));
}
