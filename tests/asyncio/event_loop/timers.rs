//! Callbacks at a moment (L-11, L-14; checks 7 to 11).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use ringloop::task::yield_now;
use ringloop::time::{now, sleep, sleep_until};
use ringloop::{call_at, call_later, metrics, spawn};

use super::Log;
use crate::support::{OnDrop, run_on_each};

// L-11, L-14, checks 7 and 8.
#[test]
fn a_callback_without_delay_runs_in_the_next_turn_and_its_moment_can_be_read() {
    run_on_each(|| async {
        let log = Log::default();
        let start = now();
        let at_once = call_later(Duration::ZERO, log.noting("at once"));
        let past = call_at(start - Duration::from_secs(1), log.noting("past"));
        assert!(at_once.when() >= start && at_once.when() <= now());
        assert_eq!(past.when(), start - Duration::from_secs(1));
        assert_eq!(log.take(), "");
        yield_now().await;
        yield_now().await;
        assert_eq!(log.take(), "past at once");
        assert_eq!(past.when(), start - Duration::from_secs(1));
        assert!(!past.is_cancelled());

        let delay = Duration::from_millis(1);
        let before = now();
        let later = call_later(delay, || ());
        assert!(later.when() >= before + delay && later.when() <= now() + delay);
        let at = call_at(later.when(), || ());
        assert_eq!(at.when(), later.when());
    });
}

// L-11, check 9.
#[test]
fn a_timer_never_fires_early_and_the_loop_sleeps_until_then() {
    run_on_each(|| async {
        let (tell, told) = mpsc::channel();
        for micros in (0..3000).step_by(100) {
            let tell = tell.clone();
            let delay = Duration::from_micros(micros);
            let due = now() + delay;
            call_later(delay, move || tell.send((due, now())).unwrap());
        }
        let turns = metrics().turns;
        sleep(Duration::from_millis(4)).await;
        assert!(metrics().turns - turns < 400, "it spins");
        drop(tell);
        let fired: Vec<_> = told.into_iter().collect();
        assert_eq!(fired.len(), 30);
        assert!(fired.iter().all(|(due, now)| now >= due));
    });
}

// L-11, G-06: equal deadlines, among callbacks and with sleeps.
// Seen to fail when what sleeps was woken after all callbacks.
#[test]
fn equal_deadlines_keep_the_order_of_the_calls_also_among_sleeps() {
    run_on_each(|| async {
        let log = Log::default();
        let mut ahead = Duration::from_millis(1);
        loop {
            let at = now() + ahead;
            for n in 0..10 {
                if n % 2 == 0 {
                    call_at(at, log.noting(n));
                } else {
                    let done = log.noting(n);
                    drop(spawn(async move {
                        sleep_until(at).await;
                        done();
                    }));
                    yield_now().await;
                }
            }
            // Earlier ones come first, whenever they were set.
            call_at(at - Duration::from_micros(1), log.noting("first"));
            let in_time = now() < at - Duration::from_micros(1);
            sleep_until(at + Duration::from_micros(1)).await;
            yield_now().await;
            let order = log.take();
            if in_time {
                return assert_eq!(order, "first 0 1 2 3 4 5 6 7 8 9");
            }
            // It was too slow to set them all.
            ahead *= 2;
        }
    });
}

// L-11, check 10.
#[test]
fn a_huge_delay_neither_overflows_nor_fires() {
    run_on_each(|| async {
        for delay in
            [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)]
        {
            let timer = call_later(delay, || unreachable!());
            assert!(timer.when() > now() + Duration::from_secs(99 * 365 * 24 * 3600));
            sleep(Duration::from_micros(1)).await;
            timer.cancel();
        }
        assert_eq!(metrics().timers, 0);
    });
}

// L-14, check 11.
// Seen to fail when a cancel left the timer to its deadline.
#[test]
fn cancelled_timers_are_gone_at_once_and_the_others_fire() {
    run_on_each(|| async {
        let log = Log::default();
        let dropped = Rc::new(Cell::new(0));
        let timers: Vec<_> = (0..500)
            .map(|n| {
                let (note, dropped) = (log.noting(n), dropped.clone());
                let owned = OnDrop(move || dropped.set(dropped.get() + 1));
                call_later(Duration::from_millis(1 + n % 3), move || drop((owned, note())))
            })
            .collect();
        assert_eq!(metrics().timers, 500);
        for timer in timers.iter().filter(|timer| timer.when() > timers[0].when()).take(300) {
            timer.cancel();
            timer.cancel();
            assert!(timer.is_cancelled());
        }
        assert_eq!((metrics().timers, dropped.get()), (200, 300));
        sleep(Duration::from_millis(10)).await;
        assert_eq!((metrics().timers, dropped.get()), (0, 500));
        assert_eq!(log.take().split(' ').count(), 200);
        timers.iter().for_each(ringloop::TimerHandle::cancel);
        assert_eq!(timers.iter().filter(|timer| timer.is_cancelled()).count(), 300);
    });
}
