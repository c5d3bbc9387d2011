//! The timers of a shard: a wheel that is exact to the nanosecond, and first in, first out for
//! equal deadlines.
//!
//! It reads no clock and wakes nobody: the loop sleeps until [`Timers::next`], passes its clock to
//! [`Timers::expire`] and wakes what that hands over.
//!
//! ```text
//!            a deadline, in nanoseconds since `new`, as digits of six bits
//!    level       10    9    8    7     6     5      4     3     2     1     0
//!    a bucket is               73 min  69 s  1.1 s  17 ms 262µs 4 µs  64 ns 1 ns  wide
//!    passed       0    0    0    0     0     12     40    7     63    0     21
//!    deadline     0    0    0    0     0     12     44    9     1     30    2
//!                                                   ▲
//!                        the first digit that differs: level 4, bucket 44
//! ```
//!
//! No deadline lies before `passed`, save those that were past when inserted: they count as `passed`
//! itself. Hence:
//!
//! - The bucket of a timer follows from its deadline and `passed`; no timer stores it.
//! - All of a lower level comes before all of a higher one, and within a level a lower bucket before
//!   a higher one: to find the first bucket is to find the first bit.
//! - Equal deadlines share a bucket, whatever `passed` is, and a bucket keeps its timers in order of
//!   insertion.
//!
//! When the earliest deadline of the first bucket has come, it becomes `passed` and the bucket is
//! opened: what is due leaves, the rest goes to lower levels. So a timer moves at most ten times,
//! and a jump of the clock visits only buckets that hold something due.

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use slab::Slab;

/// Values of `T`, each waiting for its deadline.
pub(crate) struct Timers<T> {
    timers: Slab<Timer<T>>,
    /// Of the timers, by the same index. Apart from them since a removal visits both neighbours: on
    /// dense lines, most of them cached, a replace takes a third less time.
    links: Vec<Links>,
    /// Level by level, [`WIDTH`] each.
    buckets: Box<[Bucket]>,
    /// A bit a bucket, a word a level: set while the bucket holds a timer.
    occupied: [u64; LEVELS],
    /// Only grows: `open` sets it to the earliest deadline of the bucket that it opens.
    passed: u64,
    /// The serial of the next timer.
    serial: NonZeroU32,
    /// What is due in the bucket that is open: deadline, place in the bucket, index. Else empty.
    batch: Vec<(u64, u32, u32)>,
    /// Keys that `forget` was given, fewer than [`SWEEP`]. They may be stale.
    forgotten: Vec<Key>,
    /// Values of removed timers that were forgotten, until `next_forgotten` hands them out.
    gone: Vec<T>,
    origin: Instant,
}

/// Names a timer. Once that has fired or was removed, the key finds nothing: its index may be in
/// use again, but under another serial, until four billion insertions later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    serial: NonZeroU32,
}

/// Never on two cache lines: in its slot, a timer whose value takes two words has 32 bytes.
#[repr(align(32))]
struct Timer<T> {
    deadline: u64,
    serial: NonZeroU32,
    value: T,
}

/// The neighbours of a timer in its bucket, or `NONE`. Stale while no timer has the index.
#[derive(Clone, Copy)]
struct Links {
    before: u32,
    after: u32,
}

/// A list of timers in order of insertion.
#[derive(Clone, Copy)]
struct Bucket {
    /// Never later than the earliest deadline in the bucket. Removing a timer leaves it as it is.
    earliest: u64,
    first: u32,
    last: u32,
}

impl<T> Timers<T> {
    /// No timers; deadlines before `now` count as `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            timers: Slab::new(),
            links: Vec::new(),
            buckets: vec![Bucket::EMPTY; LEVELS * WIDTH].into_boxed_slice(),
            occupied: [0; LEVELS],
            passed: 0,
            serial: NonZeroU32::MIN,
            batch: Vec::new(),
            forgotten: Vec::new(),
            gone: Vec::new(),
            origin: now,
        }
    }

    /// Keeps `value` until `deadline`; one in the past is due at the next [`expire`](Self::expire).
    /// Deadlines more than 584 years after `new` count as equal.
    pub(crate) fn insert(&mut self, deadline: Instant, value: T) -> Key {
        let deadline = self.nanos(deadline);
        let serial = self.serial;
        self.serial = serial.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let timer = Timer { deadline, serial, value };
        let index = u32::try_from(self.timers.insert(timer)).expect("fewer than 2³² timers");
        if index as usize == self.links.len() {
            self.links.push(Links { before: NONE, after: NONE });
        }
        self.file(index, deadline);
        Key { index, serial }
    }

    /// The value of `key`, or `None` once it has fired or was removed.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let timer = self.timers.get_mut(key.index as usize)?;
        (timer.serial == key.serial).then_some(&mut timer.value)
    }

    /// Takes the value of `key` back, or `None` once it has fired or was removed. The next insert
    /// uses its memory.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get_mut(key)?;
        let timer = self.timers.remove(key.index as usize);
        let Links { before, after } = self.links[key.index as usize];
        if before != NONE && after != NONE {
            self.links[before as usize].after = after;
            self.links[after as usize].before = before;
            return Some(timer.value);
        }
        let place = self.place(timer.deadline);
        match (before, after) {
            (NONE, NONE) => _ = self.take(place),
            (NONE, _) => {
                self.buckets[place].first = after;
                self.links[after as usize].before = NONE;
            }
            _ => {
                self.buckets[place].last = before;
                self.links[before as usize].after = NONE;
            }
        }
        Some(timer.value)
    }

    /// As `remove`, but at leisure: true when it is time to take what
    /// [`next_forgotten`](Self::next_forgotten) gives.
    ///
    /// Among very many, a timer lies far away in memory. Whoever drops one does not wait for that: its
    /// key is noted, and many timers are fetched at once.
    pub(crate) fn forget(&mut self, key: Key) -> bool {
        self.forgotten.push(key);
        self.forgotten.len() == SWEEP
    }

    /// A value whose timer was forgotten, until there is none.
    pub(crate) fn next_forgotten(&mut self) -> Option<T> {
        if self.gone.is_empty() && !self.forgotten.is_empty() {
            self.sweep();
        }
        self.gone.pop()
    }

    /// Moves what is due at `now` to `due`, in order of deadline, then of insertion. A `now` before
    /// that of an earlier call does no harm.
    pub(crate) fn expire(&mut self, now: Instant, due: &mut Vec<T>) {
        if !self.forgotten.is_empty() {
            self.sweep();
        }
        let now = self.nanos(now);
        while let Some(place) = self.first()
            && self.buckets[place].earliest <= now
        {
            self.open(place, now, due);
        }
    }

    /// When to call [`expire`](Self::expire): never later than the earliest deadline, and before it
    /// only if a timer with an earlier one was removed. `expire` then finds nothing due, and the next
    /// answer is later.
    #[inline]
    pub(crate) fn next(&self) -> Option<Instant> {
        let place = self.first()?;
        Some(self.origin + Duration::from_nanos(self.buckets[place].earliest))
    }

    /// What has not fired nor been forgotten, in no order that matters.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.timers.iter().map(|(_, timer)| &timer.value)
    }

    /// What has not fired, in no order that matters.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.timers.into_iter().map(|(_, timer)| timer.value).chain(self.gone)
    }

    /// Those that were forgotten count until `next_forgotten` finds none.
    pub(crate) fn len(&self) -> usize {
        self.timers.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    /// Removes what was forgotten.
    fn sweep(&mut self) {
        let mut forgotten = std::mem::take(&mut self.forgotten);
        // A pass by itself: its reads do not depend on one another, so the CPU waits for many at once.
        forgotten.retain(|key| self.get_mut(*key).is_some());
        for key in forgotten.drain(..) {
            let value = self.remove(key);
            self.gone.extend(value);
        }
        self.forgotten = forgotten;
    }

    /// Empties the first bucket, whose earliest deadline has come: what is due goes to `due`, the
    /// rest to the buckets that the new `passed` gives it.
    fn open(&mut self, place: usize, now: u64, due: &mut Vec<T>) {
        let bucket = self.take(place);
        self.passed = self.passed.max(bucket.earliest);
        let mut index = bucket.first;
        while index != NONE {
            let deadline = self.timers[index as usize].deadline;
            let after = self.links[index as usize].after;
            if deadline <= now {
                self.batch.push((deadline, self.batch.len() as u32, index));
            } else {
                self.file(index, deadline);
            }
            index = after;
        }
        // Only level 0 may keep what it had: what counts as `passed`, when the clock went back.
        let kept = self.buckets[place];
        debug_assert!(kept.first == NONE || place < WIDTH, "a timer moves to a lower level");
        debug_assert!(kept.first == NONE || kept.earliest > now, "all that is due leaves");
        self.batch.sort_unstable();
        due.extend(self.batch.drain(..).map(|(_, _, i)| self.timers.remove(i as usize).value));
    }

    /// Links the timer at `index` to the end of its bucket.
    fn file(&mut self, index: u32, deadline: u64) {
        let place = self.place(deadline);
        self.occupied[place / WIDTH] |= 1 << (place % WIDTH);
        let bucket = &mut self.buckets[place];
        let before = bucket.last;
        bucket.earliest = bucket.earliest.min(deadline);
        bucket.last = index;
        match before {
            NONE => bucket.first = index,
            _ => self.links[before as usize].after = index,
        }
        self.links[index as usize] = Links { before, after: NONE };
    }

    /// Takes the list out of a bucket and marks it empty.
    fn take(&mut self, place: usize) -> Bucket {
        self.occupied[place / WIDTH] &= !(1 << (place % WIDTH));
        std::mem::replace(&mut self.buckets[place], Bucket::EMPTY)
    }

    /// The bucket that is opened next.
    fn first(&self) -> Option<usize> {
        let level = self.occupied.iter().position(|bits| *bits != 0)?;
        Some(level * WIDTH + self.occupied[level].trailing_zeros() as usize)
    }

    /// The bucket of `deadline`: its first digit that differs from `passed`.
    fn place(&self, deadline: u64) -> usize {
        let deadline = deadline.max(self.passed);
        let level = ((deadline ^ self.passed) | 1).ilog2() / DIGIT;
        level as usize * WIDTH + (deadline >> (level * DIGIT)) as usize % WIDTH
    }

    fn nanos(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Bucket {
    const EMPTY: Self = Self { earliest: u64::MAX, first: NONE, last: NONE };
}

/// Bits of a deadline that a level looks at.
const DIGIT: u32 = 6;
/// Buckets a level.
const WIDTH: usize = 1 << DIGIT;
/// Enough for all of a `u64`.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT) as usize;
/// Forgotten timers that are removed together.
const SWEEP: usize = 64;
/// The index of no timer.
const NONE: u32 = u32::MAX;
