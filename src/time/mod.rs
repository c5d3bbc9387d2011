//! Sleeping, time limits, and ticks.
//!
//! The clock is the driver's, with nanoseconds; a timer never fires early, and timers of the same
//! deadline fire in the order in which they were set. A million of them may be set at once, and
//! dropping one is cheap.

mod deadline;
mod interval;
mod scope;
mod sleep;
mod timeout;

pub use deadline::{deadline, until_deadline, with_deadline};
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use scope::{RescheduleError, Timeout};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, timeout, timeout_at};

use std::rc::Rc;
use std::time::Instant;

use crate::runtime::{Core, current};

/// The time of the current runtime's clock.
///
/// asyncio's `loop.time()`.
///
/// # Panics
///
/// Outside a runtime.
#[doc(alias = "loop.time")]
pub fn now() -> Instant {
    core().now()
}

#[inline]
fn core() -> Rc<Core> {
    match current() {
        Ok(core) => core,
        Err(error) => panic!("{error}"),
    }
}
