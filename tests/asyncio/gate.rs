//! What tests of several futures share.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::support::OnDrop;

/// Adds one to a counter when it is dropped.
pub(crate) fn counts(counter: &Rc<Cell<u32>>) -> OnDrop<impl FnMut() + use<>> {
    let counter = counter.clone();
    OnDrop(move || counter.set(counter.get() + 1))
}

/// Opened once, and waited for by one.
#[derive(Clone, Default)]
pub(crate) struct Gate(Rc<(Cell<bool>, Cell<Option<Waker>>)>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.0.set(true);
        self.0.1.take().into_iter().for_each(Waker::wake);
    }

    pub(crate) async fn opened(self) {
        poll_fn(|cx| {
            if self.0.0.get() {
                return Poll::Ready(());
            }
            self.0.1.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Gives `value` once it is open.
    pub(crate) async fn then<T>(self, value: T) -> T {
        self.opened().await;
        value
    }
}

pub(crate) fn gates<const N: usize>() -> [Gate; N] {
    std::array::from_fn(|_| Gate::default())
}
