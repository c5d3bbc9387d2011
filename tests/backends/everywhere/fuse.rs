//! Wakers of an executor that has gone mad: their clone, wake or drop panics, once.
#![expect(unsafe_code, reason = "a waker whose clone panics cannot be made from an Arc")]

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::task::{RawWaker, RawWakerVTable, Waker};

/// What of a waker's code panics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mad {
    Clone,
    Wake,
    Drop,
}

/// Panics at the call of `mad` that `left` says, counted from zero over all of its wakers.
pub(super) struct Fuse {
    mad: Mad,
    left: AtomicI64,
}

thread_local! {
    /// All fuses whose wakers may be somewhere.
    static FUSES: RefCell<Vec<Arc<Fuse>>> = const { RefCell::new(Vec::new()) };
}

/// How many of this thread's fuses have wakers that are kept somewhere.
pub(super) fn wakers_left() -> usize {
    FUSES.with_borrow_mut(|fuses| {
        fuses.retain(|fuse| Arc::strong_count(fuse) > 1);
        fuses.len()
    })
}

impl Fuse {
    pub(super) fn new(mad: Mad, at: i64) -> Arc<Self> {
        let fuse = Arc::new(Self { mad, left: AtomicI64::new(at) });
        FUSES.with_borrow_mut(|fuses| fuses.push(fuse.clone()));
        fuse
    }

    /// Another waker. It does not count as a clone.
    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        // SAFETY: the functions keep the contract of a RawWaker: the data is one count of an Arc of
        // what may be shared by threads.
        unsafe { Waker::from_raw(raw(self.clone())) }
    }

    fn burn(&self, now: Mad) {
        if self.mad == now && self.left.fetch_sub(1, Relaxed) == 0 {
            // Without the panic hook: there are many.
            std::panic::resume_unwind(Box::new(format!("a waker's {now:?} panics")));
        }
    }
}

fn raw(fuse: Arc<Fuse>) -> RawWaker {
    RawWaker::new(Arc::into_raw(fuse).cast(), &VTABLE)
}

/// The count of a waker.
///
/// # Safety
///
/// `data` is a waker's, which is not used again unless this is forgotten.
unsafe fn fuse(data: *const ()) -> Arc<Fuse> {
    // SAFETY: as the caller says.
    unsafe { Arc::from_raw(data.cast()) }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: called with a waker's data, whose count stays.
        let fuse = ManuallyDrop::new(unsafe { fuse(data) });
        fuse.burn(Mad::Clone);
        raw(Arc::clone(&fuse))
    },
    // SAFETY: called with a waker's data, whose count goes.
    |data| unsafe { fuse(data) }.burn(Mad::Wake),
    // SAFETY: called with a waker's data, whose count stays.
    |data| ManuallyDrop::new(unsafe { fuse(data) }).burn(Mad::Wake),
    // SAFETY: called with a waker's data, whose count goes.
    |data| unsafe { fuse(data) }.burn(Mad::Drop),
);
