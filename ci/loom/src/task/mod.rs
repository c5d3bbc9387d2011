//! The modelled files, the twins of their neighbours, and the models.

#![allow(dead_code, reason = "the models do not use all of what the runtime does")]

#[path = "../../../../src/task/home.rs"]
mod home;
#[path = "../../../../src/task/mail.rs"]
mod mail;
#[path = "../../../../src/task/remote.rs"]
mod remote;

pub mod models;

/// No waker of a model panics.
fn discard(waker: impl Into<Option<std::task::Waker>>) {
    drop(waker.into());
}

/// Nor does one here.
fn wake(waker: std::task::Waker) {
    waker.wake();
}

/// The statics of the runtime; loom makes them anew in every run.
mod table {
    use super::home::Home;
    use crate::sys::sync::{AtomicBool, OnceLock};

    pub(super) const HOMES: usize = 2;

    loom::lazy_static! {
        pub(super) static ref TABLE: [OnceLock<Home>; HOMES] =
            std::array::from_fn(|_| OnceLock::new());
        pub(super) static ref TAKEN: [AtomicBool; HOMES] =
            std::array::from_fn(|_| AtomicBool::new(false));
    }
}

mod cell {
    pub(super) fn quietly(f: impl FnOnce()) {
        f();
    }
}

mod waker {
    pub(super) struct Address;

    impl Address {
        /// In a segment of its own, as in the runtime.
        pub(super) const ROOT: u32 = 2 * 64 - 1;
    }
}

mod join {
    #[derive(Debug, PartialEq, Eq)]
    pub struct JoinError;

    impl JoinError {
        pub(super) fn cancelled() -> Self {
            Self
        }

        pub(super) fn report(self) {}
    }
}
