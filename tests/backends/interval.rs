//! Ticks, held against a model of what each behaviour owes a late consumer.

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use ringloop::time::{Interval, MissedTickBehavior, interval, interval_at, now, timeout};

use crate::support::{poll_once, run_on_each};

const PERIOD: Duration = Duration::from_millis(4);

/// Ticks eight times; before some of them the whole thread is late by several periods. Returns
/// when each was due, and when, at the earliest and at the latest, it was awaited.
async fn ticks(interval: &mut Interval) -> Vec<(Instant, Instant, Instant)> {
    let mut ticks = Vec::new();
    for late in [0, 0, 13, 0, 0, 0, 9, 0] {
        std::thread::sleep(Duration::from_millis(late));
        let before = now();
        let due = interval.tick().await;
        let after = now();
        assert!(due <= after, "a tick came early");
        ticks.push((due, before, after));
    }
    ticks
}

async fn behaves(behaviour: MissedTickBehavior, follows: impl Fn(&[(Instant, Instant, Instant)])) {
    let start = now() + Duration::from_millis(2);
    let mut interval = interval_at(start, PERIOD);
    assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Burst);
    interval.set_missed_tick_behavior(behaviour);
    assert_eq!((interval.missed_tick_behavior(), interval.period()), (behaviour, PERIOD));
    let ticks = ticks(&mut interval).await;
    assert_eq!(ticks[0].0, start);
    ticks.windows(2).for_each(follows);
}

#[test]
fn a_burst_makes_up_for_every_tick() {
    run_on_each(|| {
        behaves(MissedTickBehavior::Burst, |pair| assert_eq!(pair[1].0, pair[0].0 + PERIOD))
    });
}

#[test]
fn a_delay_counts_from_the_late_tick_on() {
    run_on_each(|| {
        behaves(MissedTickBehavior::Delay, |pair| {
            let ((due, before, after), next) = (pair[0], pair[1].0);
            // In time: one period later. Late: one period after it was awaited.
            let in_time = next == due + PERIOD && before < due + PERIOD;
            let late = next >= before.max(due + PERIOD) && next <= after + PERIOD;
            assert!(in_time || late && after >= due + PERIOD, "{:?}", next - due);
        })
    });
}

#[test]
fn a_skip_stays_in_step_and_leaves_out_what_was_missed() {
    run_on_each(|| {
        behaves(MissedTickBehavior::Skip, |pair| {
            let ((due, before, after), next) = (pair[0], pair[1].0);
            let step = next - due;
            assert_eq!(step.as_nanos() % PERIOD.as_nanos(), 0, "out of step by {step:?}");
            assert!(next > before && next <= after.max(due) + PERIOD, "{step:?}");
        })
    });
}

#[test]
fn the_first_tick_comes_at_once() {
    run_on_each(|| async {
        let mut interval = interval(Duration::from_secs(3600));
        assert!(poll_once(&mut Box::pin(interval.tick())).is_ready());
        assert!(poll_once(&mut Box::pin(interval.tick())).is_pending());
    });
}

#[test]
fn a_dropped_tick_is_not_lost() {
    run_on_each(|| async {
        let start = now();
        let mut interval = interval_at(start, PERIOD);
        let mut wanted = start;
        for _ in 0..5 {
            for _ in 0..3 {
                let cut = timeout(Duration::from_micros(300), interval.tick()).await;
                if let Ok(due) = cut {
                    assert_eq!(due, wanted);
                    wanted += PERIOD;
                }
            }
            assert_eq!(interval.tick().await, wanted);
            wanted += PERIOD;
        }
    });
}

#[test]
fn a_reset_counts_from_now_on() {
    run_on_each(|| async {
        let mut interval = interval(PERIOD);
        interval.tick().await;
        std::thread::sleep(3 * PERIOD);
        let before = now();
        interval.reset();
        let after = now();
        let due = interval.tick().await;
        assert!(due >= before + PERIOD && due <= after + PERIOD);
    });
}

#[test]
fn the_longest_period_does_not_overflow() {
    run_on_each(|| async {
        for behaviour in
            [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip]
        {
            let mut interval = interval(Duration::MAX);
            interval.set_missed_tick_behavior(behaviour);
            interval.tick().await;
            assert!(poll_once(&mut Box::pin(interval.tick())).is_pending());
            interval.reset();
            assert!(poll_once(&mut Box::pin(interval.tick())).is_pending());
        }
    });
}

#[test]
fn a_period_of_zero_is_refused_in_a_sentence() {
    run_on_each(|| async {
        let payload = catch_unwind(|| drop(interval(Duration::ZERO))).unwrap_err();
        let text = crate::support::sentence(&*payload);
        assert_eq!(text, "an interval needs a period above zero");
    });
}
