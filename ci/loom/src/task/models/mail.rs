//! An owner sleeps, others post: nothing is slept over, nothing is lost.

use std::sync::Arc;

use loom::thread;

use super::{Count, Owner, collect, letter};
use crate::sys::sync::{AtomicU64, Ordering};
use crate::{Bound, check};

/// One wake. Exhaustive.
///
/// Breakages: no fence in `signal`, or none in `fall_asleep`; `fall_asleep` looks at `pending` before it
/// says asleep; `wake` signals before it posts (each time the owner hangs).
pub fn a_wake_is_not_slept_over() {
    check(Bound::None, || {
        let owner = Owner::new();
        let mail = owner.mail.clone();
        let poster = thread::spawn(move || mail.wake(5));
        let mut woken = Vec::new();
        while woken.is_empty() {
            owner.sleep(|index| woken.push(index));
        }
        assert_eq!(woken, [5]);
        poster.join().unwrap();
        owner.mail.close();
    });
}

/// One letter. Exhaustive.
///
/// Breakages: the four of `a_wake_is_not_slept_over`, `post` in place of `wake` (the owner
/// hangs).
pub fn a_letter_is_not_slept_over() {
    check(Bound::None, || {
        let owner = Owner::new();
        let (ran, dropped) = (Count::default(), Count::default());
        let poster = {
            let (mail, incarnation) = (owner.mail.clone(), owner.incarnation);
            let letter = letter(&ran, &dropped);
            thread::spawn(move || assert!(mail.post(incarnation, letter).is_ok()))
        };
        while ran.get() == 0 {
            owner.sleep(|_| unreachable!("nobody woke a task"));
        }
        poster.join().unwrap();
        owner.mail.close();
        assert_eq!((ran.get(), dropped.get()), (1, 0));
    });
}

/// Something else than the bell ends the first sleep, just when a poster takes the flag: the ring may
/// come late, or for the second sleep. Exhaustive.
///
/// Breakages: the four of `a_letter_is_not_slept_over` (the owner hangs).
pub fn a_ring_for_an_earlier_sleep_does_not_lose_a_letter() {
    check(Bound::None, || {
        let owner = Owner::new();
        let (ran, dropped) = (Count::default(), Count::default());
        let poster = {
            let (mail, incarnation) = (owner.mail.clone(), owner.incarnation);
            let letter = letter(&ran, &dropped);
            thread::spawn(move || assert!(mail.post(incarnation, letter).is_ok()))
        };
        owner.nap(|_| unreachable!("nobody woke a task"));
        while ran.get() == 0 {
            owner.sleep(|_| unreachable!("nobody woke a task"));
        }
        poster.join().unwrap();
        owner.mail.close();
    });
}

/// A poster wakes a task twice, the second time perhaps while the owner takes the first: the owner
/// sees what was written before either wake. Exhaustive.
///
/// Breakages: `collect` reads a word and clears it in two steps; either side's AcqRel made Relaxed;
/// the poster rings first and takes the flag afterwards (the owner hangs).
pub fn a_wake_during_collect_is_not_lost() {
    check(Bound::None, || {
        let owner = Owner::new();
        let written = Arc::new(AtomicU64::new(0));
        let poster = {
            let (mail, written) = (owner.mail.clone(), written.clone());
            thread::spawn(move || {
                for value in 1..=2 {
                    written.store(value, Ordering::Relaxed);
                    mail.wake(5);
                }
            })
        };
        let mut seen = 0;
        while seen < 2 {
            owner.sleep(|_| seen = written.load(Ordering::Relaxed));
        }
        poster.join().unwrap();
        owner.mail.close();
    });
}

/// A wake and a letter from two threads. At most three preemptions.
///
/// Breakages: `collect` clears `pending` after it has taken the list; a fence is missing (the owner
/// hangs).
pub fn a_wake_and_a_letter_are_not_slept_over() {
    check(Bound::Preemptions(3), || {
        let owner = Owner::new();
        let (ran, dropped) = (Count::default(), Count::default());
        let posters = [
            {
                let (mail, incarnation) = (owner.mail.clone(), owner.incarnation);
                let letter = letter(&ran, &dropped);
                thread::spawn(move || assert!(mail.post(incarnation, letter).is_ok()))
            },
            {
                let mail = owner.mail.clone();
                thread::spawn(move || mail.wake(5))
            },
        ];
        let mut woken = 0;
        while woken == 0 || ran.get() == 0 {
            owner.sleep(|_| woken += 1);
        }
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        owner.mail.close();
        assert_eq!((woken, ran.get(), dropped.get()), (1, 1, 0));
    });
}

/// Two threads wake two tasks that share a word: only one of them posts the word, and both bits
/// arrive, once. At most three preemptions.
///
/// Breakages: the word is posted whether it was zero or not, or before its bit is set (it stands in
/// the list twice, or with no bit); `collect` reads a word and clears it in two steps (the owner
/// hangs).
pub fn wakes_of_one_word_coalesce_and_no_bit_is_lost() {
    check(Bound::Preemptions(3), || {
        let owner = Owner::new();
        let posters = [5, 63].map(|index| {
            let mail = owner.mail.clone();
            thread::spawn(move || mail.wake(index))
        });
        let mut woken = Vec::new();
        while woken.len() < 2 {
            owner.sleep(|index| woken.push(index));
        }
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        collect(&owner.mail, |index| woken.push(index));
        woken.sort_unstable();
        assert_eq!(woken, [5, 63]);
        owner.mail.close();
    });
}

/// Two threads wake the same task: the second finds its bit set and says nothing, and still the owner
/// sees what it wrote. At most three preemptions.
///
/// Breakages: either side's AcqRel made Relaxed (the owner hangs).
pub fn a_wake_that_finds_its_bit_set_is_not_lost() {
    check(Bound::Preemptions(3), || {
        let owner = Owner::new();
        let written = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let posters = [0, 1].map(|i| {
            let (mail, written) = (owner.mail.clone(), written.clone());
            thread::spawn(move || {
                written[i].store(1, Ordering::Relaxed);
                mail.wake(5);
            })
        });
        let mut seen = 0;
        while seen < 2 {
            owner.sleep(|_| seen = written.iter().map(|w| w.load(Ordering::Relaxed)).sum());
        }
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        owner.mail.close();
    });
}
