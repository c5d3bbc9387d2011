//! What test builds may change of the world: an older kernel, smaller queues, calls that fail.
//!
//! It is there in unit tests and under `--cfg ringloop_test`; else its twin `testing/absent.rs` stands
//! in its place and changes nothing. For a whole run the environment says what; one test asks for its
//! own thread.
//!
//! | variable | example | what it does |
//! |---|---|---|
//! | `RINGLOOP_TEST_KERNEL` | `6.1` | io_uring as that Linux has it |
//! | `RINGLOOP_TEST_QUEUES` | `2,4` | a ring of so many entries: both queues overflow all the time |
//! | `RINGLOOP_TEST_WAITS` | `EINTR/5` | every fifth entry into the kernel to wait fails with that errno (epoll's only with EINTR) |
//! | `RINGLOOP_TEST_CANCELS` | `2` | every second request that is cancelled on io_uring is missed at first, as at a bad moment |

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::sync::OnceLock;

/// Calls that fail: those of this thread from the `first` on (counted from now, from 0), `times` of
/// them, with `errno`.
///
/// They fail without reaching the kernel, as `io_uring_enter(2)` and `epoll_wait(2)` do when they have
/// not taken anything in.
pub fn fail_waits(first: u64, times: u64, errno: i32) {
    WAITS.set(0);
    PLAN.set(Some(Plan { first, times, errno }));
}

/// Ends [`fail_waits`]. How many waits there were since it was asked for.
pub fn waits() -> u64 {
    PLAN.set(None);
    WAITS.get()
}

/// The next reads of this thread that must not wait (`preadv2(2)` with `RWF_NOWAIT`) are answered so:
/// with an errno, or with 0 bytes where it is 0. They do not reach the kernel.
pub fn refuse_reads(errnos: &[i32]) {
    READS.set(errnos.iter().copied().collect());
}

/// The next runtime of this thread has no kernel behind it: `steps` say what comes of its requests.
/// Afterwards everything in flight ends as if it had been cancelled.
pub fn script(steps: Vec<Step>) {
    SCRIPT.set(Some(steps));
}

/// What a script can do. `nth` names a request in flight, in order of submission, counted round;
/// `flags` are those of a completion queue entry.
#[derive(Clone, Debug)]
pub enum Step {
    /// A wait ends.
    Turn,
    /// A request ends as well as it can.
    Honest { nth: u8 },
    /// A request gets this for an answer.
    Complete { nth: u8, result: i32, flags: u32 },
    /// Nobody's request does.
    Stray { token: u64, result: i32, flags: u32 },
    /// The last answer comes again.
    Repeat,
    /// The kernel takes a buffer.
    Take,
    /// What sockets say of their addresses from now on: the bytes of a `sockaddr`, and its length.
    Address(Vec<u8>, u32),
}

impl Step {
    /// A script out of any bytes.
    pub fn decode(bytes: &[u8]) -> Vec<Self> {
        let mut bytes = bytes.iter().copied();
        let mut steps = Vec::new();
        while let Some(kind) = bytes.next() {
            let mut byte = || bytes.next().unwrap_or(0);
            // Small numbers of either sign, and some of the largest.
            let result = |byte: u8, other: u8| match byte % 8 {
                0 => i32::from(other),
                1 => -i32::from(other),
                2 => i32::from(other) << 8,
                3 => i32::MAX - i32::from(other),
                4 => i32::MIN + i32::from(other),
                5 => -libc::ENOBUFS,
                6 => -libc::ECANCELED,
                _ => 4096 + i32::from(other) - 128,
            };
            steps.push(match kind % 8 {
                0 => Self::Turn,
                1 | 2 => Self::Honest { nth: byte() },
                3 | 4 => {
                    let nth = byte();
                    let result = result(byte(), byte());
                    let flags = u32::from(byte() & 7) | u32::from(byte()) << 16;
                    // That it met freed memory is the one lie that may not be told.
                    let result = if result == -libc::EFAULT { 0 } else { result };
                    Self::Complete { nth, result, flags }
                }
                5 => {
                    let token = u64::from(byte()) | u64::from(byte()) << 32;
                    let flags = u32::from(byte() & 7) | u32::from(byte()) << 16;
                    Self::Stray { token, result: i32::from(byte()), flags }
                }
                6 => match byte() % 4 {
                    0 => {
                        let len = u32::from(byte()) | u32::from(byte() & 1) << 31;
                        Self::Address((0..byte() % 200).map(|_| byte()).collect(), len)
                    }
                    1 => Self::Take,
                    _ => Self::Repeat,
                },
                _ => Self::Turn,
            });
        }
        steps
    }
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    first: u64,
    times: u64,
    errno: i32,
}

thread_local! {
    static WAITS: Cell<u64> = const { Cell::new(0) };
    static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
    static CANCELS: Cell<u64> = const { Cell::new(0) };
    static READS: RefCell<VecDeque<i32>> = const { RefCell::new(VecDeque::new()) };
    static SCRIPT: RefCell<Option<Vec<Step>>> = const { RefCell::new(None) };
}

pub(crate) fn linux() -> Option<(u8, u8)> {
    static LINUX: OnceLock<Option<(u8, u8)>> = OnceLock::new();
    *LINUX.get_or_init(|| pair("RINGLOOP_TEST_KERNEL", '.'))
}

pub(crate) fn queues() -> Option<(u32, u32)> {
    static QUEUES: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    *QUEUES.get_or_init(|| pair("RINGLOOP_TEST_QUEUES", ','))
}

/// Counts a request that is cancelled: whether it shall be missed.
pub(crate) fn misses() -> bool {
    static EVERY: OnceLock<Option<u64>> = OnceLock::new();
    let n = CANCELS.get();
    CANCELS.set(n + 1);
    let every = EVERY.get_or_init(|| {
        let text = std::env::var("RINGLOOP_TEST_CANCELS").ok()?;
        Some(text.parse().expect("RINGLOOP_TEST_CANCELS is a number"))
    });
    every.is_some_and(|every| n.is_multiple_of(every))
}

pub(crate) fn take_script() -> Option<Vec<Step>> {
    SCRIPT.take()
}

pub(crate) fn before_enter() -> io::Result<()> {
    planned().map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
}

/// Nothing but a signal makes `epoll_wait(2)` fail for a moment.
pub(crate) fn before_epoll_wait() -> io::Result<()> {
    match planned() {
        Some(libc::EINTR) => Err(io::Error::from_raw_os_error(libc::EINTR)),
        _ => Ok(()),
    }
}

pub(crate) fn read_now() -> Option<io::Result<usize>> {
    let errno = READS.with_borrow_mut(VecDeque::pop_front)?;
    Some(if errno == 0 { Ok(0) } else { Err(io::Error::from_raw_os_error(errno)) })
}

/// Counts a wait: the errno that it shall fail with.
fn planned() -> Option<i32> {
    let n = WAITS.get();
    WAITS.set(n + 1);
    if let Some(plan) = PLAN.get() {
        let hit = n.checked_sub(plan.first).is_some_and(|after| after < plan.times);
        return hit.then_some(plan.errno);
    }
    every().filter(|(_, turns)| n % turns == turns - 1).map(|(errno, _)| errno)
}

/// The errno and the period of `RINGLOOP_TEST_WAITS`.
fn every() -> Option<(i32, u64)> {
    static EVERY: OnceLock<Option<(i32, u64)>> = OnceLock::new();
    *EVERY.get_or_init(|| {
        let text = std::env::var("RINGLOOP_TEST_WAITS").ok()?;
        let (errno, turns) = text.split_once('/').expect("RINGLOOP_TEST_WAITS is like EINTR/5");
        let errno = match errno {
            "EINTR" => libc::EINTR,
            "EAGAIN" => libc::EAGAIN,
            "EBUSY" => libc::EBUSY,
            "ENOMEM" => libc::ENOMEM,
            _ => panic!("RINGLOOP_TEST_WAITS: {errno} is none of EINTR, EAGAIN, EBUSY, ENOMEM"),
        };
        Some((errno, turns.parse().expect("RINGLOOP_TEST_WAITS is like EINTR/5")))
    })
}

fn pair<T: std::str::FromStr>(variable: &str, between: char) -> Option<(T, T)> {
    let text = std::env::var(variable).ok()?;
    let parsed =
        text.split_once(between).and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    Some(parsed.unwrap_or_else(|| panic!("{variable}={text} is not two numbers with `{between}`")))
}
