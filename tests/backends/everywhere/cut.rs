//! Where and how a future is cut off.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ringloop::time::timeout;

use super::fuse::{Fuse, Mad};

use crate::tcp::{poll_once, turns};

/// More polls than any of them needs.
pub(super) const TO_THE_END: usize = usize::MAX;

/// When what it waits for happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    BeforeTheFirstPoll,
    AfterTheFirstPoll,
    AfterTheCut,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    Dropped,
    Forgotten,
    /// Its time is up in the turn in which the event is seen.
    TimedOut,
    /// As dropped, and polled under wakers that panic at the n-th call.
    Panicking(Mad, i64),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) how: How,
    pub(super) event: Event,
    /// Polls before the cut.
    pub(super) polls: usize,
    /// Turns of the loop before the first poll and after each.
    pub(super) turns: usize,
}

impl Cut {
    /// Runs to the end.
    pub(super) const NEVER: Self =
        Self { how: How::Dropped, event: Event::AfterTheFirstPoll, polls: TO_THE_END, turns: 1 };

    pub(super) fn all(how: How) -> Vec<Self> {
        let events = [Event::BeforeTheFirstPoll, Event::AfterTheFirstPoll, Event::AfterTheCut];
        let mut all = Vec::new();
        for event in events {
            for polls in 0..=4 {
                for turns in 0..=2 {
                    all.push(Self { how, event, polls, turns });
                }
            }
            if event != Event::AfterTheCut {
                all.push(Self { how, event, polls: TO_THE_END, turns: 1 });
            }
        }
        all
    }

    /// Under wakers that panic.
    pub(super) fn panicking() -> Vec<Self> {
        use Event::{AfterTheFirstPoll as After, BeforeTheFirstPoll as Before};
        let ways = [(Before, 1, 0), (Before, 2, 1), (Before, TO_THE_END, 1), (After, 1, 1)];
        let more = [(After, 2, 0), (After, 2, 1), (After, 4, 1), (After, TO_THE_END, 1)];
        let mut all = Vec::new();
        for mad in [Mad::Clone, Mad::Wake, Mad::Drop] {
            for at in 0..=2 {
                let how = How::Panicking(mad, at);
                let ways = ways.into_iter().chain(more);
                all.extend(ways.map(|(event, polls, turns)| Self { how, event, polls, turns }));
            }
        }
        all
    }

    /// Polls `future` and cuts it off; its output, if it was ready before that. `event` is called at
    /// least once.
    pub(super) async fn off<F: Future>(
        self,
        future: F,
        mut event: impl FnMut(),
    ) -> Option<F::Output> {
        if self.how == How::TimedOut {
            return out_of_time(future, self.turns, event).await;
        }
        if let How::Panicking(mad, at) = self.how {
            return self.under_bombs(future, event, &Fuse::new(mad, at)).await;
        }
        let mut future = Box::pin(future);
        if self.event == Event::BeforeTheFirstPoll {
            event();
            turns(self.turns).await;
        }
        for _ in 0..self.polls {
            let polled = poll_once(&mut future).await;
            if self.event != Event::AfterTheCut {
                event();
            }
            if let Poll::Ready(output) = polled {
                if self.event == Event::AfterTheCut {
                    event();
                }
                return Some(output);
            }
            turns(self.turns).await;
        }
        match self.how {
            How::Forgotten => std::mem::forget(future),
            _ => drop(future),
        }
        if self.event == Event::AfterTheCut || self.polls == 0 {
            event();
        }
        None
    }

    /// As [`off`](Self::off); a panic cuts it off. Each poll has a waker of its own, so the one before
    /// is dropped in it.
    async fn under_bombs<F: Future>(
        self,
        future: F,
        mut event: impl FnMut(),
        fuse: &std::sync::Arc<Fuse>,
    ) -> Option<F::Output> {
        let mut future = Box::pin(future);
        let mut output = None;
        if self.event == Event::BeforeTheFirstPoll {
            event();
            turns(self.turns).await;
        }
        for _ in 0..self.polls {
            let waker = fuse.waker();
            let mut cx = Context::from_waker(&waker);
            let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(waker)));
            event();
            match polled {
                Ok(Poll::Pending) if dropped.is_ok() => turns(self.turns).await,
                Ok(Poll::Ready(ready)) => {
                    output = Some(ready);
                    break;
                }
                _ => break,
            }
        }
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
        output
    }
}

/// The time is up before the loop has had a chance to see the event.
async fn out_of_time<F: Future>(
    future: F,
    before: usize,
    mut event: impl FnMut(),
) -> Option<F::Output> {
    const LIMIT: Duration = Duration::from_micros(300);
    let start = Instant::now();
    let mut limited = Box::pin(timeout(LIMIT, future));
    let polled = poll_once(&mut limited).await;
    turns(before).await;
    event();
    if let Poll::Ready(result) = polled {
        return result.ok();
    }
    while start.elapsed() <= LIMIT {
        std::hint::spin_loop();
    }
    limited.await.ok()
}
