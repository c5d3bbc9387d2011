//! A waker that runs what a test wants when it is cloned, woken or dropped.
#![expect(unsafe_code, reason = "a waker whose clone is noticed cannot be made from an Arc")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{RawWaker, RawWakerVTable, Waker};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    Clone,
    Wake,
    Drop,
}

type Hook = Rc<dyn Fn(Call)>;

thread_local! {
    static WAKES: Cell<usize> = const { Cell::new(0) };
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        run(Call::Clone);
        RawWaker::new(data, &VTABLE)
    },
    |_| run(Call::Wake),
    |_| run(Call::Wake),
    |_| run(Call::Drop),
);

/// A waker whose calls the hook of this thread hears; no other waker is the same one as `number`'s.
pub(crate) fn waker(number: usize) -> Waker {
    // SAFETY: the functions never follow the data, which is a number, and may be called on any thread.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::without_provenance(number), &VTABLE)) }
}

/// How often these wakers have been woken on this thread.
pub(crate) fn wakes() -> usize {
    WAKES.get()
}

/// Sets what happens; within it nothing does.
pub(crate) fn hook(hook: impl Fn(Call) + 'static) {
    HOOK.set(Some(Rc::new(hook)));
}

pub(crate) fn unhook() {
    drop(HOOK.take());
}

fn run(call: Call) {
    WAKES.set(WAKES.get() + usize::from(call == Call::Wake));
    let hook = HOOK.take();
    if let Some(run) = &hook {
        run(call);
    }
    if HOOK.with_borrow(Option::is_none) {
        HOOK.set(hook);
    }
}
