//! Which runtime runs on this thread.

use std::cell::RefCell;
use std::io;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::core::Core;
use crate::task;

thread_local! {
    /// Never dropped, as `task::local::HERE`.
    static CURRENT: RefCell<ManuallyDrop<Option<Rc<Core>>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
}

/// While it lives, this thread runs `core`.
#[derive(Debug)]
pub(super) struct Entered {
    /// The one that ran before.
    before: Option<Rc<Core>>,
    _tasks: task::Entered,
}

impl Entered {
    /// Enters. `None` when a runtime runs on this thread already.
    pub(super) fn new(core: &Rc<Core>) -> Option<Self> {
        let free = CURRENT.with_borrow(|current| match &**current {
            // A child that was forked inside a runtime is not inside it.
            Some(running) => running.is_foreign(),
            None => true,
        });
        free.then(|| Self::over(core))
    }

    /// Enters although another runtime may run on this thread; that one stands aside meanwhile.
    pub(super) fn over(core: &Rc<Core>) -> Self {
        let before = CURRENT.with_borrow_mut(|current| current.replace(core.clone()));
        Self { before, _tasks: task::Entered::over(core.tasks()) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Taken out first: dropping it may look here.
        let before = self.before.take();
        let core = CURRENT.with_borrow_mut(|current| std::mem::replace(&mut **current, before));
        drop(core);
    }
}

/// The core of the runtime that runs on this thread.
///
/// # Errors
///
/// None runs here: the future was polled by another executor, or the call came from outside.
#[inline]
pub(crate) fn current() -> io::Result<Rc<Core>> {
    CURRENT.with_borrow(|current| Option::clone(current)).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotConnected,
            "no ringloop runtime runs on this thread: do this within ringloop::run",
        )
    })
}

/// Whether `core` is the one that runs on this thread.
#[inline]
pub(super) fn is_current(core: &Core) -> bool {
    CURRENT.with_borrow(|current| {
        current.as_ref().is_some_and(|running| std::ptr::eq(Rc::as_ptr(running), core))
    })
}
