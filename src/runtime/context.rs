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
    before: Option<Rc<Core>>,
}

impl Entered {
    /// Enters. `None` when a runtime runs on this thread already.
    pub(super) fn new(core: &Rc<Core>) -> Option<Self> {
        current().is_err().then(|| Self::over(core))
    }

    /// Enters, whoever was here before; they are back when it is dropped.
    pub(super) fn over(core: &Rc<Core>) -> Self {
        let before = CURRENT.try_with(|current| current.replace(Some(core.clone())));
        Self { _tasks: task::Entered::new(core.tasks()), before: before.ok().flatten() }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        // Dropped outside of the borrow: dropping a core may look here.
        let ours = CURRENT.try_with(|current| current.replace(before));
        drop(ours);
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
