//! The table of homes: what all threads of a process share.
//!
//! Its statics have a file of their own, for `ci/loom` makes them anew in every run of a model.

use super::home::Home;
use crate::sys::sync::{AtomicBool, OnceLock};

/// How many runtimes may live at once in a process.
pub(super) const HOMES: usize = 4096;

pub(super) static TABLE: [OnceLock<Home>; HOMES] = [const { OnceLock::new() }; HOMES];

/// Which homes somebody lives in. Flags and no lock, for a fork would leave it locked in the child.
pub(super) static TAKEN: [AtomicBool; HOMES] = [const { AtomicBool::new(false) }; HOMES];
