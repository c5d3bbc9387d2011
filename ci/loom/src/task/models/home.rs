//! Runtimes come and go, each with a home of its own.

use loom::thread;

use super::super::home::{self, Tenancy};
use super::super::table::HOMES;
use super::super::waker::Address;
use super::{Count, collect, letter, sleep};
use crate::sys::Bell;
use crate::sys::sync::{Arc, AtomicBool, Ordering};
use crate::{Bound, check};

/// Two threads move in and out, the first of them twice: each has its home, and its mailbox, to
/// itself. At most three preemptions.
///
/// Breakages: a flag of `TAKEN` is looked at and set in two steps (two threads fill one cell); a home is
/// given back before its mailbox is closed (somebody took its letter).
pub fn no_home_has_two_tenants() {
    check(Bound::Preemptions(3), || {
        let taken = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let live = |taken: &[AtomicBool; HOMES]| {
            let tenancy = Tenancy::new(Bell::new()).expect("there are as many homes as threads");
            let taken = &taken[usize::from(tenancy.id)];
            assert!(!taken.swap(true, Ordering::Relaxed), "somebody lives there");
            let (ran, dropped) = (Count::default(), Count::default());
            assert!(tenancy.home.post(letter(&ran, &dropped)).is_ok(), "its mailbox is closed");
            collect(tenancy.home.home().mail(), |_| unreachable!("nobody woke a task"));
            assert_eq!((ran.get(), dropped.get()), (1, 0), "somebody took its letter");
            taken.store(false, Ordering::Relaxed);
        };
        let other = {
            let taken = taken.clone();
            thread::spawn(move || live(&taken))
        };
        live(&taken);
        live(&taken);
        other.join().unwrap();
    });
}

/// Three runtimes for two homes: one of them may get an error, and no home is lost by it. Exhaustive.
///
/// Breakages: a home is not given back (all homes are taken for ever); its flag is relaxed (two threads
/// fill one cell).
pub fn a_full_table_is_an_error_and_not_for_ever() {
    check(Bound::None, || {
        let first = Tenancy::new(Bell::new()).expect("the table is empty");
        let second = thread::spawn(|| Tenancy::new(Bell::new()).map(drop).is_ok());
        let third = Tenancy::new(Bell::new());
        assert!(second.join().unwrap() || third.is_ok());
        drop((first, third));
        let all = [(); HOMES].map(|()| Tenancy::new(Bell::new()).expect("all have moved out"));
        assert_ne!(all[0].id, all[1].id);
        assert!(Tenancy::new(Bell::new()).is_err());
    });
}

/// A waker outlives its runtime and wakes while the home is empty, is being taken, or is another's:
/// spurious at worst, and the newcomer sleeps over nothing of its own. At most three preemptions.
///
/// Breakages: no incarnation is looked at, or none is counted (the letter to the tenant before
/// runs); no fence, on either side (the newcomer hangs); the word is posted whether it was zero or
/// not (it stands in the list twice).
pub fn a_late_wake_is_spurious_to_the_next_tenant() {
    check(Bound::Preemptions(3), || {
        let bell = Bell::new();
        let before = Tenancy::new(bell.clone()).unwrap();
        before.home.home().mail().make_room(5);
        let (id, stale) = (before.id, before.home);
        let (ran, dropped) = (Count::default(), Count::default());
        let late = {
            let letter = letter(&ran, &dropped);
            thread::spawn(move || {
                home::wake(id, 5);
                drop(stale.post(letter));
            })
        };
        drop(before);
        let next = Tenancy::new(bell.clone()).unwrap();
        assert_eq!(next.id, id);
        let poster = thread::spawn(move || home::wake(id, 7));
        let mut woken = Vec::new();
        while !woken.contains(&7) {
            sleep(next.home.home().mail(), &bell, |index| woken.push(index));
        }
        late.join().unwrap();
        poster.join().unwrap();
        collect(next.home.home().mail(), |index| woken.push(index));
        assert!(woken.iter().all(|index| [5, 7].contains(index)), "{woken:?}");
        assert!(woken.len() <= 2, "{woken:?}");
        assert_eq!((ran.get(), dropped.get()), (0, 1), "a letter to the tenant before");
    });
}

/// The root future stands in no slot, and is woken from another thread all the same. Exhaustive.
///
/// Breakages: no room is made for it (the owner hangs: this model found that).
pub fn a_wake_of_the_root_is_not_lost() {
    check(Bound::None, || {
        let bell = Bell::new();
        let tenancy = Tenancy::new(bell.clone()).unwrap();
        let id = tenancy.id;
        let poster = thread::spawn(move || home::wake(id, Address::ROOT));
        let mut woken = Vec::new();
        while woken.is_empty() {
            sleep(tenancy.home.home().mail(), &bell, |index| woken.push(index));
        }
        assert_eq!(woken, [Address::ROOT]);
        poster.join().unwrap();
    });
}
