//! `Condvar` with its `Mutex`: who waits for the lock, who for a call, who for the lock again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Crew, World, explore, fuzz};
use crate::sync::{Condvar, Mutex, OwnedMutexGuard};

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Locks, waits, and unlocks.
    Start(usize),
    Poll(usize),
    Drop(usize),
    Notify(usize),
    NotifyAll,
    /// Somebody else's, who does not wait.
    Lock,
    Unlock,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Is {
    Gone,
    Locks,
    HasLock,
    Waits,
    /// Notified; alone, if true.
    Notified(bool),
    LocksAgain(bool),
    HasLockAgain(bool),
}

struct Model {
    locked: bool,
    outside: bool,
    /// For the lock.
    locks: VecDeque<usize>,
    /// For a call.
    waits: VecDeque<usize>,
    untold: VecDeque<usize>,
    is: Vec<Is>,
}

struct Condition {
    crew: Crew<()>,
    model: RefCell<Model>,
    real: Rc<(Condvar, Rc<Mutex<()>>)>,
    outside: RefCell<Option<OwnedMutexGuard<()>>>,
}

impl Model {
    fn can_lock(&self) -> bool {
        !self.locked && self.locks.is_empty()
    }

    fn notify(&mut self, count: usize, alone: bool) {
        for _ in 0..count {
            let Some(who) = self.waits.pop_front() else { return };
            self.is[who] = Is::Notified(alone);
            self.untold.push_back(who);
        }
    }
}

impl World for Condition {
    type Op = Op;
    type Output = ();

    fn new(crew: Crew<()>) -> Self {
        let model = Model {
            locked: false,
            outside: false,
            locks: VecDeque::new(),
            waits: VecDeque::new(),
            untold: VecDeque::new(),
            is: vec![Is::Gone; crew.len()],
        };
        Self {
            crew,
            model: RefCell::new(model),
            real: Rc::new((Condvar::new(), Rc::new(Mutex::new(())))),
            outside: RefCell::default(),
        }
    }

    fn crew(&self) -> &Crew<()> {
        &self.crew
    }

    fn ops(&self) -> Vec<Op> {
        let model = self.model.borrow();
        let mut ops = vec![Op::Notify(1), Op::Notify(2), Op::NotifyAll];
        ops.push(if model.outside { Op::Unlock } else { Op::Lock });
        ops.extend(model.is.iter().position(|is| *is == Is::Gone).map(Op::Start));
        for (who, is) in model.is.iter().enumerate() {
            if *is != Is::Gone {
                ops.extend([Op::Poll(who), Op::Drop(who)]);
            }
        }
        ops
    }

    fn about(op: Op) -> Option<usize> {
        match op {
            Op::Start(who) | Op::Poll(who) | Op::Drop(who) => Some(who),
            _ => None,
        }
    }

    fn step(&self, op: Op) {
        let mut model = self.model.borrow_mut();
        let (condvar, mutex) = &*self.real;
        match op {
            Op::Start(who) => {
                if model.can_lock() {
                    model.waits.push_back(who);
                    model.is[who] = Is::Waits;
                } else {
                    model.locks.push_back(who);
                    model.is[who] = Is::Locks;
                }
                drop(model);
                let real = self.real.clone();
                self.crew.start(who, async move {
                    let guard = real.1.lock().await;
                    drop(real.0.wait(guard).await);
                });
                assert!(!self.crew.poll(who));
            }
            Op::Poll(who) => {
                let mut ready = false;
                match model.is[who] {
                    Is::HasLock => {
                        model.waits.push_back(who);
                        model.is[who] = Is::Waits;
                        model.locked = false;
                    }
                    Is::Notified(_) if model.can_lock() => ready = true,
                    Is::Notified(alone) => {
                        model.locks.push_back(who);
                        model.is[who] = Is::LocksAgain(alone);
                    }
                    Is::HasLockAgain(_) => {
                        model.locked = false;
                        ready = true;
                    }
                    _ => {}
                }
                if ready {
                    model.is[who] = Is::Gone;
                }
                drop(model);
                assert_eq!(self.crew.poll(who), ready);
            }
            Op::Drop(who) => {
                model.locks.retain(|other| *other != who);
                model.waits.retain(|other| *other != who);
                let is = std::mem::replace(&mut model.is[who], Is::Gone);
                if matches!(is, Is::HasLock | Is::HasLockAgain(_)) {
                    model.locked = false;
                }
                if let Is::Notified(true) | Is::LocksAgain(true) | Is::HasLockAgain(true) = is {
                    model.notify(1, true);
                }
                drop(model);
                self.crew.drop(who);
            }
            Op::Notify(count) => {
                model.notify(count, true);
                drop(model);
                condvar.notify(count);
            }
            Op::NotifyAll => {
                model.notify(usize::MAX, false);
                drop(model);
                condvar.notify_all();
            }
            Op::Lock => {
                let can_lock = model.can_lock();
                model.locked |= can_lock;
                model.outside = can_lock;
                drop(model);
                let guard = mutex.clone().try_lock_owned();
                assert_eq!(guard.is_some(), can_lock);
                *self.outside.borrow_mut() = guard;
            }
            Op::Unlock => {
                model.locked = false;
                model.outside = false;
                drop(model);
                let guard = self.outside.take();
                drop(guard);
            }
        }
    }

    fn due(&self) -> Vec<usize> {
        let model = self.model.borrow();
        let next = model.locks.front().filter(|_| !model.locked);
        next.into_iter().chain(model.untold.front()).copied().collect()
    }

    fn told(&self, who: usize) {
        let mut model = self.model.borrow_mut();
        if model.untold.front() == Some(&who) {
            model.untold.pop_front();
            return;
        }
        model.locks.pop_front();
        model.locked = true;
        model.is[who] = match model.is[who] {
            Is::Locks => Is::HasLock,
            Is::LocksAgain(alone) => Is::HasLockAgain(alone),
            is => unreachable!("{is:?} does not wait for the lock"),
        };
    }

    fn compare(&self) {
        assert_eq!(self.real.1.is_locked(), self.model.borrow().locked);
    }

    fn compare_end(&self) {
        assert!(format!("{:?}", self.real.0).contains("waiting: 0"));
        assert_eq!(self.real.1.is_locked(), self.model.borrow().outside);
    }
}

#[test]
fn a_condvar_is_its_model_in_every_short_sequence() {
    println!("{} sequences", explore::<Condition>(3, 6));
}

#[test]
fn a_condvar_is_its_model_in_long_sequences() {
    fuzz::<Condition>(8, false);
}
