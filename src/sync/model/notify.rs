//! `Notify`: at most one stored call, and who waits for one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::{Crew, World, explore, fuzz};
use crate::sync::Notify;

#[derive(Clone, Copy, Debug)]
enum Op {
    Create(usize),
    Poll(usize),
    Drop(usize),
    One,
    All,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Is {
    Gone,
    Created,
    /// Created before all were notified, and not polled yet.
    Called,
    Waiting,
    HandedOne,
    HandedAll,
}

struct Model {
    stored: bool,
    queue: VecDeque<usize>,
    untold: VecDeque<usize>,
    /// Notified alone: woken in the same step.
    alone: Option<usize>,
    is: Vec<Is>,
}

struct Calls {
    crew: Crew<()>,
    model: RefCell<Model>,
    real: Rc<Notify>,
}

impl Model {
    fn notify_one(&mut self) {
        match self.queue.pop_front() {
            Some(who) => {
                self.is[who] = Is::HandedOne;
                assert_eq!(self.alone.replace(who), None);
            }
            None => self.stored = true,
        }
    }
}

impl Calls {
    fn forget_untold(&self, model: &mut Model, who: usize) {
        if let Some(at) = model.untold.iter().position(|other| *other == who) {
            model.untold.remove(at);
            self.crew.pardon(who);
        }
    }
}

impl World for Calls {
    type Op = Op;
    type Output = ();

    fn new(crew: Crew<()>) -> Self {
        let model = Model {
            stored: false,
            queue: VecDeque::new(),
            untold: VecDeque::new(),
            alone: None,
            is: vec![Is::Gone; crew.len()],
        };
        Self { crew, model: RefCell::new(model), real: Rc::new(Notify::new()) }
    }

    fn crew(&self) -> &Crew<()> {
        &self.crew
    }

    fn ops(&self) -> Vec<Op> {
        let model = self.model.borrow();
        let mut ops = vec![Op::One, Op::All];
        ops.extend(model.is.iter().position(|is| *is == Is::Gone).map(Op::Create));
        for (who, is) in model.is.iter().enumerate() {
            if *is != Is::Gone {
                ops.extend([Op::Poll(who), Op::Drop(who)]);
            }
        }
        ops
    }

    fn about(op: Op) -> Option<usize> {
        match op {
            Op::Create(who) | Op::Poll(who) | Op::Drop(who) => Some(who),
            Op::One | Op::All => None,
        }
    }

    fn step(&self, op: Op) {
        let mut model = self.model.borrow_mut();
        match op {
            Op::Create(who) => {
                model.is[who] = Is::Created;
                drop(model);
                let notify = self.real.clone();
                self.crew.start(who, async move {
                    let notified = notify.notified();
                    // The first poll only calls it.
                    let mut called = false;
                    poll_fn(|_| match std::mem::replace(&mut called, true) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    })
                    .await;
                    notified.await;
                });
                assert!(!self.crew.poll(who));
            }
            Op::Poll(who) => {
                let is = model.is[who];
                let ready = match is {
                    Is::Created if std::mem::take(&mut model.stored) => true,
                    Is::Created => {
                        model.queue.push_back(who);
                        model.is[who] = Is::Waiting;
                        false
                    }
                    Is::Waiting => false,
                    _ => true,
                };
                if ready {
                    self.forget_untold(&mut model, who);
                    model.is[who] = Is::Gone;
                }
                drop(model);
                assert_eq!(self.crew.poll(who), ready);
            }
            Op::Drop(who) => {
                model.queue.retain(|other| *other != who);
                self.forget_untold(&mut model, who);
                if std::mem::replace(&mut model.is[who], Is::Gone) == Is::HandedOne {
                    model.notify_one();
                }
                drop(model);
                self.crew.drop(who);
            }
            Op::One => {
                model.notify_one();
                drop(model);
                self.real.notify_one();
            }
            Op::All => {
                while let Some(who) = model.queue.pop_front() {
                    model.is[who] = Is::HandedAll;
                    model.untold.push_back(who);
                }
                for is in &mut model.is {
                    if *is == Is::Created {
                        *is = Is::Called;
                    }
                }
                drop(model);
                self.real.notify_waiters();
            }
        }
    }

    fn due(&self) -> Vec<usize> {
        let model = self.model.borrow();
        model.alone.or_else(|| model.untold.front().copied()).into_iter().collect()
    }

    fn told(&self, _who: usize) {
        let mut model = self.model.borrow_mut();
        if model.alone.take().is_none() {
            model.untold.pop_front();
        }
    }

    fn compare(&self) {
        let stored = format!("stored: {}", self.model.borrow().stored);
        assert!(format!("{:?}", self.real).contains(&stored));
    }

    fn compare_end(&self) {
        assert!(format!("{:?}", self.real).contains("waiting: 0"));
    }
}

#[test]
fn a_notify_is_its_model_in_every_short_sequence() {
    println!("{} sequences", explore::<Calls>(3, 7));
}

#[test]
fn a_notify_is_its_model_when_wakers_come_back() {
    fuzz::<Calls>(8, true);
}
