//! Staying awake for a while before a sleep.
//!
//! A sleep costs the CPU a few microseconds, and what ends it comes that much later (in a virtual
//! machine 20 µs and more). So a loop whose news keeps coming within that time looks for it awake. One
//! that looked in vain does so less and less often, until news comes again.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use super::core::{Core, forked};
use crate::driver::{Driver, Until};

/// How long it looks where nobody has said: about what a sleep costs in a virtual machine. Answers over
/// loopback take 5 µs; with less than that it was in vain (seen).
const BRIEF: Duration = Duration::from_micros(10);

/// Where idle turns stay awake: since when, and whether it pays.
#[derive(Debug, Default)]
pub(super) struct Awake {
    /// The polls before the first idle turn in a row, and when that was.
    idle: Cell<Option<(u64, Instant)>>,
    hope: Hope,
}

impl Core {
    /// Looks for news for a while instead of sleeping at once: whether some came.
    ///
    /// # Errors
    ///
    /// As [`wait`](Core::wait).
    pub(super) fn stays_awake(&self, until: Until) -> io::Result<bool> {
        let told = self.limits().spin;
        if until == Until::Now
            || told == Some(Duration::ZERO)
            || told.is_none() && !self.awake.hope.is_due()
        {
            return Ok(false);
        }
        if self.is_foreign() {
            // The ring is not even mapped here.
            return Err(forked());
        }
        let span = told.unwrap_or(BRIEF);
        let polls = self.tasks.polls();
        let mut looks = 0;
        loop {
            let now = self.now();
            let since = match self.awake.idle.get() {
                Some((then, since)) if then == polls => since,
                _ => now,
            };
            self.awake.idle.set(Some((polls, since)));
            if !self.driver.borrow_mut().as_mut().is_some_and(Driver::is_quiet) {
                self.wait(Until::Now)?;
            }
            let news = !self.done.borrow().is_empty()
                || self.tasks.home().mail().pending()
                || matches!(until, Until::Instant(at) if at <= now);
            if news || now.duration_since(since) >= span {
                // What the first look finds would have ended a sleep before it began.
                if looks > 0 {
                    self.awake.hope.learn(news);
                }
                return Ok(news);
            }
            looks += 1;
            std::hint::spin_loop();
        }
    }
}

/// Whether looking pays, as far as the last times tell. That the loop's own business ends (a close, a
/// cancel) counts as news too, since it ends a sleep.
#[derive(Debug, Default)]
struct Hope {
    /// Looks in vain, less those that were not.
    vain: Cell<u32>,
    /// Sleeps before the next look.
    sleeps: Cell<u32>,
}

impl Hope {
    /// After this many looks in vain only one sleep in 2⁸ has a look before it.
    const MOST: u32 = 8;

    /// Books a sleep: whether it is one with a look before it.
    fn is_due(&self) -> bool {
        let sleeps = self.sleeps.get();
        self.sleeps.set(sleeps.saturating_sub(1));
        sleeps == 0
    }

    fn learn(&self, news: bool) {
        let vain = self.vain.get();
        let vain = if news { vain.saturating_sub(1) } else { (vain + 1).min(Self::MOST) };
        self.vain.set(vain);
        self.sleeps.set(if news { 0 } else { (1 << vain) - 1 });
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;
    use crate::driver::BackendChoice;
    use crate::runtime::builder::Builder;

    /// Looks among `sleeps` sleeps, all of which end in the same way.
    fn looks(hope: &Hope, sleeps: u32, news: bool) -> u32 {
        (0..sleeps).filter(|_| hope.is_due()).inspect(|_| hope.learn(news)).count() as u32
    }

    // Seen to fail when nothing is learned, and when the pauses do not grow.
    #[test]
    fn a_loop_that_looks_in_vain_hardly_looks_any_more() {
        let hope = Hope::default();
        assert!(looks(&hope, 1000, false) <= 12);
        assert!((3..=5).contains(&looks(&hope, 1024, false)), "one in 256, and no less");
    }

    // Seen to fail when a look that finds something is not followed by another.
    #[test]
    fn a_loop_whose_news_comes_soon_looks_each_time() {
        let hope = Hope::default();
        assert_eq!(looks(&hope, 1000, true), 1000);
        looks(&hope, 1000, false);
        assert!(looks(&hope, 512, true) >= 256, "and finds that out again");
    }

    // Seen to fail when nothing is learned, and when vain looks are taken for the others.
    #[test]
    fn a_loop_whose_news_are_timers_far_apart_learns_to_sleep() {
        let built = Builder::new().backend(BackendChoice::Uring).build();
        let Ok(mut runtime) = built else { return };
        let core = runtime.core().clone();
        runtime.block_on(async {
            for _ in 0..100 {
                let deadline = core.now() + Duration::from_millis(1);
                poll_fn(|cx| {
                    if core.now() >= deadline {
                        return Poll::Ready(());
                    }
                    core.set_timer(deadline, cx.waker().clone());
                    Poll::Pending
                })
                .await;
            }
        });
        let vain = runtime.core().awake.hope.vain.get();
        assert!(vain >= 3, "{vain} looks in vain");
    }
}
