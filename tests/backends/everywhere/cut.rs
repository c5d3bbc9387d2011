//! Where and how a future is cut off.

use std::time::{Duration, Instant};

use ringloop::time::timeout;

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
            if let std::task::Poll::Ready(output) = polled {
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
    if let std::task::Poll::Ready(result) = polled {
        return result.ok();
    }
    while start.elapsed() <= LIMIT {
        std::hint::spin_loop();
    }
    limited.await.ok()
}
