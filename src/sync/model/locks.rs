//! `Mutex` and `RwLock`: readers or a writer, and a queue.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Crew, World, explore, fuzz};
use crate::sync::{Mutex, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

#[derive(Clone, Copy, Debug)]
enum Op {
    Read(usize),
    Write(usize),
    Poll(usize),
    Drop(usize),
    Downgrade(usize),
    TryRead,
    TryWrite,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Read,
    Write,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Is {
    Gone,
    Waiting,
    Handed(Kind),
    Held(Kind),
}

struct Model {
    readers: usize,
    writer: bool,
    queue: VecDeque<(usize, Kind)>,
    is: Vec<Is>,
}

enum Guard {
    Mutex { _guard: OwnedMutexGuard<()> },
    Read { _guard: OwnedRwLockReadGuard<()> },
    Write(OwnedRwLockWriteGuard<()>),
}

/// A mutex, or else a lock for readers and writers.
struct Locks<const MUTEX: bool> {
    crew: Crew<Guard>,
    model: RefCell<Model>,
    mutex: Rc<Mutex<()>>,
    rwlock: Rc<RwLock<()>>,
}

impl Model {
    fn allows(&self, kind: Kind) -> bool {
        match kind {
            Kind::Read => !self.writer,
            Kind::Write => !self.writer && self.readers == 0,
        }
    }

    fn enter(&mut self, kind: Kind) {
        match kind {
            Kind::Read => self.readers += 1,
            Kind::Write => self.writer = true,
        }
    }

    fn leave(&mut self, kind: Kind) {
        match kind {
            Kind::Read => self.readers -= 1,
            Kind::Write => self.writer = false,
        }
    }
}

impl<const MUTEX: bool> Locks<MUTEX> {
    fn start(&self, who: usize, kind: Kind) {
        let mut model = self.model.borrow_mut();
        let at_once = model.queue.is_empty() && model.allows(kind);
        if at_once {
            model.enter(kind);
            model.is[who] = Is::Held(kind);
        } else {
            model.queue.push_back((who, kind));
            model.is[who] = Is::Waiting;
        }
        drop(model);
        let (mutex, rwlock) = (self.mutex.clone(), self.rwlock.clone());
        match kind {
            Kind::Read => {
                let read = rwlock.read_owned();
                self.crew.start(who, async move { Guard::Read { _guard: read.await } });
            }
            Kind::Write if MUTEX => {
                let lock = mutex.lock_owned();
                self.crew.start(who, async move { Guard::Mutex { _guard: lock.await } });
            }
            Kind::Write => {
                let write = rwlock.write_owned();
                self.crew.start(who, async move { Guard::Write(write.await) });
            }
        }
        assert_eq!(self.crew.poll(who), at_once);
    }
}

impl<const MUTEX: bool> World for Locks<MUTEX> {
    type Op = Op;
    type Output = Guard;

    fn new(crew: Crew<Guard>) -> Self {
        let is = vec![Is::Gone; crew.len()];
        let model = Model { readers: 0, writer: false, queue: VecDeque::new(), is };
        Self {
            crew,
            model: RefCell::new(model),
            mutex: Rc::new(Mutex::new(())),
            rwlock: Rc::new(RwLock::new(())),
        }
    }

    fn crew(&self) -> &Crew<Guard> {
        &self.crew
    }

    fn ops(&self) -> Vec<Op> {
        let model = self.model.borrow();
        let mut ops = Vec::new();
        if let Some(who) = model.is.iter().position(|is| *is == Is::Gone) {
            ops.push(Op::Write(who));
            if !MUTEX {
                ops.push(Op::Read(who));
            }
        }
        for (who, is) in model.is.iter().enumerate() {
            match is {
                Is::Gone => {}
                Is::Waiting | Is::Handed(_) => ops.extend([Op::Poll(who), Op::Drop(who)]),
                Is::Held(Kind::Write) if !MUTEX => ops.extend([Op::Drop(who), Op::Downgrade(who)]),
                Is::Held(_) => ops.push(Op::Drop(who)),
            }
        }
        ops.push(Op::TryWrite);
        if !MUTEX {
            ops.push(Op::TryRead);
        }
        ops
    }

    fn about(op: Op) -> Option<usize> {
        match op {
            Op::Read(who) | Op::Write(who) => Some(who),
            Op::Poll(who) | Op::Drop(who) | Op::Downgrade(who) => Some(who),
            Op::TryRead | Op::TryWrite => None,
        }
    }

    fn step(&self, op: Op) {
        match op {
            Op::Read(who) => self.start(who, Kind::Read),
            Op::Write(who) => self.start(who, Kind::Write),
            Op::Poll(who) => {
                let mut model = self.model.borrow_mut();
                let handed = match model.is[who] {
                    Is::Handed(kind) => {
                        model.is[who] = Is::Held(kind);
                        true
                    }
                    _ => false,
                };
                drop(model);
                assert_eq!(self.crew.poll(who), handed);
            }
            Op::Drop(who) => {
                let mut model = self.model.borrow_mut();
                match model.is[who] {
                    Is::Gone => unreachable!(),
                    Is::Waiting => model.queue.retain(|(other, _)| *other != who),
                    Is::Handed(kind) | Is::Held(kind) => model.leave(kind),
                }
                model.is[who] = Is::Gone;
                drop(model);
                self.crew.drop(who);
            }
            Op::Downgrade(who) => {
                let mut model = self.model.borrow_mut();
                model.leave(Kind::Write);
                model.enter(Kind::Read);
                model.is[who] = Is::Held(Kind::Read);
                drop(model);
                let slot = &self.crew.slots[who];
                let output = slot.output.take();
                let Some(Guard::Write(guard)) = output else { unreachable!() };
                slot.busy.set(true);
                let _guard = OwnedRwLockWriteGuard::downgrade(guard);
                slot.busy.set(false);
                *slot.output.borrow_mut() = Some(Guard::Read { _guard });
            }
            Op::TryRead => {
                let model = self.model.borrow();
                let expected = model.queue.is_empty() && model.allows(Kind::Read);
                drop(model);
                assert_eq!(self.rwlock.try_read().is_some(), expected);
            }
            Op::TryWrite => {
                let model = self.model.borrow();
                let expected = model.queue.is_empty() && model.allows(Kind::Write);
                drop(model);
                let locked = match MUTEX {
                    true => self.mutex.try_lock().is_some(),
                    false => self.rwlock.try_write().is_some(),
                };
                assert_eq!(locked, expected);
            }
        }
    }

    fn due(&self) -> Vec<usize> {
        let model = self.model.borrow();
        let first = model.queue.front().filter(|(_, kind)| model.allows(*kind));
        first.map(|(who, _)| *who).into_iter().collect()
    }

    fn told(&self, _who: usize) {
        let mut model = self.model.borrow_mut();
        let (who, kind) = model.queue.pop_front().expect("it is due");
        model.enter(kind);
        model.is[who] = Is::Handed(kind);
    }

    fn compare(&self) {
        let model = self.model.borrow();
        let locked = if MUTEX { self.mutex.is_locked() } else { self.rwlock.is_locked() };
        assert_eq!(locked, model.writer || model.readers > 0);
    }

    fn compare_end(&self) {
        assert!(self.mutex.try_lock().is_some() && self.rwlock.try_write().is_some());
    }
}

#[test]
fn a_mutex_is_its_model_in_every_short_sequence() {
    println!("{} sequences", explore::<Locks<true>>(4, 8));
}

#[test]
fn a_mutex_is_its_model_when_wakers_come_back() {
    fuzz::<Locks<true>>(8, true);
}

#[test]
fn a_rwlock_is_its_model_in_every_short_sequence() {
    println!("{} sequences", explore::<Locks<false>>(4, 6));
}

#[test]
fn a_rwlock_is_its_model_when_wakers_come_back() {
    fuzz::<Locks<false>>(8, true);
}
