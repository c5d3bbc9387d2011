//! A mailbox closes and opens again while others post to it.

use loom::thread;

use super::{Count, Owner, letter};
use crate::sys::Bell;
use crate::{Bound, check};

/// A letter comes back, is run, or is dropped by the close: one of the three, once, and never in a
/// later incarnation. Exhaustive.
///
/// Breakages: `post` does not look at the incarnation, or looks at it under another lock than it
/// posts under; `close` leaves the letters (the letter runs in the later incarnation).
pub fn a_letter_never_reaches_a_later_incarnation() {
    check(Bound::None, || {
        let owner = Owner::new();
        let (ran, dropped) = (Count::default(), Count::default());
        let poster = {
            let (mail, incarnation) = (owner.mail.clone(), owner.incarnation);
            let letter = letter(&ran, &dropped);
            thread::spawn(move || mail.post(incarnation, letter).is_err())
        };
        owner.nap(|_| unreachable!("nobody woke a task"));
        owner.mail.close();
        let (ran_before, dropped_before) = (ran.get(), dropped.get());
        let next = Owner::of(owner.mail);
        assert_ne!(owner.incarnation, next.incarnation);
        next.nap(|_| unreachable!("nobody woke a task"));
        // `is_err` drops the letter that came back.
        let came_back = poster.join().unwrap();
        next.nap(|_| unreachable!("nobody woke a task"));
        assert_eq!(ran.get(), ran_before, "it ran in a later incarnation");
        assert_eq!(dropped.get(), dropped_before + usize::from(came_back));
        assert_eq!(ran.get() + dropped.get(), 1);
        next.mail.close();
    });
}

/// A poster of the first incarnation is in the middle of its ring when the mailbox closes and another
/// runtime moves in: that one may be rung for nothing, and sleeps over none of its own letters.
/// At most three preemptions.
///
/// Breakages: a fence is missing; `collect` clears `pending` after it has taken the list (the next
/// owner hangs).
pub fn a_late_ring_does_not_cost_the_next_runtime_a_letter() {
    check(Bound::Preemptions(3), || {
        let owner = Owner::new();
        let mail = owner.mail.clone();
        let late = thread::spawn(move || mail.wake(5));
        owner.nap(|_| ());
        owner.mail.close();
        let next = Owner::of(owner.mail);
        let (ran, dropped) = (Count::default(), Count::default());
        let poster = {
            let (mail, incarnation) = (next.mail.clone(), next.incarnation);
            let letter = letter(&ran, &dropped);
            thread::spawn(move || assert!(mail.post(incarnation, letter).is_ok()))
        };
        // The late wake may come out here: spurious, and the task's own.
        while ran.get() == 0 {
            next.sleep(|index| assert_eq!(index, 5));
        }
        late.join().unwrap();
        poster.join().unwrap();
        next.mail.close();
    });
}

/// Dropping a letter runs the user's code, which may post. Exhaustive.
///
/// Breakages: `close` drops the letters under the lock (it hangs).
pub fn a_letter_that_posts_when_it_is_dropped_finds_no_lock_held() {
    struct Posts(std::sync::Arc<super::Mail>, u64, Count);

    impl Drop for Posts {
        fn drop(&mut self) {
            if self.0.post(self.1, Box::new(|| ())).is_err() {
                self.2.up();
            }
        }
    }

    check(Bound::None, || {
        let owner = Owner::new();
        let came_back = Count::default();
        let guard = Posts(owner.mail.clone(), owner.incarnation, came_back.clone());
        let letter = Box::new(move || drop(guard));
        assert!(owner.mail.post(owner.incarnation, letter).is_ok());
        owner.mail.close();
        assert_eq!(came_back.get(), 1);
    });
}

/// Two posters, one with a wake and one with a letter, while the mailbox closes for good: nobody
/// hangs, and the bell that they hold may be rung when nobody listens. At most three preemptions.
///
/// Breakages: `close` leaves the letters (one is never dropped); the word is posted whether it was
/// zero or not (it stands in the list twice).
pub fn posters_and_a_close_do_not_hang_each_other() {
    check(Bound::Preemptions(3), || {
        let owner = Owner::new();
        let (ran, dropped) = (Count::default(), Count::default());
        let posters = [
            {
                let (mail, incarnation) = (owner.mail.clone(), owner.incarnation);
                let letter = letter(&ran, &dropped);
                thread::spawn(move || drop(mail.post(incarnation, letter)))
            },
            {
                let mail = owner.mail.clone();
                thread::spawn(move || mail.wake(5))
            },
        ];
        let _asleep = owner.mail.fall_asleep();
        owner.mail.close();
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        assert_eq!((ran.get(), dropped.get()), (0, 1));
        // Whoever comes next is not asleep, whatever the posters found.
        let bell = Bell::new();
        owner.mail.open(bell.clone());
        owner.mail.wake(6);
        let mut woken = Vec::new();
        super::sleep(&owner.mail, &bell, |index| woken.push(index));
        assert!(woken == [6] || woken == [5, 6], "{woken:?}");
        owner.mail.close();
    });
}
