//! The primitives beside plain models of them, which are obviously right: step by step, through every
//! sequence of operations up to a length, and through long random ones in which wakers come back into the
//! primitive that woke them.
//!
//! ```text
//!   step(op)   the model first, then the primitive          compare: the result, what can be observed
//!                                    │ wake(who)
//!                                    ▼
//!              hear(who): is it this waiter's turn?          compare: who, in which order, by which waker
//!                         the model hands over
//!                         perhaps a step of its own, in the middle of the other
//!   afterwards nobody may be due any more                    else a wake was lost
//! ```
//!
//! What is checked at each step: no permit is lost or invented, first come first served, whoever can go on
//! was woken by the waker of its last poll, nobody is woken without a cause, and no waker is kept.
//!
//! In the random sequences of `condvar` no wakers come back; `tests/asyncio/sync/reenter.rs` has one that does.
//!
//! Planted faults that it was seen to find, and the shortest sequence, as `explore` prints it. The random
//! sequences of the same primitive found each of them as well.
//!
//! | fault | found by | after |
//! |---|---|---|
//! | a dropped waiter that was handed permits keeps them | `semaphore`, `locks`, `condvar` | `Start(0, 1), Start(1, 1), Drop(0), Drop(1)` |
//! | a release wakes without handing over, so that a newcomer overtakes | `semaphore`, `locks`, `condvar` | `Start(0, 1), Start(1, 1), Drop(0)` |
//! | a head that leaves lets nobody behind it go | `semaphore` | `Start(0, 2), Start(1, 1), Drop(0)` |
//! | | `locks` | `Read(0), Write(1), Read(2), Drop(1)` |
//! | a newcomer takes what is free although somebody waits | `semaphore` | `Start(0, 2), Start(1, 1)` |
//! | a release wakes one waiter, where there is enough for two | `locks` | `Write(0), Read(1), Read(2), Drop(0)` |
//! | a waiter's waker is not renewed | all | `Start(0, 2), Poll(0), Poll(0)` |
//! | leaving the middle of the line loses its end | all | `Start(0), Start(1), Drop(1), Start(1), Set` |
//! | a crowd is woken last come, first served | `event`, `notify`, `barrier`, `condvar` | `Start(0), Start(1), Set` |
//! | a waiter of an event looks at the flag again | `event` | `Start(0), Set, Clear, Poll(0)` |
//! | a notified waiter that is dropped passes nothing on | `notify` | `Create(0), Poll(0), One, Drop(0)` |
//! | | `condvar` | `Start(0), Notify(1), Start(1), Drop(0)` |
//! | the same, while it locks again | `condvar` | `Start(0), Notify(1), Start(1), Lock, Poll(0), Drop(0)` |
//! | a waiter that was notified with all others passes it on | `notify` | `Create(0), Poll(0), All, Drop(0)` |
//! | a cancelled arrival still counts | `barrier` | `Start(0), Drop(0)` |
//!
//! Only wakers that come back found that each of a crowd was handed its own just before its wake: in
//! `notify`, one of them called for one more, and that call was lost.

mod barrier;
mod condvar;
mod event;
mod locks;
mod notify;
mod semaphore;

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// A primitive, its model, and its waiters.
trait World: 'static {
    type Op: Copy + Debug;
    type Output;

    fn new(crew: Crew<Self::Output>) -> Self;

    fn crew(&self) -> &Crew<Self::Output>;

    /// What can be done now.
    fn ops(&self) -> Vec<Self::Op>;

    /// The waiter that an operation is about.
    fn about(op: Self::Op) -> Option<usize>;

    /// Does it to the model, then to the primitive.
    fn step(&self, op: Self::Op);

    /// Whose wake may come next. Nobody's: everybody who can go on knows.
    fn due(&self) -> Vec<usize>;

    /// A waiter that is due was woken.
    fn told(&self, who: usize);

    /// Compares what can be observed.
    fn compare(&self);

    /// Compares what is left when everybody has gone.
    fn compare_end(&self);
}

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// The waiters of a world: places for futures and then their outputs.
struct Crew<T> {
    slots: Vec<Slot<T>>,
    /// Wakers of waiters that went after they were handed something and before they were told.
    pardoned: RefCell<Vec<(usize, u32)>>,
    /// Wakers that nobody may have any more.
    retired: RefCell<Vec<Weak<Bell>>>,
    broken: Cell<bool>,
}

struct Slot<T> {
    future: RefCell<Option<Boxed<T>>>,
    output: RefCell<Option<T>>,
    busy: Cell<bool>,
    polls: Cell<u32>,
    version: Cell<u32>,
    bell: RefCell<Option<Arc<Bell>>>,
    /// What its waker does when it is woken next, as a number among what can be done then.
    reaction: Cell<Option<usize>>,
}

/// A waker.
struct Bell {
    who: usize,
    version: u32,
}

trait Hear {
    fn hear(&self, who: usize, version: u32);
}

thread_local! {
    static STAGE: RefCell<Option<Rc<dyn Hear>>> = const { RefCell::new(None) };
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let stage = STAGE.with_borrow(Option::clone);
        if let Some(stage) = stage {
            stage.hear(self.who, self.version);
        }
    }
}

impl<T> Crew<T> {
    fn new(count: usize) -> Self {
        let slot = |_| Slot {
            future: RefCell::new(None),
            output: RefCell::new(None),
            busy: Cell::new(false),
            polls: Cell::new(0),
            version: Cell::new(0),
            bell: RefCell::new(None),
            reaction: Cell::new(None),
        };
        Self {
            slots: (0..count).map(slot).collect(),
            pardoned: RefCell::default(),
            retired: RefCell::default(),
            broken: Cell::new(false),
        }
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn start(&self, who: usize, future: impl Future<Output = T> + 'static) {
        let slot = &self.slots[who];
        self.retire(slot);
        slot.polls.set(0);
        *slot.future.borrow_mut() = Some(Box::pin(future));
    }

    /// Polls, every second time with another waker. True: it has ended.
    fn poll(&self, who: usize) -> bool {
        let slot = &self.slots[who];
        if slot.polls.get().is_multiple_of(2) {
            self.retire(slot);
            slot.version.set(slot.version.get() + 1);
            *slot.bell.borrow_mut() = Some(Arc::new(Bell { who, version: slot.version.get() }));
        }
        slot.polls.set(slot.polls.get() + 1);
        let waker = Waker::from(slot.bell.borrow().clone().expect("it was made"));
        let mut future = slot.future.take().expect("there is a future to poll");
        slot.busy.set(true);
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        slot.busy.set(false);
        match polled {
            Poll::Ready(output) => {
                drop(future);
                *slot.output.borrow_mut() = Some(output);
                true
            }
            Poll::Pending => {
                *slot.future.borrow_mut() = Some(future);
                false
            }
        }
    }

    /// Drops the future, or what it gave.
    fn drop(&self, who: usize) {
        let slot = &self.slots[who];
        self.retire(slot);
        let (future, output) = (slot.future.take(), slot.output.take());
        drop(future);
        drop(output);
    }

    /// It was handed something, and does not wait to be told: its waker may still be woken.
    fn pardon(&self, who: usize) {
        self.pardoned.borrow_mut().push((who, self.slots[who].version.get()));
    }

    fn retire(&self, slot: &Slot<T>) {
        if let Some(bell) = slot.bell.take() {
            self.retired.borrow_mut().push(Arc::downgrade(&bell));
        }
    }
}

impl<W: World> Hear for W {
    fn hear(&self, who: usize, version: u32) {
        let crew = self.crew();
        // Whoever wakes would swallow a panic.
        let heard = catch_unwind(AssertUnwindSafe(|| {
            let mut pardoned = crew.pardoned.borrow_mut();
            if let Some(at) = pardoned.iter().position(|it| *it == (who, version)) {
                pardoned.remove(at);
                return;
            }
            drop(pardoned);
            let due = self.due();
            assert!(due.contains(&who), "{who} was woken, but due is {due:?}");
            assert_eq!(version, crew.slots[who].version.get(), "{who} was woken by an old waker");
            self.told(who);
            if let Some(pick) = crew.slots[who].reaction.take() {
                self.pick(pick);
            }
        }));
        if heard.is_err() {
            crew.broken.set(true);
        }
    }
}

trait Steps: World {
    /// Does one of what can be done with waiters that are not being polled.
    fn pick(&self, pick: usize) -> Option<Self::Op> {
        let busy = |who: usize| self.crew().slots[who].busy.get();
        let mut ops = self.ops();
        ops.retain(|op| !Self::about(*op).is_some_and(busy));
        let op = *ops.get(pick % ops.len().max(1))?;
        self.step(op);
        Some(op)
    }

    fn check(&self) {
        assert!(!self.crew().broken.get(), "a wake was wrong: see above");
        let due = self.due();
        assert!(due.is_empty(), "{due:?} could go on, and nobody woke it");
        self.compare();
        assert!(self.crew().pardoned.borrow().is_empty(), "a crowd was not told to its end");
        for bell in self.crew().retired.take() {
            assert_eq!(bell.strong_count(), 0, "somebody keeps a waker that is not needed");
        }
    }

    fn end(&self, done: &mut Vec<String>) {
        for who in 0..self.crew().len() {
            for op in self.ops() {
                if Self::about(op) == Some(who) && self.ends(op) {
                    done.push(format!("{op:?}"));
                    self.step(op);
                    self.check();
                }
            }
        }
        self.compare_end();
    }

    fn ends(&self, op: Self::Op) -> bool {
        format!("{op:?}").starts_with("Drop")
    }
}

impl<W: World> Steps for W {}

/// A world on the stage of this thread, which hears its wakers.
fn on_stage<W: World, T>(slots: usize, play: impl FnOnce(&W) -> T) -> T {
    /// Whatever is dropped after a failure is heard by nobody.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            drop(STAGE.take());
        }
    }
    let world = Rc::new(W::new(Crew::new(slots)));
    let _leave = Leave;
    STAGE.set(Some(world.clone()));
    play(&world)
}

/// Every sequence of up to `depth` operations of up to `slots` waiters, the short ones first.
///
/// `RINGLOOP_TEST_DEEPER` says by how many operations to go further.
fn explore<W: World>(slots: usize, depth: usize) -> usize {
    let deeper = std::env::var("RINGLOOP_TEST_DEEPER");
    let deeper: usize = deeper.map_or(0, |text| text.parse().expect("it is a number"));
    let depth = depth + deeper;
    (1..=depth).map(|depth| walk::<W>(slots, &mut Vec::new(), depth)).sum()
}

fn walk<W: World>(slots: usize, path: &mut Vec<usize>, depth: usize) -> usize {
    let mut done = Vec::new();
    let played = catch_unwind(AssertUnwindSafe(|| {
        on_stage(slots, |world: &W| {
            for pick in path.iter() {
                let op = world.ops()[*pick];
                done.push(format!("{op:?}"));
                world.step(op);
                world.check();
            }
            let count = world.ops().len();
            if depth == 0 {
                world.end(&mut done);
            }
            count
        })
    }));
    let count = match played {
        Ok(count) => count,
        Err(panic) => {
            eprintln!("after {}", done.join(", "));
            panic_any(panic.downcast_ref::<String>().cloned().unwrap_or_default());
        }
    };
    if depth == 0 {
        return 1;
    }
    let mut sequences = 0;
    for pick in 0..count {
        path.push(pick);
        sequences += walk::<W>(slots, path, depth - 1);
        path.pop();
    }
    sequences
}

/// Long random sequences of many waiters, whose wakers do things of their own where `react` says so.
fn fuzz<W: World>(slots: usize, react: bool) {
    let step = (any::<usize>(), any::<Option<(prop::sample::Index, usize)>>());
    let steps = prop::collection::vec(step, 1..200);
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let tested = TestRunner::new(config).run(&steps, |steps| {
        let mut done = Vec::new();
        let played = catch_unwind(AssertUnwindSafe(|| {
            on_stage(slots, |world: &W| {
                for (pick, reaction) in steps {
                    if let Some((who, pick)) = reaction.filter(|_| react) {
                        let who = who.index(slots);
                        world.crew().slots[who].reaction.set(Some(pick));
                        done.push(format!("(the next wake of {who} does one more)"));
                    }
                    done.extend(world.pick(pick).map(|op| format!("{op:?}")));
                    world.check();
                }
                for slot in &world.crew().slots {
                    slot.reaction.set(None);
                }
                world.end(&mut done);
            })
        }));
        played.map_err(|_| TestCaseError::fail(format!("after {}", done.join(", "))))
    });
    if let Err(error) = tested {
        panic!("{error}");
    }
}
