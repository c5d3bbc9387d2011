//! The twin of `crate::sys::sync`.

pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
pub(crate) use loom::sync::{Arc, Condvar, MutexGuard};

/// A mutex of the only process that there is.
#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> Option<MutexGuard<'_, T>> {
        Some(self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(crate) fn is_foreign(&self) -> bool {
        false
    }
}

/// One word a segment: two tasks share a word, and two words are two segments.
pub(crate) const SEGMENT_WORDS: usize = 1;

/// A flag whose stores are swaps.
///
/// C++ puts all stores of an atomic in one order, a read-modify-write right behind what it read. loom
/// knows only the order that the threads' causality gives, so a poster that has swapped `asleep` could
/// read its own `false` again after the owner's later `true`, behind both fences. A swap is ordered
/// after all that went before, and that is right. What it costs: a swap also goes on with a release
/// sequence that a plain store would end.
#[derive(Debug)]
pub(crate) struct AtomicBool(loom::sync::atomic::AtomicBool);

impl AtomicBool {
    pub(crate) fn new(value: bool) -> Self {
        Self(loom::sync::atomic::AtomicBool::new(value))
    }

    #[track_caller]
    pub(crate) fn load(&self, order: Ordering) -> bool {
        self.0.load(order)
    }

    #[track_caller]
    pub(crate) fn store(&self, value: bool, order: Ordering) {
        self.0.swap(value, order);
    }

    #[track_caller]
    pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
        self.0.swap(value, order)
    }
}

/// A cell that is filled once, by one thread: the runtime never lets two race to fill one, and this
/// twin panics where two do.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    filled: AtomicBool,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { filled: AtomicBool::new(false), value: std::sync::OnceLock::new() }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.filled.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if self.get().is_none() {
            assert!(self.value.set(make()).is_ok(), "two threads fill one cell");
            self.filled.store(true, Ordering::Release);
        }
        self.value.get().expect("it was just filled, or before")
    }
}
