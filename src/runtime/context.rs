//! Which runtime runs on this thread.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::core::Core;
use crate::task;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

/// While it lives, this thread runs `core`.
#[derive(Debug)]
pub(super) struct Entered {
    _tasks: task::Entered,
}

impl Entered {
    /// Enters. `None` when a runtime runs on this thread already.
    pub(super) fn new(core: &Rc<Core>) -> Option<Self> {
        let entered = task::Entered::new(core.tasks())?;
        CURRENT.set(Some(core.clone()));
        Some(Self { _tasks: entered })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Taken out first: dropping it may look here.
        let core = CURRENT.try_with(|current| current.borrow_mut().take());
        drop(core);
    }
}

/// The core of the runtime that runs on this thread.
///
/// # Errors
///
/// None runs here: the future was polled by another executor, or the call came from outside.
pub(crate) fn current() -> io::Result<Rc<Core>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotConnected,
            "no ringloop runtime runs on this thread: do this within ringloop::run",
        )
    })
}
