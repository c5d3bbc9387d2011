//! `Event`; and `Notify`, which asyncio lacks.

use std::rc::Rc;

use ringloop::spawn;
use ringloop::sync::{Event, Notify};

use super::{Log, settle};
use crate::support::run_on_each;

// Y-05, check 83. Seen to fail when a waiter looked at the flag again after its wake.
#[test]
fn setting_wakes_all_even_if_it_is_cleared_in_the_same_turn() {
    run_on_each(|| async {
        let (event, log) = (Rc::new(Event::new()), Log::default());
        let start = |name: &'static str| {
            let (event, log) = (event.clone(), log.clone());
            spawn(async move {
                event.wait().await;
                log.push(name);
            })
        };
        for name in ["a", "b", "c"] {
            start(name);
        }
        settle().await;
        event.set();
        event.clear();
        assert!(!event.is_set());
        let late = start("d");
        settle().await;
        assert_eq!(log.take(), ["a", "b", "c"]);
        assert!(!late.is_finished());
        event.set();
        settle().await;
        assert_eq!(log.take(), ["d"]);
    });
}

// Y-05, check 83.
#[test]
fn waiting_for_what_is_set_does_not_wait() {
    run_on_each(|| async {
        let event = Event::default();
        event.set();
        event.set();
        assert!(event.is_set());
        assert!(crate::support::poll_once(&mut event.wait()).is_ready());
        event.clear();
        assert!(crate::support::poll_once(&mut event.wait()).is_pending());
        assert_eq!(format!("{event:?}"), "Event { is_set: false, waiting: 0 }");
    });
}

// Y-06, check 83.
#[test]
fn a_waiter_that_is_cancelled_leaves_the_line() {
    run_on_each(|| async {
        let event = Rc::new(Event::new());
        let task = spawn({
            let event = event.clone();
            async move { event.wait().await }
        });
        settle().await;
        assert_eq!(format!("{event:?}"), "Event { is_set: false, waiting: 1 }");
        task.cancel();
        settle().await;
        assert_eq!(format!("{event:?}"), "Event { is_set: false, waiting: 0 }");
        event.set();
    });
}

// Y-19.
#[test]
fn a_call_is_kept_for_who_comes_next_and_two_calls_are_one() {
    run_on_each(|| async {
        let notify = Notify::new();
        notify.notify_one();
        notify.notify_one();
        notify.notified().await;
        let mut second = notify.notified();
        assert!(crate::support::poll_once(&mut second).is_pending());
        notify.notify_one();
        second.await;
    });
}

// Y-19. Seen to fail when a dropped waiter passed nothing on.
#[test]
fn a_call_for_a_waiter_that_is_cancelled_goes_to_the_next() {
    run_on_each(|| async {
        let notify = Rc::new(Notify::new());
        let tasks = [(); 2].map(|()| {
            let notify = notify.clone();
            spawn(async move { notify.notified().await })
        });
        settle().await;
        notify.notify_one();
        tasks[0].cancel();
        let [first, second] = tasks;
        assert!(first.await.unwrap_err().is_cancelled());
        second.await.unwrap();
    });
}

// Y-19.
#[test]
fn calling_all_reaches_who_asked_before_and_keeps_nothing() {
    run_on_each(|| async {
        let notify = Notify::new();
        let mut waits = [notify.notified(), notify.notified(), notify.notified()];
        assert!(crate::support::poll_once(&mut waits[0]).is_pending());
        notify.notify_waiters();
        for wait in waits {
            wait.await;
        }
        assert!(crate::support::poll_once(&mut notify.notified()).is_pending());
    });
}
