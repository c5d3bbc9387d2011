//! `Event`: a flag, and who waits for it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Crew, World, explore, fuzz};
use crate::sync::Event;

#[derive(Clone, Copy, Debug)]
enum Op {
    Start(usize),
    Poll(usize),
    Drop(usize),
    Set,
    Clear,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Is {
    Gone,
    Waiting,
    Handed,
}

struct Model {
    set: bool,
    queue: Vec<usize>,
    untold: VecDeque<usize>,
    is: Vec<Is>,
}

struct Flag {
    crew: Crew<()>,
    model: RefCell<Model>,
    real: Rc<Event>,
}

impl World for Flag {
    type Op = Op;
    type Output = ();

    fn new(crew: Crew<()>) -> Self {
        let is = vec![Is::Gone; crew.len()];
        let model = Model { set: false, queue: Vec::new(), untold: VecDeque::new(), is };
        Self { crew, model: RefCell::new(model), real: Rc::new(Event::new()) }
    }

    fn crew(&self) -> &Crew<()> {
        &self.crew
    }

    fn ops(&self) -> Vec<Op> {
        let model = self.model.borrow();
        let mut ops = vec![Op::Set, Op::Clear];
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
            Op::Set | Op::Clear => None,
        }
    }

    fn step(&self, op: Op) {
        let mut model = self.model.borrow_mut();
        match op {
            Op::Start(who) => {
                let set = model.set;
                if !set {
                    model.queue.push(who);
                    model.is[who] = Is::Waiting;
                }
                drop(model);
                let event = self.real.clone();
                self.crew.start(who, async move { event.wait().await });
                assert_eq!(self.crew.poll(who), set);
            }
            Op::Poll(who) => {
                let handed = model.is[who] == Is::Handed;
                if handed {
                    self.forget_untold(&mut model, who);
                    model.is[who] = Is::Gone;
                }
                drop(model);
                assert_eq!(self.crew.poll(who), handed);
            }
            Op::Drop(who) => {
                model.queue.retain(|other| *other != who);
                self.forget_untold(&mut model, who);
                model.is[who] = Is::Gone;
                drop(model);
                self.crew.drop(who);
            }
            Op::Set => {
                if !std::mem::replace(&mut model.set, true) {
                    let all = std::mem::take(&mut model.queue);
                    for who in all {
                        model.is[who] = Is::Handed;
                        model.untold.push_back(who);
                    }
                }
                drop(model);
                self.real.set();
            }
            Op::Clear => {
                model.set = false;
                drop(model);
                self.real.clear();
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
        assert_eq!(self.real.is_set(), self.model.borrow().set);
    }

    fn compare_end(&self) {
        assert!(format!("{:?}", self.real).contains("waiting: 0"));
    }
}

impl Flag {
    fn forget_untold(&self, model: &mut Model, who: usize) {
        if let Some(at) = model.untold.iter().position(|other| *other == who) {
            model.untold.remove(at);
            self.crew.pardon(who);
        }
    }
}

#[test]
fn an_event_is_its_model_in_every_short_sequence() {
    println!("{} sequences", explore::<Flag>(3, 7));
}

#[test]
fn an_event_is_its_model_when_wakers_come_back() {
    fuzz::<Flag>(8, true);
}
