//! The table of homes: what all threads of a process share.
//!
//! Its statics have a file of their own, for `ci/loom` makes them anew in every run of a model.

use super::home::{Home, Vacant};
use crate::sys::sync::{Mutex, OnceLock};

/// How many runtimes may live at once in a process.
pub(super) const HOMES: usize = 4096;

pub(super) static TABLE: [OnceLock<Home>; HOMES] = [const { OnceLock::new() }; HOMES];
pub(super) static VACANT: Mutex<Vacant> = Mutex::new(Vacant { used: 0, free: Vec::new() });
