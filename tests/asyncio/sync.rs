//! Synchronization (Y-*; checks 81 to 86).
//!
//! What holds in every order of operations is checked beside the code, against plain models
//! (`src/sync/model/`). Here the contracts are met by tasks on the loop.

mod barrier;
mod budget;
mod condition;
mod event;
pub(crate) mod hooks;
mod lock;
mod more;
mod reenter;
mod semaphore;
mod voids;

use std::cell::RefCell;
use std::rc::Rc;

use ringloop::sync::Semaphore;
use ringloop::task::yield_now;

/// What happened, in order.
#[derive(Clone, Debug, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn push(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    /// All since the last time.
    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// Uses up the budget of a poll that has just begun: the next leaf finds nothing left.
pub(crate) async fn spend_all() {
    let semaphore = Semaphore::new(1);
    for _ in 0..128 {
        drop(semaphore.acquire().await);
    }
}

/// Lets everybody come as far as they can.
async fn settle() {
    for _ in 0..10 {
        yield_now().await;
    }
}
