//! The tasks of one thread and the queue of those that are ready.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;

use slab::Slab;

use super::budget::with_budget;
use super::calls::Call;
use super::cell::{Run, TaskCell, quietly};
use super::home::{Home, HomeRef, Tenancy};
use super::info::TaskInfo;
use super::join::{JoinHandle, TaskId};
use super::locals::{self, Within};
use super::mail::Letter;
use super::unhandled::Hook;
use super::waker::Address;
use super::watch::Watch;
use crate::sys::Bell;

/// All tasks of one runtime.
pub(crate) struct Tasks {
    slab: RefCell<Slab<Rc<dyn Run>>>,
    /// Of the slots of `slab`, by index. Apart from them: a wake looks here only, and sixteen stand in
    /// a cache line.
    words: RefCell<Vec<Word>>,
    /// Addresses to poll. A task stands here at most once, and `Address::CALL` once for each of `calls`.
    ready: RefCell<VecDeque<Address>>,
    calls: RefCell<VecDeque<Rc<dyn Call>>>,
    root_queued: Cell<bool>,
    /// The task that is polled, or was last.
    polled: Cell<Address>,
    next_id: Cell<u64>,
    polls: Cell<u64>,
    /// Set when the runtime ends: spawns are refused.
    closed: Cell<bool>,
    home: HomeRef,
    home_id: u16,
    /// `None` once it has moved out: others may live there then.
    tenancy: RefCell<Option<Tenancy>>,
    /// The same as one byte, for every wake asks.
    moved_out: Cell<bool>,
    /// Who is told of what nobody awaits.
    hook: Option<Hook>,
}

/// The generation of a slot's task, and whether its address stands in `ready`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u32);

impl Word {
    /// The slot is vacant: no address has this.
    const VACANT: Self = Self(u32::MAX);

    const fn asleep(generation: u32) -> Self {
        Self(generation << 1)
    }

    const fn queued(generation: u32) -> Self {
        Self(generation << 1 | 1)
    }

    const fn generation(self) -> u32 {
        self.0 >> 1
    }
}

const _: () = assert!(Word::queued(Address::GENERATION_MASK).0 < Word::VACANT.0);

/// What a [`Tasks::run`] came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ran {
    /// All that was ready when it began has been polled.
    All,
    /// The root future has ended; the rest waits.
    RootEnded,
}

impl Tasks {
    /// An executor whose sleep `bell` ends.
    pub(crate) fn new(bell: Bell, hook: Option<Hook>) -> io::Result<Self> {
        let tenancy = Tenancy::new(bell)?;
        Ok(Self {
            slab: RefCell::default(),
            words: RefCell::default(),
            ready: RefCell::default(),
            calls: RefCell::default(),
            root_queued: Cell::new(false),
            polled: Cell::new(Address::new(tenancy.id, 0, Address::ROOT)),
            next_id: Cell::new(1),
            polls: Cell::new(0),
            closed: Cell::new(false),
            home: tenancy.home,
            home_id: tenancy.id,
            tenancy: RefCell::new(Some(tenancy)),
            moved_out: Cell::new(false),
            hook,
        })
    }

    /// Makes a task of `future`; it is polled in the next turn.
    ///
    /// What needs the future's type is small; the rest is compiled once.
    pub(crate) fn spawn<F>(
        &self,
        future: F,
        name: Option<Arc<str>>,
        spawned_at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        let (id, address) = self.reserve();
        let task = TaskCell::new(future, id, address, name, spawned_at, locals::snapshot());
        if address == self.root() {
            task.end();
        } else {
            self.admit(address, task.clone());
        }
        JoinHandle::new(task)
    }

    /// The number of the next task, and its address: the root's where spawns are refused.
    fn reserve(&self) -> (TaskId, Address) {
        let id = TaskId(self.next_id.get());
        self.next_id.set(id.0 + 1);
        let key = self.slab.borrow().vacant_key();
        if self.closed.get() || key >= Address::CALL as usize {
            return (id, self.root());
        }
        let (generation, index) = (id.0 as u32 & Address::GENERATION_MASK, key as u32);
        self.home().mail().make_room(index);
        (id, Address::new(self.home_id, generation, index))
    }

    /// Takes in the task that the address was [reserved](Self::reserve) for, and queues it.
    fn admit(&self, address: Address, task: Rc<dyn Run>) {
        let inserted = self.slab.borrow_mut().insert(task);
        debug_assert_eq!(inserted, address.index() as usize);
        let mut words = self.words.borrow_mut();
        let word = Word::queued(address.generation());
        match words.get_mut(inserted) {
            Some(vacant) => *vacant = word,
            None => words.push(word),
        }
        self.ready.borrow_mut().push_back(address);
    }

    /// Polls what is ready now, at most `limit` tasks; newcomers wait for the next turn.
    ///
    /// `poll_root` polls the root future and says whether it has ended.
    #[inline]
    pub(crate) fn run(
        &self,
        limit: usize,
        mut poll_root: impl FnMut(&mut Context<'_>) -> bool,
        watch: &impl Watch,
    ) -> Ran {
        let turn = self.ready.borrow().len().min(limit);
        for _ in 0..turn {
            let Some(address) = self.ready.borrow_mut().pop_front() else { break };
            self.polls.set(self.polls.get() + 1);
            let waker = address.waker();
            let mut cx = Context::from_waker(&waker);
            if address.index() >= Address::CALL {
                if address.index() == Address::CALL {
                    watch.callback(|| self.run_call());
                    continue;
                }
                self.root_queued.set(false);
                watch.begin(|| None);
                let ended = with_budget(|| poll_root(&mut cx));
                watch.end(ended);
                if ended {
                    return Ran::RootEnded;
                }
            } else if let Some(task) = self.take_turn(address) {
                self.polled.set(address);
                watch.begin(|| Some(task.info()));
                let ended = task.run(&mut cx);
                watch.end(ended);
                if ended {
                    self.remove(address);
                    // The output of a detached task goes with it: user code.
                    quietly(|| drop(task));
                }
            }
        }
        Ran::All
    }

    /// Queues a callback, behind whatever is ready. While the runtime ends, it is dropped.
    pub(crate) fn call(&self, call: Rc<dyn Call>) {
        if self.closed.get() {
            return call.cancel();
        }
        self.calls.borrow_mut().push_back(call);
        self.ready.borrow_mut().push_back(Address::new(self.home_id, 0, Address::CALL));
    }

    #[inline(never)]
    fn run_call(&self) {
        let call = self.calls.borrow_mut().pop_front();
        if let Some(call) = call {
            call.run();
        }
    }

    /// Queues the root future.
    pub(crate) fn wake_root(&self) {
        self.wake(self.root());
    }

    /// Queues `address`, if it is there and not queued.
    #[inline]
    pub(super) fn wake(&self, address: Address) {
        if address.index() == Address::ROOT {
            if !self.root_queued.replace(true) {
                self.ready.borrow_mut().push_back(address);
            }
        } else if let Some(word) = self.words.borrow_mut().get_mut(address.index() as usize)
            && *word == Word::asleep(address.generation())
        {
            *word = Word::queued(address.generation());
            self.ready.borrow_mut().push_back(address);
        }
    }

    /// Takes in what other threads left: wakes are queued, letters run.
    pub(crate) fn collect_mail(&self) {
        let mut letters: Vec<Letter> = Vec::new();
        self.home().mail().collect(
            |index| {
                let word = self.words.borrow().get(index as usize).copied();
                if index == Address::ROOT {
                    self.wake_root();
                } else if let Some(word) = word.filter(|word| *word != Word::VACANT) {
                    self.wake(Address::new(self.home_id, word.generation(), index));
                }
            },
            |letter| letters.push(letter),
        );
        // They come from nowhere here: what is set around `block_on` is not for them.
        let _within = (!letters.is_empty()).then(|| Within::if_any(&None));
        for letter in letters {
            quietly(letter);
        }
    }

    /// Refuses spawns from now on.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    /// Whether spawns are refused.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Drops every task's future, in the order of spawning, then every callback, with nothing borrowed.
    pub(crate) fn end_all(&self) {
        let mut tasks: Vec<(TaskId, Address)> =
            self.slab.borrow().iter().map(|(_, task)| (task.info().id, task.address())).collect();
        tasks.sort_unstable_by_key(|(id, _)| *id);
        for (_, address) in tasks {
            if let Some(task) = self.take_turn(address) {
                self.polled.set(address);
                task.end();
                self.remove(address);
                quietly(|| drop(task));
            }
        }
        self.ready.borrow_mut().clear();
        for call in self.calls.take() {
            quietly(|| call.cancel());
        }
    }

    pub(super) fn hook(&self) -> Option<Hook> {
        self.hook.clone()
    }

    /// Whether its home is still its own, and not the next one's.
    pub(super) fn lives(&self) -> bool {
        !self.moved_out.get()
    }

    /// Leaves the home to whoever needs one next: letters are refused from now on, and those that
    /// nobody will read any more are dropped.
    pub(crate) fn move_out(&self) {
        self.moved_out.set(true);
        let tenancy = self.tenancy.take();
        drop(tenancy);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.ready.borrow().is_empty()
    }

    /// The task that is being polled or dropped, if one is.
    pub(super) fn current(&self) -> Option<TaskInfo> {
        let address = self.polled.get();
        let slab = self.slab.borrow();
        let task = slab.get(address.index() as usize)?;
        (task.address() == address && task.is_busy()).then(|| task.info())
    }

    /// The number of the task that is polled now: 0 is the root future, which also stands for nobody.
    pub(crate) fn running(&self) -> u64 {
        self.current().map_or(0, |task| task.id.0)
    }

    /// As [`all`](Self::all), with whether each is queued for its next poll; the root future first.
    pub(crate) fn survey(&self) -> Vec<(Option<TaskInfo>, bool)> {
        let words = self.words.borrow();
        let mut all: Vec<(Option<TaskInfo>, bool)> = vec![(None, self.root_queued.get())];
        for (index, task) in &*self.slab.borrow() {
            let queued = Word::queued(task.address().generation());
            all.push((Some(task.info()), words[index] == queued));
        }
        all.sort_by_key(|(task, _)| task.as_ref().map(|task| task.id));
        all
    }

    /// The tasks that have not ended, in the order of spawning.
    pub(crate) fn all(&self) -> Vec<TaskInfo> {
        let mut all: Vec<TaskInfo> =
            self.slab.borrow().iter().map(|(_, task)| task.info()).collect();
        all.sort_unstable_by_key(|task| task.id);
        all
    }

    /// Tasks that have not ended.
    pub(crate) fn alive(&self) -> usize {
        self.slab.borrow().len()
    }

    /// Tasks ever spawned.
    pub(crate) fn spawned(&self) -> u64 {
        self.next_id.get() - 1
    }

    pub(crate) fn polls(&self) -> u64 {
        self.polls.get()
    }

    pub(crate) fn home(&self) -> &'static Home {
        self.home.home()
    }

    pub(crate) fn home_ref(&self) -> HomeRef {
        self.home
    }

    pub(super) fn home_id(&self) -> u16 {
        self.home_id
    }

    fn root(&self) -> Address {
        Address::new(self.home_id, 0, Address::ROOT)
    }

    #[inline]
    fn take_turn(&self, address: Address) -> Option<Rc<dyn Run>> {
        let index = address.index() as usize;
        let mut words = self.words.borrow_mut();
        let word = words.get_mut(index).filter(|word| word.generation() == address.generation())?;
        *word = Word::asleep(address.generation());
        self.slab.borrow().get(index).cloned()
    }

    #[inline]
    fn remove(&self, address: Address) {
        let index = address.index() as usize;
        self.words.borrow_mut()[index] = Word::VACANT;
        let task = self.slab.borrow_mut().remove(index);
        debug_assert_eq!(task.address(), address);
        // It is not the last: whoever removes a task holds it.
        drop(task);
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks")
            .field("alive", &self.alive())
            .field("ready", &self.ready.borrow().len())
            .finish_non_exhaustive()
    }
}
