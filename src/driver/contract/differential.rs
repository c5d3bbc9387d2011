//! The same random steps on every backend, held against the plain syscalls.
//!
//! A case is a list of [`Step`]s over a small world of descriptors, each with its peer. It is played on
//! the epoll driver, which is [`perform`](super::super::perform) and readiness, and then on every
//! backend; after each step the peers are settled, and a line is written of all that came: the bytes
//! and the result of each request. The last lines are the state of every descriptor. All must be the
//! same.
//!
//! What may differ, and so is not compared or not played:
//!
//! 1. How a multishot splits a stream into pieces. (Datagrams are never split, and are compared.)
//! 2. How far a send gets that is cancelled or broken halfway; the peer must have got just that much.
//! 3. `-EINTR` is a cancelled read's or send's `-ECANCELED` where a worker of the kernel was interrupted.
//! 4. Which of two waiting requests of one descriptor hears of an error that is told once, or of bytes
//!    that a poll sees and a receive takes.
//! 5. A quiet send without room.
//! 6. A receive's total, where the driver does not know totals.
//! 7. What can be done with a socket whose connect has failed, beside its close.
//! 8. A write of no bytes to an eventfd and a read of none from a directory: io_uring answers 0 without
//!    asking, for the kernel has no vectored form of them.
//! 9. A read or write of a socket at an offset: only pipes and their kin have it ignored.
//! 10. What a datagram socket says whose receiving side we have shut down: a receive that may not wait
//!     never hears of it (`EAGAIN`), one that io_uring's worker waits in does (0).
//! 11. A gathered send without room to a peer that has half-closed: see `Request::SendMsg`.
//! 12. What a request of no bytes, or of another kind (an accept of a stream), says behind one that had
//!     to wait: epoll knows that nothing is to be had and does not ask.
//! 13. When a send without room hears that a Unix socket's way out was shut down: epoll shows nothing
//!     of that before the peer reads or closes.
//! 14. Where the kernel cannot be asked of a pipe or a socket without waiting (no `FMODE_NOWAIT`, as on
//!     Linux 6.1): a read of no bytes from a pipe, which io_uring keeps until there are some, and a read
//!     or write of a listener, whose readiness does not show epoll that it cannot be.
//! 15. How much had gone of a send that was cancelled, where that is not said (`Rig::forgets`): what the
//!     peer reads.
//! 16. A poll for urgent data alone before Linux 6.0, which io_uring ends when bytes or connections come
//!     (seen on 5.10.262). Nothing of ringloop's asks for that.
//!
//! More cases: `PROPTEST_CASES=1000 cargo test --lib differential`.

mod end;
mod play;
mod requests;
mod steps;
mod world;

use std::thread;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use self::play::play;
use self::steps::{Step, steps};
use super::*;

/// How many cases are played unless the environment says so.
const CASES: u32 = 24;

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(CASES),
        failure_persistence: Some(Box::new(FileFailurePersistence::SourceParallel(
            "proptest-regressions",
        ))),
        max_shrink_iters: 400,
        source_file: Some(file!()),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    // Seen to fail when a poll does not show a half-close unasked, when an emulated multishot is polled
    // before it is tried, and when a gathered send to a peer that has half-closed is let play.
    #[test]
    fn the_same_steps_have_the_same_results_on_every_backend(steps in steps()) {
        if let Err(difference) = compare(&steps.0) {
            return Err(TestCaseError::fail(difference));
        }
    }
}

/// Plays `steps` on every backend. The error tells the first difference.
fn compare(steps: &[Step]) -> Result<(), String> {
    let asked = BackendChoice::Auto.or_environment().expect("RINGLOOP_BACKEND names a backend");
    let oracle = |totals| {
        thread::scope(|scope| {
            let run = move || {
                let mut rig = Rig::new(BackendChoice::Epoll, NEWEST).expect("epoll is there");
                play(&mut rig, steps, totals, None)
            };
            scope.spawn(run).join().expect("the oracle plays to the end")
        })
    };
    let expected = oracle(true);
    let without_totals =
        if steps.iter().any(Step::has_total) { oracle(false) } else { expected.clone() };
    let (expected, without_totals) = (&expected, &without_totals);
    thread::scope(|scope| {
        let runs: Vec<_> = BACKENDS
            .into_iter()
            .filter(|(_, choice, _)| asked == BackendChoice::Auto || asked == *choice)
            .map(|(name, choice, linux)| {
                scope.spawn(move || {
                    let Some(mut rig) = Rig::new(choice, linux) else { return Ok(()) };
                    let totals = rig.driver.totals();
                    let expected = if totals { expected } else { without_totals };
                    let found = play(&mut rig, steps, totals, Some(expected));
                    difference(name, expected, &found).map_or(Ok(()), Err)
                })
            })
            .collect();
        runs.into_iter().try_for_each(|run| run.join().expect("it plays to the end"))
    })
}

fn difference(name: &str, expected: &[String], found: &[String]) -> Option<String> {
    let same = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    if same == expected.len() && same == found.len() {
        return None;
    }
    let mut text = String::from("\n");
    for line in &expected[..same] {
        text += &format!("      both: {line}\n");
    }
    let none = String::from("nothing");
    text += &format!("  syscalls: {}\n", expected.get(same).unwrap_or(&none));
    text += &format!("{name:>10}: {}\n", found.get(same).unwrap_or(&none));
    Some(text)
}
