//! The twin of `crate::sys`.

pub(crate) mod sync;

use sync::{Arc, Condvar, Mutex};

/// A bell as an `eventfd(2)` is one: it stays rung until somebody has waited for it.
#[derive(Clone, Debug)]
pub(crate) struct Bell(Arc<Rung>);

#[derive(Debug)]
struct Rung {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// A new, silent bell.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Rung { rung: Mutex::new(false), changed: Condvar::new() }))
    }

    /// Ends the wait of whoever listens.
    pub(crate) fn ring(&self) {
        *self.0.rung.lock().expect("one process") = true;
        self.0.changed.notify_one();
    }

    /// Waits until it is rung, and makes it silent again.
    pub(crate) fn wait(&self) {
        let mut rung = self.0.rung.lock().expect("one process");
        while !std::mem::take(&mut *rung) {
            rung = self.0.changed.wait(rung).unwrap_or_else(|e| e.into_inner());
        }
    }
}
