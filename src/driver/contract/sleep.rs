//! Promises 7 to 9: what ends a wait, and what a wait costs.

use std::thread;

use super::*;
use crate::sys::Bell;

#[test]
fn a_bell_that_rang_before_the_wait_ends_it() {
    each(|rig| {
        for _ in 0..3 {
            rig.driver.bell().ring();
            let until = Until::Instant(rig.driver.now() + *STUCK);
            assert!(took(|| rig.turn(until)) < *STUCK);
        }
    });
}

#[test]
fn a_bell_from_another_thread_ends_the_sleep() {
    each(|rig| {
        for _ in 0..100 {
            let bell = rig.driver.bell();
            let ringer = thread::spawn(move || bell.ring());
            let until = Until::Instant(rig.driver.now() + *STUCK);
            assert!(took(|| rig.turn(until)) < *STUCK);
            ringer.join().unwrap();
        }
    });
}

#[test]
fn a_bell_outlives_its_driver() {
    let mut bells = Vec::new();
    each(|rig| bells.push(rig.driver.bell()));
    assert!(!bells.is_empty());
    bells.iter().for_each(Bell::ring);
}

#[test]
fn a_wait_keeps_to_its_deadline() {
    each(|rig| {
        rig.rest();
        for micros in [1, 150, 999, 1000, 1001, 20_000] {
            let deadline = rig.driver.now() + Duration::from_micros(micros);
            let before = rig.waits;
            while rig.driver.now() < deadline {
                rig.turn(Until::Instant(deadline));
            }
            assert!(rig.waits - before <= 3, "{} waits for {micros} µs", rig.waits - before);
            let late = rig.driver.now() - deadline;
            assert!(late < Duration::from_secs(1), "{late:?} late");
        }
        let past = rig.driver.now() - Duration::from_millis(1);
        assert!(took(|| rig.turn(Until::Instant(past))) < Duration::from_secs(1));
    });
}

#[test]
fn now_does_not_sleep_and_still_hears() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let token = rig.submit(stream(fd, 0));
        rig.turn(Until::Now);
        write_all(&mut peer, b"x");
        // The turns of a loop whose tasks are always ready.
        for turns in 0.. {
            rig.turn(Until::Now);
            if let Some(completion) = rig.take(token) {
                drop(rig.lease(completion));
                break;
            }
            assert!(turns < 62, "deaf");
        }
        rig.driver.cancel(token);
        assert_eq!(rig.end(token), -libc::ECANCELED);
        rig.close(fd);
    });
}

#[test]
fn requests_that_are_done_at_once_do_not_drown_the_others() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let token = rig.submit(stream(fd, 0));
        rig.rest();
        write_all(&mut peer, b"x");
        for turns in 0.. {
            let nop = rig.submit(Request::Nop);
            assert_eq!(rig.end(nop), 0);
            if let Some(completion) = rig.take(token) {
                drop(rig.lease(completion));
                break;
            }
            assert!(turns < 62, "deaf");
        }
        rig.driver.cancel(token);
        assert_eq!(rig.end(token), -libc::ECANCELED);
        rig.close(fd);
    });
}

#[test]
fn an_idle_driver_sleeps() {
    each(|rig| {
        // With something to wait for on every side, and a bell that has rung once.
        let (fd, _peer) = pair();
        let (listener, _) = listener();
        let tokens = [stream(fd, 0), Request::Accept { fd: listener, multi: true }]
            .map(|request| rig.submit(request));
        rig.driver.bell().ring();
        rig.rest();
        let (before, waits) = (cpu_time(), rig.waits);
        let deadline = rig.driver.now() + Duration::from_millis(300);
        while rig.driver.now() < deadline {
            rig.turn(Until::Instant(deadline));
        }
        assert!(rig.waits - waits <= 3, "{} waits", rig.waits - waits);
        let busy = cpu_time() - before;
        assert!(busy < Duration::from_millis(30), "{busy:?} of work in 300 ms of sleep");
        for token in tokens {
            rig.driver.cancel(token);
            assert_eq!(rig.end(token), -libc::ECANCELED);
        }
        rig.close(fd);
        rig.close(listener);
    });
}

#[test]
fn no_wait_sleeps_over_what_found_the_queue_full() {
    each(|rig| {
        let (fd, _peer) = pair();
        let poll = Request::Poll { fd, events: libc::POLLIN as u32 };
        let tokens: Vec<_> = (0..600).map(|_| rig.submit(poll)).collect();
        // Behind more than a submission queue of those that wait.
        assert_eq!(rig.result(Request::Nop), 0);
        for &token in &tokens {
            rig.driver.cancel(token);
        }
        for token in tokens {
            assert_eq!(rig.end(token), -libc::ECANCELED);
        }
        rig.close(fd);
    });
}

#[test]
fn the_bell_still_rings_after_more_completions_than_the_queue_holds() {
    each(|rig| {
        rig.rest();
        let bell = rig.driver.bell();
        let tokens: Vec<_> = (0..8000).map(|_| rig.submit(Request::Nop)).collect();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = stop.clone();
        let ringer = thread::spawn(move || {
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                bell.ring();
            }
        });
        for token in tokens {
            assert_eq!(rig.end(token), 0);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        ringer.join().unwrap();
        rig.rest();
        for _ in 0..3 {
            rig.driver.bell().ring();
            let until = Until::Instant(rig.driver.now() + *STUCK);
            assert!(took(|| rig.turn(until)) < *STUCK, "deaf");
        }
    });
}

// Seen to fail when the driver does not pause itself.
#[test]
fn a_kernel_that_has_no_memory_even_for_a_pause_makes_nobody_spin() {
    each(|rig| {
        rig.rest();
        let deadline = rig.driver.now() + Duration::from_millis(50);
        crate::testing::fail_waits(0, u64::MAX, libc::ENOMEM);
        let mut turns = 0;
        let nop = rig.submit(Request::Nop);
        let spent = took(|| {
            while rig.driver.now() < deadline {
                rig.turn(Until::Instant(deadline));
                turns += 1;
            }
        });
        crate::testing::waits();
        assert!(turns <= spent.as_millis() + 1, "{turns} turns in {spent:?}");
        assert_eq!(rig.end(nop), 0, "and then it goes on");
    });
}
