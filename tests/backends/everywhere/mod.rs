//! Every public future, cut off everywhere: dropped, forgotten, timed out, before its first poll and
//! after each. What it worked on must still work, nothing may be lost, mixed or left over.

mod complete;
mod cut;
mod datagrams;
mod files;
mod fuse;
mod opening;
mod passing;
mod peer;
mod pipes;
mod protocols;
mod reading;
mod sending;
mod serving;
mod streams;
mod sync;
mod together;
mod unix;
mod waiting;
mod writing;

use std::cell::Cell;
use std::pin::Pin;
use std::time::{Duration, Instant};

use cut::{Cut, How};
use ringloop::task::yield_now;
use ringloop::{Builder, metrics, spawn};

use crate::support::{Watchdog, alone, backends, build};
use crate::tcp::{descriptors, poll_once};

/// One kind of wait: sets up, cuts it off, and checks what it worked on.
struct Case {
    /// The public futures that it is about, as `Type::method` or `function`.
    names: &'static [&'static str],
    run: fn(Cut) -> Pin<Box<dyn Future<Output = Ends>>>,
}

/// Whether the future came to its end.
type Ends = bool;

/// `case!("Type::method", …; function(arguments))`
macro_rules! case {
    ($($name:literal),+; $function:ident($($argument:expr),*)) => {
        $crate::everywhere::Case {
            names: &[$($name),+],
            run: |cut| Box::pin($function(cut $(, $argument)*)),
        }
    };
}
use case;

fn cases() -> impl Iterator<Item = Case> {
    let groups = [
        reading::cases(),
        streams::cases(),
        writing::cases(),
        opening::cases(),
        datagrams::cases(),
        serving::cases(),
        files::cases(),
        waiting::cases(),
        sync::cases(),
        passing::cases(),
        pipes::cases(),
        protocols::cases(),
        sending::cases(),
        together::cases(),
        unix::cases(),
    ];
    groups.into_iter().flatten()
}

/// Turns the loop until all books are balanced.
async fn balanced(what: &dyn std::fmt::Debug) {
    let start = Instant::now();
    loop {
        let m = metrics();
        let books = (m.in_flight, m.timers, m.tasks_alive, m.buffered, fuse::wakers_left());
        if books == (0, 0, 0, 0, 0) {
            assert_eq!(m.strays, 0, "{what:?}");
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{what:?} leaves {books:?}");
        yield_now().await;
    }
}

/// Runs `test` for each case on each backend, each under a watchdog of its own.
fn each_case(test: impl Fn(&mut Builder, &Case)) {
    for backend in backends() {
        for case in cases() {
            let _watchdog = Watchdog::start(format!("{:?} on {backend}", case.names));
            test(Builder::new().backend(backend), &case);
        }
    }
}

/// Runs every case with every cut of a kind; one runtime a case.
fn cut_off(name: &str, cuts: &[Cut]) {
    alone(&format!("everywhere::{name}"), || {
        let how = cuts[0].how;
        waiting::listen_once();
        let at_first = descriptors();
        each_case(|builder, case| {
            // A worker of the runtime before may still close what it has opened.
            while how != How::Forgotten && descriptors() > at_first {
                std::thread::yield_now();
            }
            let (mut ended, mut cut_off) = (0, 0);
            let mut runtime = build(builder.grace(Duration::from_secs(20)));
            let before = descriptors();
            for &cut in cuts {
                let what = (case.names, cut);
                let ends = runtime.block_on(async { said_where(&what, (case.run)(cut)).await });
                *if ends { &mut ended } else { &mut cut_off } += 1;
                if how != How::Forgotten {
                    runtime.block_on(balanced(&what));
                }
            }
            let at_once = how != How::TimedOut || case.names.iter().any(|n| AT_ONCE.contains(n));
            assert!(ended > 0 || !at_once, "{:?} never came to its end", case.names);
            let waits = !case.names.iter().any(|name| NEVER_WAIT.contains(name));
            assert!(
                cut_off > 0 || how == How::TimedOut || !waits,
                "{:?} was never cut",
                case.names
            );
            // A worker may still read /etc/hosts for a look-up that was cut off. What is kept, the watchdog
            // ends.
            while how != How::Forgotten && descriptors() > before {
                std::thread::yield_now();
            }
            assert_eq!(runtime.metrics().strays, 0, "{:?}", case.names);
            let start = Instant::now();
            drop(runtime);
            // Half of the grace: what was forgotten does not hold it up.
            assert!(start.elapsed() < Duration::from_secs(10), "{:?} at the end", case.names);
            // Beside those of a worker of this runtime's, as above.
            assert!(descriptors() >= at_first, "{:?} closes what is not its own", case.names);
        });
    });
}

/// Those whose result is there when the loop looks next, and so before the time limit, of which it
/// hears in the same turn.
const AT_ONCE: [&str; 8] = [
    "TcpStream::read",
    "TcpStream::read_chunk",
    "TcpListener::accept",
    "UnixStream::read",
    "UnixStream::read_chunk",
    "UnixListener::accept",
    "Readiness::readable",
    "JoinHandle",
];

/// Those that no event is needed for, as far as a test can bring it about: the kernel takes what they send
/// at once, and their wakers are nobody's.
const NEVER_WAIT: [&str; 4] =
    ["UdpSocket::send", "UdpSocket::send_to", "UdpSocket::send_segments", "UdpSocket::send_batch"];

/// Says which case it was when it panics.
async fn said_where<F: Future + Unpin>(what: &dyn std::fmt::Debug, future: F) -> F::Output {
    struct Where<'a>(&'a dyn std::fmt::Debug);
    impl Drop for Where<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("in {:?}", self.0);
            }
        }
    }
    let _where = Where(what);
    future.await
}

// Seen to fail when `Interval::tick` moved on before it had waited, when `accept` awaited something
// between taking a connection and handing it out, and when `Submit` forgot its operation on drop.
#[test]
fn a_future_dropped_anywhere_loses_and_leaves_nothing() {
    cut_off("a_future_dropped_anywhere_loses_and_leaves_nothing", &Cut::all(How::Dropped));
}

// Seen to fail when `accept` awaited something between taking a connection and handing it out.
#[test]
fn a_future_forgotten_anywhere_loses_nothing_and_does_not_hold_up_the_end() {
    cut_off(
        "a_future_forgotten_anywhere_loses_nothing_and_does_not_hold_up_the_end",
        &Cut::all(How::Forgotten),
    );
}

// Seen to fail when `timeout` looked at its clock first.
#[test]
fn a_time_limit_in_the_turn_of_the_result_loses_no_result() {
    cut_off("a_time_limit_in_the_turn_of_the_result_loses_no_result", &Cut::all(How::TimedOut));
}

// Seen to fail when `Submit::poll` held its operation while the waker was cloned (its descriptor was
// closed, and its memory freed, under the kernel's hands), and when wakers were dropped in the open.
#[test]
fn a_waker_that_panics_anywhere_loses_and_leaves_nothing() {
    cut_off("a_waker_that_panics_anywhere_loses_and_leaves_nothing", &Cut::panicking());
}

/// How a whole case, with all that it owns, goes away in the middle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Dropped, then the runtime: its requests are orphans at the end.
    DroppedBefore,
    /// The runtime first.
    DroppedAfter,
    /// Polled to its end after the runtime's.
    GoesOnAfter,
    /// As a task that is cancelled.
    Cancelled,
    /// As a task that lives when the runtime ends.
    Ended,
    /// The memory stays, with pointers of the kernel into it or without.
    Forgotten,
}

fn in_the_middle(builder: &Builder, case: &Case, polls: usize, fate: Fate) {
    // Peers that do not read would use it up.
    let mut builder = builder.clone();
    if fate == Fate::Forgotten {
        // They stay, each guarded by mappings of its own in test builds, and of those there are not too many.
        builder.buffers(4, 16 << 10);
    }
    let builder = &builder;
    let mut runtime = build(builder.clone().grace(Duration::from_millis(10)));
    let mut whole = (case.run)(Cut::NEVER);
    if matches!(fate, Fate::Cancelled | Fate::Ended) {
        runtime.block_on(async {
            let task = spawn(whole);
            crate::tcp::turns(polls).await;
            if fate == Fate::Cancelled {
                task.cancel();
                // A cancel is obeyed, or comes too late.
                assert!(matches!(task.await, Ok(true)) || metrics().tasks_alive <= 2);
            }
        });
        return;
    }
    let done = runtime.block_on(async {
        for _ in 0..polls {
            if poll_once(&mut whole).await.is_ready() {
                return true;
            }
            yield_now().await;
        }
        false
    });
    match fate {
        _ if done => {}
        Fate::DroppedBefore => drop(whole),
        Fate::Forgotten => std::mem::forget(whole),
        Fate::DroppedAfter => {
            drop(runtime);
            drop(whole);
        }
        _ => {
            drop(runtime);
            // It says an error and its case fails, or it goes on without the runtime; it does not
            // wait for what will never come.
            let went_on = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let mut whole = whole;
                build(builder).block_on(async {
                    let start = Instant::now();
                    let mut polls = 0u64;
                    while poll_once(&mut whole).await.is_pending() {
                        polls += 1;
                        // Also in turns: a machine that stands still makes none.
                        if start.elapsed() > Duration::from_secs(5) && polls > 200_000 {
                            return false;
                        }
                        yield_now().await;
                    }
                    true
                })
            }));
            let ended = went_on.unwrap_or(true);
            EXPECTED.set(false);
            assert!(ended, "{:?}, after {polls} polls, waits for what will never come", case.names);
        }
    }
}

// Seen to fail when a `Sleep` went on waiting after the end of its runtime.
#[test]
fn whatever_owns_a_future_may_go_in_the_middle_with_the_runtime_before_or_after() {
    let name = "whatever_owns_a_future_may_go_in_the_middle_with_the_runtime_before_or_after";
    let name = format!("everywhere::{name}");
    alone(&name, || {
        // What goes on after the end of its runtime panics in its `unwrap`s, and is expected to.
        silent_when_expected();
        each_case(|builder, case| {
            // Most of them end early; each takes thousands of runtimes.
            for polls in [0, 1, 2, 3, 5, 8] {
                use Fate::*;
                for fate in [DroppedBefore, DroppedAfter, GoesOnAfter, Cancelled, Ended] {
                    EXPECTED.set(fate == GoesOnAfter);
                    in_the_middle(builder, case, polls, fate);
                }
                EXPECTED.set(false);
                // Each keeps a few descriptors for good, and in test builds mappings, of which a process may have 65,530.
                if matches!(polls, 2 | 5) {
                    in_the_middle(builder, case, polls, Forgotten);
                }
            }
        });
    });
}

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// In a process of its own.
fn silent_when_expected() {
    std::panic::set_hook(Box::new(|panic| {
        if !EXPECTED.get() {
            eprintln!("{panic}");
        }
    }));
}

/// An event that happens once.
fn once(event: impl FnOnce()) -> impl FnMut() {
    let mut event = Some(event);
    move || {
        if let Some(event) = event.take() {
            event();
        }
    }
}
