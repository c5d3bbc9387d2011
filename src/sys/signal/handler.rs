//! The handler, and what it reads and writes.
//!
//! It may run at any instant, also while this thread holds a lock or allocates. So everything here is
//! an atomic in a static, it makes no calls but write(2), sigaction(2) and raise(3), and it keeps errno.
#![expect(unsafe_code, reason = "runs within a signal: errno, write(2), sigaction(2), raise(3)")]

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst,
};

use crate::sys::fork::Process;
use crate::sys::{check, count};

/// What is known of one signal.
pub(super) struct Line {
    /// Whose handler it is: that of the process that installed it last.
    pub(super) process: AtomicU64,
    /// How often it came.
    pub(super) came: AtomicU64,
    pub(super) subscribers: AtomicU32,
}

/// By number.
pub(super) static LINES: [Line; 65] = [const {
    Line { process: AtomicU64::new(0), came: AtomicU64::new(0), subscribers: AtomicU32::new(0) }
}; 65];

/// What SIGINT does where nobody subscribed to it.
pub(super) static INTERRUPT: AtomicU8 = AtomicU8::new(interrupt::OFF);

/// Handlers that decide what a SIGINT does, and may set it to its default.
static DECIDING: AtomicUsize = AtomicUsize::new(0);

/// The values of [`INTERRUPT`].
pub(super) mod interrupt {
    /// Nobody's concern.
    pub(crate) const OFF: u8 = 0;
    /// The next one is noted.
    pub(crate) const ARMED: u8 = 1;
    /// It was. The next one ends the process.
    pub(crate) const FIRED: u8 = 2;
}

/// An `eventfd(2)` that the handler rings, and whose ring a runtime reads.
struct Place {
    taken: AtomicBool,
    /// Of the process that made the descriptor. A child must not ring its parent's.
    process: AtomicU64,
    /// Made once and never closed, for the handler may be about to ring it: the next one takes it over.
    fd: AtomicI32,
    /// The signals to ring for: bit 0 is signal 1.
    signals: AtomicU64,
}

/// As many as there may be runtimes.
static PLACES: [Place; 4096] = [const {
    Place {
        taken: AtomicBool::new(false),
        process: AtomicU64::new(0),
        fd: AtomicI32::new(-1),
        signals: AtomicU64::new(0),
    }
}; 4096];

/// How many places, from the first on, were ever taken.
static USED: AtomicUsize = AtomicUsize::new(0);

/// The handler.
pub(super) extern "C" fn heard(signal: libc::c_int) {
    // SAFETY: it takes nothing.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: this thread's errno, which lives as long as the thread.
    let before = unsafe { *errno };
    hear(signal);
    // SAFETY: as above.
    unsafe { *errno = before };
}

fn hear(signal: libc::c_int) {
    let Some(line) = LINES.get(signal as usize) else { return };
    if Process::of_bits(line.process.load(SeqCst)).is_foreign() {
        return give_back(signal);
    }
    if signal == libc::SIGINT && line.subscribers.load(SeqCst) == 0 {
        let decision = Decision::begin();
        let is_given_back = decide(signal, line);
        drop(decision);
        if is_given_back {
            return;
        }
    }
    // First the count, then the ring: whoever hears the ring sees the count.
    line.came.fetch_add(1, SeqCst);
    let bit = 1u64 << (signal - 1);
    for place in PLACES.iter().take(USED.load(SeqCst)) {
        let rings = place.signals.load(SeqCst) & bit != 0;
        if rings && !Process::of_bits(place.process.load(SeqCst)).is_foreign() {
            ring(place.fd.load(SeqCst));
        }
    }
}

/// Counts in [`DECIDING`] while it lives.
pub(super) struct Decision(());

impl Decision {
    pub(super) fn begin() -> Self {
        DECIDING.fetch_add(1, SeqCst);
        Self(())
    }
}

impl Drop for Decision {
    fn drop(&mut self) {
        DECIDING.fetch_sub(1, SeqCst);
    }
}

/// Notes a SIGINT that nobody subscribed to, or gives it back: whether it did that.
fn decide(signal: libc::c_int, line: &Line) -> bool {
    // Again: whoever subscribed before we were counted does not wait for us.
    if line.subscribers.load(SeqCst) > 0 {
        return false;
    }
    match INTERRUPT.compare_exchange(interrupt::ARMED, interrupt::FIRED, SeqCst, SeqCst) {
        Ok(_) => by_default(signal),
        Err(interrupt::FIRED) => {
            give_back(signal);
            return true;
        }
        Err(_) => {}
    }
    false
}

/// Waits until no handler that found nobody subscribed to SIGINT is about to set it to its default. They
/// are done in an instant, and no new one comes once somebody is subscribed, or the interrupt is off.
pub(super) fn wait_for_decisions() {
    while DECIDING.load(SeqCst) > 0 {
        std::thread::yield_now();
    }
}

/// Forgets who subscribed in the process that this one was forked from.
pub(super) fn begin_anew() {
    INTERRUPT.store(interrupt::OFF, SeqCst);
    // Those who decided at the fork are not here.
    DECIDING.store(0, SeqCst);
    LINES.iter().for_each(|line| line.subscribers.store(0, SeqCst));
}

/// What would have happened without us happens.
fn give_back(signal: libc::c_int) {
    by_default(signal);
    // SAFETY: it takes a number. The signal is blocked while its handler runs, and comes after it.
    unsafe { libc::raise(signal) };
}

fn by_default(signal: libc::c_int) {
    // SAFETY: all zeros is the default, with no flags and an empty mask.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: sets a signal to its default; sigaction(2) may be called in a handler.
    unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
}

fn ring(fd: RawFd) {
    let one = 1u64;
    // SAFETY: `one` is eight readable bytes, which is what an eventfd takes. It would wait only at a count
    // that no number of signals reaches. Descriptors of places are never closed.
    unsafe { libc::write(fd, (&raw const one).cast(), 8) };
}

/// A place that is taken, until it is dropped. It may have been rung before, for another.
#[derive(Debug)]
pub(crate) struct Chime {
    index: usize,
    process: Process,
}

impl Chime {
    /// Takes a place.
    ///
    /// # Errors
    ///
    /// Nobody has left one, or no descriptor is left.
    pub(crate) fn new() -> io::Result<Self> {
        let process = Process::current();
        for (index, place) in PLACES.iter().enumerate() {
            // In a forked child its parent's places stay taken.
            if place.taken.swap(true, SeqCst) {
                continue;
            }
            let taken = Self { index, process };
            if place.process.load(SeqCst) != process.bits() {
                count::one();
                // SAFETY: eventfd takes two integers. Not O_NONBLOCK: io_uring would not wait for it.
                let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
                place.fd.store(fd, SeqCst);
                place.process.store(process.bits(), SeqCst);
            }
            USED.fetch_max(index + 1, SeqCst);
            return Ok(taken);
        }
        Err(io::Error::other("4096 ringloop runtimes listen for signals already"))
    }

    /// What to read eight bytes from.
    pub(crate) fn fd(&self) -> RawFd {
        PLACES[self.index].fd.load(SeqCst)
    }

    /// Rings for these from now on, and for no others.
    pub(crate) fn ring_for(&self, signals: impl Iterator<Item = i32>) {
        if !self.process.is_foreign() {
            let bits = signals.fold(0, |bits, signal| bits | 1u64 << (signal - 1));
            PLACES[self.index].signals.store(bits, SeqCst);
        }
    }
}

impl Drop for Chime {
    fn drop(&mut self) {
        if !self.process.is_foreign() {
            PLACES[self.index].signals.store(0, SeqCst);
            PLACES[self.index].taken.store(false, SeqCst);
        }
    }
}
