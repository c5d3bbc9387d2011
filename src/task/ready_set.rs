//! Many futures behind one waker, of which only those are polled that were woken.
//!
//! ```text
//!   the waker of a place ──► queue of keys ──► the owner's waker, once
//!                                 │
//!   owner: next() ◄───────────────┘   takes a member out, polls it with nothing borrowed,
//!                                      and puts it back or removes it
//! ```
//!
//! A place keeps its waker when its member has ended: the next one that stands there uses it again, and
//! an old copy of it wakes that one once for nothing. So nothing is allocated while the set has been as
//! large before. A waker must be `Send`, hence the lock.

use std::collections::VecDeque;
use std::fmt;
use std::task::{Context, Poll, Wake, Waker};

use slab::Slab;

use crate::note::{self, Note};
use crate::sys::sync::{Arc, Mutex};

/// Futures, or what stands for them, each with a waker of its own.
pub(crate) struct ReadySet<M> {
    members: Slab<Member<M>>,
    /// Of the places, by key.
    wakers: Vec<Waker>,
    ready: Arc<Ready>,
    /// Of the next member.
    number: u64,
    /// Where the notes of the member begin whose turn it is.
    mark: usize,
}

struct Member<M> {
    /// `None` while it is being polled.
    here: Option<M>,
    /// In the order of their coming, for keys are used again.
    number: u64,
    /// What it waits for, where somebody wants to know.
    notes: Vec<Note>,
}

/// A member that was woken, taken out to be polled.
pub(crate) struct Turn<M> {
    pub(crate) key: usize,
    pub(crate) member: M,
    pub(crate) waker: Waker,
}

/// Who was woken, and who wants to know. It is apart from the set, for what it does with a waker is user
/// code, which must find the set free.
pub(crate) struct Ready(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    keys: VecDeque<usize>,
    /// Whether a key stands in `keys`.
    queued: Vec<bool>,
    /// Who polls the set. Taken by the first wake.
    owner: Option<Waker>,
}

impl Queue {
    fn push(&mut self, key: usize) {
        if self.queued.len() <= key {
            self.queued.resize(key + 1, false);
        }
        if !std::mem::replace(&mut self.queued[key], true) {
            self.keys.push_back(key);
        }
    }

    fn pop(&mut self) -> Option<usize> {
        let key = self.keys.pop_front()?;
        self.queued[key] = false;
        Some(key)
    }
}

impl Ready {
    /// Lets a wake reach `waker` from now on.
    pub(crate) fn listen(&self, waker: &Waker) {
        let known = |queue: &Queue| queue.owner.as_ref().is_some_and(|old| old.will_wake(waker));
        if self.0.lock().is_none_or(|queue| known(&queue)) {
            return;
        }
        // User code: cloned and dropped with no lock held.
        let new = waker.clone();
        let old = self.0.lock().and_then(|mut queue| queue.owner.replace(new));
        super::discard(old);
    }

    /// Lets no wake reach anybody until somebody listens again.
    pub(crate) fn deafen(&self) {
        super::discard(self.take_owner());
    }

    /// Wakes who listens.
    pub(crate) fn wake(&self) {
        if let Some(owner) = self.take_owner() {
            super::wake(owner);
        }
    }

    /// How many were woken.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().map_or(0, |queue| queue.keys.len())
    }

    fn take_owner(&self) -> Option<Waker> {
        self.0.lock().and_then(|mut queue| queue.owner.take())
    }
}

/// The waker of a place.
struct Place {
    key: usize,
    ready: Arc<Ready>,
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(mut queue) = self.ready.0.lock() else { return };
        queue.push(self.key);
        drop(queue);
        self.ready.wake();
    }
}

impl<M> ReadySet<M> {
    pub(crate) fn new() -> Self {
        let ready = Arc::new(Ready(Mutex::new(Queue::default())));
        Self { members: Slab::new(), wakers: Vec::new(), ready, number: 0, mark: 0 }
    }

    /// Takes a member in, to be polled at the set's next poll. Keys count from zero, and those of
    /// members that have ended are used again.
    pub(crate) fn insert(&mut self, member: M) -> usize {
        let key = self.members.insert(Member {
            here: Some(member),
            number: self.number,
            notes: Vec::new(),
        });
        self.number += 1;
        if key == self.wakers.len() {
            self.wakers.push(Waker::from(Arc::new(Place { key, ready: self.ready.clone() })));
        }
        if let Some(mut queue) = self.ready.0.lock() {
            queue.push(key);
        }
        key
    }

    /// Its queue of those that were woken.
    pub(crate) fn ready(&self) -> &Arc<Ready> {
        &self.ready
    }

    /// Takes out the member that was woken first.
    pub(crate) fn next(&mut self) -> Option<Turn<M>> {
        loop {
            let key = self.ready.0.lock()?.pop()?;
            // A waker of one that has ended, or a wake of one that is being polled further out.
            let Some(member) = self.members.get_mut(key).and_then(|place| place.here.take()) else {
                continue;
            };
            self.mark = note::mark();
            return Some(Turn { key, member, waker: self.wakers[key].clone() });
        }
    }

    /// Puts back what a turn took out: it goes on waiting.
    pub(crate) fn put_back(&mut self, key: usize, member: M) {
        let place = &mut self.members[key];
        place.here = Some(member);
        place.notes = note::take_since(self.mark);
    }

    /// Notes what all members wait for, also those whose turn it was not.
    pub(crate) fn note(&self) {
        note::again(self.members.iter().flat_map(|(_, member)| &member.notes));
    }

    /// Forgets a member that a turn took out: it has ended.
    pub(crate) fn remove(&mut self, key: usize) {
        self.members.remove(key);
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &M> {
        self.members.iter().filter_map(|(_, member)| member.here.as_ref())
    }

    /// All members, in the order of their coming, to be dropped with nothing borrowed.
    pub(crate) fn drain(&mut self) -> Vec<M> {
        let mut members: Vec<_> = self.members.drain().collect();
        members.sort_unstable_by_key(|member| member.number);
        members.into_iter().filter_map(|member| member.here).collect()
    }
}

impl<M: Clone> ReadySet<M> {
    /// All members, in the order of their coming.
    pub(crate) fn all(&self) -> Vec<M> {
        let mut members: Vec<_> = self.members.iter().map(|(_, member)| member).collect();
        members.sort_unstable_by_key(|member| member.number);
        members.into_iter().filter_map(|member| member.here.clone()).collect()
    }
}

impl<F: Future + Unpin> ReadySet<F> {
    /// The next result, with its key. `None` when the set is empty.
    ///
    /// Each member that was woken before is polled at most once: one that wakes itself waits for the
    /// next poll.
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<(usize, F::Output)>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        self.ready.listen(cx.waker());
        for _ in 0..self.ready.len() {
            let Some(Turn { key, mut member, waker }) = self.next() else { break };
            let left = RemoveOnDrop { members: &mut self.members, key };
            let polled = std::pin::Pin::new(&mut member).poll(&mut Context::from_waker(&waker));
            std::mem::forget(left);
            match polled {
                Poll::Pending => self.put_back(key, member),
                Poll::Ready(output) => {
                    self.remove(key);
                    return Poll::Ready(Some((key, output)));
                }
            }
        }
        self.note();
        Poll::Pending
    }
}

/// Forgets a member whose poll panics: nobody would wait for it but in vain.
struct RemoveOnDrop<'a, M> {
    members: &'a mut Slab<Member<M>>,
    key: usize,
}

impl<M> Drop for RemoveOnDrop<'_, M> {
    fn drop(&mut self) {
        self.members.remove(self.key);
    }
}

impl<M> Drop for ReadySet<M> {
    fn drop(&mut self) {
        self.ready.deafen();
    }
}

impl<M> fmt::Debug for ReadySet<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadySet").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<M> FromIterator<M> for ReadySet<M> {
    fn from_iter<I: IntoIterator<Item = M>>(members: I) -> Self {
        let mut set = Self::new();
        for member in members {
            set.insert(member);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::rc::Rc;

    use super::*;

    /// Counts its polls, keeps its waker for the test, and ends when it is told.
    #[derive(Clone, Default)]
    struct Probe(Rc<Seen>);

    #[derive(Default)]
    struct Seen {
        polls: Cell<u32>,
        ends: Cell<bool>,
        waker: Cell<Option<Waker>>,
    }

    impl Probe {
        fn future(&self) -> Pin<Box<dyn Future<Output = ()>>> {
            let this = self.clone();
            Box::pin(poll_fn(move |cx| {
                this.0.polls.set(this.0.polls.get() + 1);
                this.0.waker.set(Some(cx.waker().clone()));
                if this.0.ends.get() { Poll::Ready(()) } else { Poll::Pending }
            }))
        }

        fn polls(&self) -> u32 {
            self.0.polls.get()
        }

        fn waker(&self) -> Waker {
            self.0.waker.take().unwrap()
        }

        fn end(&self) {
            self.0.ends.set(true);
            self.waker().wake();
        }
    }

    fn poll<F: Future + Unpin>(set: &mut ReadySet<F>) -> Poll<Option<(usize, F::Output)>> {
        set.poll_next(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn only_who_was_woken_is_polled() {
        let probes: Vec<_> = (0..100).map(|_| Probe::default()).collect();
        let mut set: ReadySet<_> = probes.iter().map(Probe::future).collect();
        assert!(poll(&mut set).is_pending() && poll(&mut set).is_pending());
        assert!(probes.iter().all(|probe| probe.polls() == 1));
        probes[70].waker().wake();
        assert!(poll(&mut set).is_pending());
        probes[30].end();
        assert_eq!(poll(&mut set), Poll::Ready(Some((30, ()))));
        assert_eq!((probes[70].polls(), probes[30].polls(), probes[50].polls()), (2, 2, 1));
        assert_eq!(set.len(), 99);
    }

    #[test]
    fn an_old_waker_of_a_place_wakes_the_next_one_there_and_an_empty_set_nobody() {
        let (old, next) = (Probe::default(), Probe::default());
        let mut set = ReadySet::new();
        set.insert(old.future());
        assert!(poll(&mut set).is_pending());
        let stale = old.waker();
        old.0.ends.set(true);
        stale.wake_by_ref();
        assert_eq!(poll(&mut set), Poll::Ready(Some((0, ()))));
        stale.wake_by_ref();
        assert_eq!(poll(&mut set), Poll::Ready(None));
        assert_eq!(set.insert(next.future()), 0);
        assert!(poll(&mut set).is_pending());
        stale.wake();
        assert!(poll(&mut set).is_pending());
        assert_eq!(next.polls(), 2);
        assert!(next.waker().will_wake(&old.waker()), "the place has one waker");
    }

    #[test]
    fn one_who_wakes_itself_waits_for_the_next_poll() {
        let mut polls = 0;
        let restless = poll_fn(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        let mut set = ReadySet::new();
        set.insert(Box::pin(restless));
        for _ in 0..5 {
            assert!(poll(&mut set).is_pending());
        }
        drop(set);
        assert_eq!(polls, 5);
    }

    #[test]
    fn members_are_drained_in_the_order_of_their_coming() {
        let mut set = ReadySet::new();
        for text in ["a", "b", "c"] {
            set.insert(text);
        }
        let turn = set.next().unwrap();
        assert_eq!((turn.key, turn.member), (0, "a"));
        set.remove(turn.key);
        assert_eq!(set.insert("d"), 0, "a key is used again");
        assert_eq!(set.all(), ["b", "c", "d"]);
        assert_eq!(set.drain(), ["b", "c", "d"]);
        assert!(set.is_empty() && set.next().is_none());
    }
}
