//! What other threads leave for a home: wakes, as one bit a task, and letters, as closures.
//!
//! Ten million wakes of one sleeping task set one bit. Nothing posted is ever slept over:
//!
//! ```text
//!   poster                             owner, before it sleeps
//!     post, then pending = true          asleep = true
//!     fence(SeqCst)                      fence(SeqCst)
//!     asleep? take it and ring           pending? do not sleep
//! ```
//!
//! Of two sequentially consistent fences one comes first, so at least one side sees the other's
//! store. `ci/loom` checks it on all interleavings.

use std::collections::VecDeque;

use super::cell::quietly;
use crate::sys::Bell;
use crate::sys::sync::{AtomicBool, AtomicU64, Mutex, OnceLock, Ordering, SEGMENT_WORDS, fence};

/// A closure from another thread, to be run on the home's own.
pub(crate) type Letter = Box<dyn FnOnce() + Send>;

const WORD_BITS: u32 = u64::BITS;

/// One home's mailbox. It is reused by later homes, and never freed.
pub(crate) struct Mail {
    /// A bit a task slot. Segments are allocated by the owner before a slot's first address exists.
    woken: Box<[OnceLock<Box<[AtomicU64]>>]>,
    inner: Mutex<Inner>,
    /// Set after a post; cleared by the owner before it collects. May be set with nothing there.
    pending: AtomicBool,
    /// Set by the owner before it sleeps; cleared by it when it wakes, or by the poster that rings.
    asleep: AtomicBool,
}

struct Inner {
    /// Words of `woken` that went from zero to not zero: each stands here at most once.
    words: Vec<u32>,
    letters: VecDeque<Letter>,
    /// `None` while no runtime lives here.
    bell: Option<Bell>,
    /// Which use of this mailbox it is; a letter to an earlier one comes back.
    incarnation: u64,
}

impl Mail {
    /// A closed mailbox for `segments` × [`SEGMENT_WORDS`] × 64 tasks.
    pub(crate) fn new(segments: usize) -> Self {
        Self {
            woken: (0..segments).map(|_| OnceLock::new()).collect(),
            inner: Mutex::new(Inner {
                words: Vec::new(),
                letters: VecDeque::new(),
                bell: None,
                incarnation: 0,
            }),
            pending: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
        }
    }

    /// Whether this process was forked from the one that made it: then it is for no runtime here.
    pub(crate) fn is_foreign(&self) -> bool {
        self.inner.is_foreign()
    }

    /// Opens it for a runtime that `bell` wakes: the number of this incarnation. Not for a foreign
    /// one.
    pub(crate) fn open(&self, bell: Bell) -> Option<u64> {
        if self.is_foreign() {
            return None;
        }
        let mut inner = self.inner.lock()?;
        inner.incarnation += 1;
        inner.bell = Some(bell);
        Some(inner.incarnation)
    }

    /// Closes it: letters that nobody will read any more are dropped, wakes forgotten. In a forked child
    /// they stay where another thread was at them: what they hold is not dropped there.
    pub(crate) fn close(&self) {
        let Some(mut inner) = self.inner.lock() else { return };
        inner.bell = None;
        inner.incarnation += 1;
        let letters = std::mem::take(&mut inner.letters);
        drop(inner);
        self.asleep.store(false, Ordering::Relaxed);
        self.collect(|_| (), |_| ());
        // User code: last, and with no lock held. One by one, for two panics at once would abort.
        for letter in letters {
            quietly(|| drop(letter));
        }
    }

    /// Makes room for the wake bit of task `index`. Only the owner calls it.
    pub(crate) fn make_room(&self, index: u32) {
        self.woken[Self::place(index).0]
            .get_or_init(|| (0..SEGMENT_WORDS).map(|_| AtomicU64::new(0)).collect());
    }

    /// Wakes task `index` from another thread.
    pub(crate) fn wake(&self, index: u32) {
        if self.is_foreign() {
            // Its bell would ring in the parent.
            return;
        }
        let (segment, word, bit) = Self::place(index);
        let Some(words) = self.woken.get(segment).and_then(OnceLock::get) else { return };
        // SeqCst is not needed for the bit itself: AcqRel carries what the waker wrote to the task.
        if words[word].fetch_or(1 << bit, Ordering::AcqRel) != 0 {
            // Whoever made the word non-zero posts it and signals. Only a collect after that post makes
            // it zero again, and takes our bit with it.
            return;
        }
        let word = segment * SEGMENT_WORDS + word;
        let Some(mut inner) = self.inner.lock() else { return };
        inner.words.push(word as u32);
        drop(inner);
        self.signal();
    }

    /// Posts a letter to incarnation `incarnation`.
    ///
    /// # Errors
    ///
    /// The letter comes back when that runtime has ended.
    pub(crate) fn post(&self, incarnation: u64, letter: Letter) -> Result<(), Letter> {
        if self.is_foreign() {
            return Err(letter);
        }
        {
            let Some(mut inner) = self.inner.lock() else { return Err(letter) };
            if inner.incarnation != incarnation || inner.bell.is_none() {
                return Err(letter);
            }
            inner.letters.push_back(letter);
        }
        self.signal();
        Ok(())
    }

    /// Says that the owner is about to sleep. False: something came, do not.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.pending.load(Ordering::Acquire) {
            self.wake_up();
            return false;
        }
        true
    }

    /// Says that the owner is awake.
    pub(crate) fn wake_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Whether something may have come.
    pub(crate) fn pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// Takes what has come: first the woken tasks, then the letters, in order of posting.
    pub(crate) fn collect(&self, mut woken: impl FnMut(u32), mut letter: impl FnMut(Letter)) {
        if !self.pending.load(Ordering::Acquire) {
            return;
        }
        // Before the lock: a post that we miss below sets it again afterwards.
        self.pending.store(false, Ordering::Relaxed);
        let (words, letters) = {
            let Some(mut inner) = self.inner.lock() else { return };
            (std::mem::take(&mut inner.words), std::mem::take(&mut inner.letters))
        };
        for word in words {
            let (segment, offset) = (word as usize / SEGMENT_WORDS, word as usize % SEGMENT_WORDS);
            let Some(bits) = self.woken[segment].get() else { continue };
            let mut bits = bits[offset].swap(0, Ordering::AcqRel);
            debug_assert_ne!(bits, 0, "a word stands in the list once, and only with a bit set");
            while bits != 0 {
                woken(word * WORD_BITS + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        letters.into_iter().for_each(&mut letter);
    }

    fn place(index: u32) -> (usize, usize, u32) {
        let word = (index / WORD_BITS) as usize;
        (word / SEGMENT_WORDS, word % SEGMENT_WORDS, index % WORD_BITS)
    }

    fn signal(&self) {
        self.pending.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            let bell = self.inner.lock().and_then(|inner| inner.bell.clone());
            if let Some(bell) = bell {
                bell.ring();
            }
        }
    }
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("pending", &self.pending()).finish_non_exhaustive()
    }
}
