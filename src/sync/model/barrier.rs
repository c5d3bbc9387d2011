//! `Barrier`: who has arrived, in order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Crew, World, explore, fuzz};
use crate::sync::Barrier;

#[derive(Clone, Copy, Debug)]
enum Op {
    Start(usize),
    Poll(usize),
    Drop(usize),
    Reset,
    Abort,
}

/// The index, or that the barrier is broken.
type Told = Result<usize, ()>;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Is {
    Gone,
    Waiting,
    Handed(Told),
}

struct Model {
    broken: bool,
    queue: Vec<usize>,
    untold: VecDeque<usize>,
    is: Vec<Is>,
}

struct Meeting<const PARTIES: usize> {
    crew: Crew<Told>,
    model: RefCell<Model>,
    real: Rc<Barrier>,
}

impl Model {
    fn end(&mut self, told: impl Fn(usize) -> Told) {
        for (index, who) in std::mem::take(&mut self.queue).into_iter().enumerate() {
            self.is[who] = Is::Handed(told(index));
            self.untold.push_back(who);
        }
    }
}

impl<const PARTIES: usize> Meeting<PARTIES> {
    fn forget_untold(&self, model: &mut Model, who: usize) {
        if let Some(at) = model.untold.iter().position(|other| *other == who) {
            model.untold.remove(at);
            self.crew.pardon(who);
        }
    }

    fn assert_polled(&self, who: usize, told: Option<Told>) {
        let ready = self.crew.poll(who);
        let output = self.crew.slots[who].output.take();
        assert_eq!((ready, output), (told.is_some(), told));
    }
}

impl<const PARTIES: usize> World for Meeting<PARTIES> {
    type Op = Op;
    type Output = Told;

    fn new(crew: Crew<Told>) -> Self {
        let is = vec![Is::Gone; crew.len()];
        let model = Model { broken: false, queue: Vec::new(), untold: VecDeque::new(), is };
        Self { crew, model: RefCell::new(model), real: Rc::new(Barrier::new(PARTIES)) }
    }

    fn crew(&self) -> &Crew<Told> {
        &self.crew
    }

    fn ops(&self) -> Vec<Op> {
        let model = self.model.borrow();
        let mut ops = vec![Op::Reset, Op::Abort];
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
            Op::Reset | Op::Abort => None,
        }
    }

    fn step(&self, op: Op) {
        let mut model = self.model.borrow_mut();
        match op {
            Op::Start(who) => {
                let told = if model.broken {
                    Some(Err(()))
                } else if model.queue.len() + 1 == PARTIES {
                    model.end(Ok);
                    Some(Ok(PARTIES - 1))
                } else {
                    model.queue.push(who);
                    model.is[who] = Is::Waiting;
                    None
                };
                // Nobody else takes its slot while it is polled.
                if told.is_some() {
                    model.is[who] = Is::Handed(Ok(0));
                }
                drop(model);
                let barrier = self.real.clone();
                self.crew.start(who, async move {
                    let result = barrier.wait().await.map_err(|_| ())?;
                    assert_eq!(result.is_leader(), result.index() == PARTIES - 1);
                    Ok(result.index())
                });
                self.assert_polled(who, told);
                if told.is_some() {
                    self.model.borrow_mut().is[who] = Is::Gone;
                }
            }
            Op::Poll(who) => {
                let told = match model.is[who] {
                    Is::Handed(told) => Some(told),
                    _ => None,
                };
                if told.is_some() {
                    self.forget_untold(&mut model, who);
                    model.is[who] = Is::Gone;
                }
                drop(model);
                self.assert_polled(who, told);
            }
            Op::Drop(who) => {
                model.queue.retain(|other| *other != who);
                self.forget_untold(&mut model, who);
                model.is[who] = Is::Gone;
                drop(model);
                self.crew.drop(who);
            }
            Op::Reset | Op::Abort => {
                model.broken = matches!(op, Op::Abort);
                model.end(|_| Err(()));
                drop(model);
                match op {
                    Op::Abort => self.real.abort(),
                    _ => self.real.reset(),
                }
            }
        }
    }

    fn due(&self) -> Vec<usize> {
        self.model.borrow().untold.front().copied().into_iter().collect()
    }

    fn told(&self, _who: usize) {
        self.model.borrow_mut().untold.pop_front();
    }

    fn compare(&self) {
        let model = self.model.borrow();
        assert_eq!(self.real.is_broken(), model.broken);
        assert_eq!(self.real.n_waiting(), model.queue.len());
    }

    fn compare_end(&self) {
        assert_eq!(self.real.n_waiting(), 0);
    }
}

#[test]
fn a_barrier_is_its_model_in_every_short_sequence() {
    println!("{} sequences", explore::<Meeting<2>>(3, 7));
    println!("{} sequences", explore::<Meeting<3>>(4, 7));
}

#[test]
fn a_barrier_is_its_model_when_wakers_come_back() {
    fuzz::<Meeting<1>>(2, true);
    fuzz::<Meeting<3>>(8, true);
}
