//! `Semaphore`: permits, and a queue of who needs how many.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Crew, World, explore, fuzz};
use crate::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Clone, Copy, Debug)]
enum Op {
    Start(usize, usize),
    Poll(usize),
    Drop(usize),
    Add,
    /// Tries to take one and forgets it.
    Try,
    Withdraw,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Is {
    Gone,
    Waiting,
    /// So many.
    Handed(usize),
    Held(usize),
}

struct Model {
    free: usize,
    /// Free or with somebody.
    all: usize,
    queue: VecDeque<(usize, usize)>,
    is: Vec<Is>,
}

struct Permits {
    crew: Crew<OwnedSemaphorePermit>,
    model: RefCell<Model>,
    real: Rc<Semaphore>,
}

impl Model {
    fn fits(&self, need: usize) -> bool {
        self.queue.is_empty() && self.free >= need
    }
}

impl World for Permits {
    type Op = Op;
    type Output = OwnedSemaphorePermit;

    fn new(crew: Crew<Self::Output>) -> Self {
        let is = vec![Is::Gone; crew.len()];
        let model = Model { free: 1, all: 1, queue: VecDeque::new(), is };
        Self { crew, model: RefCell::new(model), real: Rc::new(Semaphore::new(1)) }
    }

    fn crew(&self) -> &Crew<Self::Output> {
        &self.crew
    }

    fn ops(&self) -> Vec<Op> {
        let model = self.model.borrow();
        let mut ops = Vec::new();
        if let Some(who) = model.is.iter().position(|is| *is == Is::Gone) {
            ops.extend([Op::Start(who, 1), Op::Start(who, 2)]);
        }
        for (who, is) in model.is.iter().enumerate() {
            match is {
                Is::Gone => {}
                Is::Waiting | Is::Handed(_) => ops.extend([Op::Poll(who), Op::Drop(who)]),
                Is::Held(_) => ops.push(Op::Drop(who)),
            }
        }
        if model.all < 3 {
            ops.push(Op::Add);
        }
        ops.extend([Op::Try, Op::Withdraw]);
        ops
    }

    fn about(op: Op) -> Option<usize> {
        match op {
            Op::Start(who, _) | Op::Poll(who) | Op::Drop(who) => Some(who),
            Op::Add | Op::Try | Op::Withdraw => None,
        }
    }

    fn step(&self, op: Op) {
        let mut model = self.model.borrow_mut();
        match op {
            Op::Start(who, need) => {
                let fits = model.fits(need);
                if fits {
                    model.free -= need;
                    model.is[who] = Is::Held(need);
                } else {
                    model.queue.push_back((who, need));
                    model.is[who] = Is::Waiting;
                }
                drop(model);
                self.crew.start(who, self.real.clone().acquire_many_owned(need));
                assert_eq!(self.crew.poll(who), fits);
            }
            Op::Poll(who) => {
                let handed = match model.is[who] {
                    Is::Handed(need) => {
                        model.is[who] = Is::Held(need);
                        true
                    }
                    _ => false,
                };
                drop(model);
                assert_eq!(self.crew.poll(who), handed);
            }
            Op::Drop(who) => {
                match model.is[who] {
                    Is::Gone => unreachable!(),
                    Is::Waiting => model.queue.retain(|(other, _)| *other != who),
                    Is::Handed(need) | Is::Held(need) => model.free += need,
                }
                model.is[who] = Is::Gone;
                drop(model);
                self.crew.drop(who);
            }
            Op::Add => {
                model.free += 1;
                model.all += 1;
                drop(model);
                self.real.add_permits(1);
            }
            Op::Try => {
                let fits = model.fits(1);
                model.free -= usize::from(fits);
                model.all -= usize::from(fits);
                drop(model);
                let permit = self.real.try_acquire();
                assert_eq!(permit.map(|permit| permit.forget()).is_some(), fits);
            }
            Op::Withdraw => {
                let gone = model.free.min(1);
                model.free -= gone;
                model.all -= gone;
                drop(model);
                assert_eq!(self.real.forget_permits(1), gone);
            }
        }
    }

    fn due(&self) -> Vec<usize> {
        let model = self.model.borrow();
        let first = model.queue.front().filter(|(_, need)| *need <= model.free);
        first.map(|(who, _)| *who).into_iter().collect()
    }

    fn told(&self, _who: usize) {
        let mut model = self.model.borrow_mut();
        let (who, need) = model.queue.pop_front().expect("it is due");
        model.free -= need;
        model.is[who] = Is::Handed(need);
    }

    fn compare(&self) {
        let model = self.model.borrow();
        assert_eq!(self.real.available_permits(), model.free);
        assert_eq!(self.real.is_locked(), !model.fits(1));
    }

    fn compare_end(&self) {
        let model = self.model.borrow();
        assert_eq!(model.free, model.all);
        assert_eq!(self.real.available_permits(), model.all);
    }
}

#[test]
fn a_semaphore_is_its_model_in_every_short_sequence() {
    println!("{} sequences", explore::<Permits>(3, 6));
}

#[test]
fn a_semaphore_is_its_model_when_wakers_come_back() {
    fuzz::<Permits>(8, true);
}
