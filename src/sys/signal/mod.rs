//! What a process does about signals: whose handler is installed, and who hears of it.
//!
//! ```text
//!   a signal ──► handler (handler.rs): counts it, rings the chimes of those who listen; nothing else
//!                    │ eventfd
//!                    ▼
//!   a runtime reads its chime through its driver, then compares the counts
//! ```
//!
//! The first [`Subscription`] of a signal puts our handler in the place of the one before, the last puts
//! that one back, unless somebody else's stands there by then. Nobody's mask is touched, so children that
//! are made by exec(2) have the default dispositions, and an empty mask if their maker had one. A child
//! that was only forked gives a signal back to the default when it comes.
#![expect(unsafe_code, reason = "sigaction(2)")]

mod handler;

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

use super::fork::Process;
use super::sync::{Mutex, MutexGuard};
use super::{check, count};
use handler::{INTERRUPT, LINES, Line, interrupt};

pub(crate) use handler::Chime;

/// Our handler stands for it as long as this lives.
#[derive(Debug)]
pub(crate) struct Subscription {
    signal: i32,
    process: Process,
}

impl Subscription {
    /// Subscribes.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: there is no such signal, or it can or should not be caught.
    pub(crate) fn new(signal: i32) -> io::Result<Self> {
        may_be_caught(signal)?;
        let mut dispositions = dispositions();
        LINES[signal as usize].subscribers.fetch_add(1, SeqCst);
        if signal == libc::SIGINT {
            // Else one of them could take away what `hold` finds standing.
            handler::wait_for_decisions();
        }
        match dispositions.hold(signal) {
            Ok(ours) => {
                ours.subscribers += 1;
                Ok(Self { signal, process: Process::current() })
            }
            Err(error) => {
                LINES[signal as usize].subscribers.fetch_sub(1, SeqCst);
                Err(error)
            }
        }
    }

    pub(crate) fn signal(&self) -> i32 {
        self.signal
    }

    /// How often the signal has come, as far as the handler was told.
    pub(crate) fn came(&self) -> u64 {
        self.line().came.load(SeqCst)
    }

    fn line(&self) -> &'static Line {
        &LINES[self.signal as usize]
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.process.is_foreign() {
            return;
        }
        let mut dispositions = dispositions();
        dispositions.let_go(self.signal, |ours| ours.subscribers -= 1);
        // Only now: a signal that comes in between is still ours.
        self.line().subscribers.fetch_sub(1, SeqCst);
    }
}

/// While it lives, the first SIGINT is noted, and the next one ends the process, as it would by default.
/// A subscription to SIGINT takes it over.
#[derive(Debug)]
pub(crate) struct Interrupt(Process);

impl Interrupt {
    /// `None` where SIGINT is somebody's already, or ignored.
    ///
    /// # Errors
    ///
    /// What `sigaction(2)` says.
    pub(crate) fn new() -> io::Result<Option<Self>> {
        let mut dispositions = dispositions();
        handler::wait_for_decisions();
        let free = is_default(&get(libc::SIGINT)?);
        if !free || dispositions.0.iter().any(|ours| ours.signal == libc::SIGINT) {
            return Ok(None);
        }
        INTERRUPT.store(interrupt::ARMED, SeqCst);
        match dispositions.hold(libc::SIGINT) {
            Ok(ours) => ours.interrupt = true,
            Err(error) => {
                INTERRUPT.store(interrupt::OFF, SeqCst);
                return Err(error);
            }
        }
        Ok(Some(Self(Process::current())))
    }

    pub(crate) fn signal(&self) -> i32 {
        libc::SIGINT
    }

    /// Whether SIGINT has come.
    pub(crate) fn fired(&self) -> bool {
        INTERRUPT.load(SeqCst) == interrupt::FIRED
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        if self.0.is_foreign() {
            return;
        }
        let mut dispositions = dispositions();
        dispositions.let_go(libc::SIGINT, |ours| ours.interrupt = false);
        INTERRUPT.store(interrupt::OFF, SeqCst);
        // Else one of them could take away what the program installs next.
        handler::wait_for_decisions();
    }
}

/// A signal for which our handler was installed.
struct Ours {
    signal: i32,
    subscribers: usize,
    interrupt: bool,
    before: libc::sigaction,
}

/// The signals for which our handler was installed.
struct Dispositions(Vec<Ours>);

impl Dispositions {
    /// Sees to it that our handler stands for `signal`.
    fn hold(&mut self, signal: i32) -> io::Result<&mut Ours> {
        let at = self.0.iter().position(|ours| ours.signal == signal);
        LINES[signal as usize].process.store(Process::current().bits(), SeqCst);
        let before = get(signal)?;
        let at = match at {
            // Not ours any more: the interrupt has reset it, or another library took it.
            Some(at) if !is_ours(&before) => {
                self.0[at].before = before;
                at
            }
            Some(at) => return Ok(&mut self.0[at]),
            None => {
                // One of ours that this process was forked with is nobody's here.
                let before = if is_ours(&before) { empty() } else { before };
                self.0.push(Ours { signal, subscribers: 0, interrupt: false, before });
                self.0.len() - 1
            }
        };
        if let Err(error) = set(signal, &ours()) {
            if self.0[at].subscribers == 0 && !self.0[at].interrupt {
                self.0.remove(at);
            }
            return Err(error);
        }
        Ok(&mut self.0[at])
    }

    /// Changes what is held of `signal`; where nothing is, puts back what was before.
    fn let_go(&mut self, signal: i32, change: impl FnOnce(&mut Ours)) {
        let Some(at) = self.0.iter().position(|ours| ours.signal == signal) else { return };
        change(&mut self.0[at]);
        if self.0[at].subscribers > 0 || self.0[at].interrupt {
            return;
        }
        let ours = self.0.swap_remove(at);
        // Somebody else's stays.
        if get(signal).is_ok_and(|now| is_ours(&now)) {
            let put_back = set(signal, &ours.before);
            debug_assert!(put_back.is_ok(), "what stood there before may stand there again");
        }
    }
}

/// Those of this process. A forked child begins with none: its parent's may be locked there for ever.
fn dispositions() -> MutexGuard<'static, Dispositions> {
    static HERE: AtomicPtr<Mutex<Dispositions>> = AtomicPtr::new(ptr::null_mut());
    loop {
        let here = HERE.load(SeqCst);
        // SAFETY: it is null or was made by the leak below: it lives for ever, and is shared only.
        if let Some(own) = unsafe { here.as_ref() }
            && !own.is_foreign()
            && let Some(guard) = own.lock()
        {
            return guard;
        }
        let new = Box::into_raw(Box::new(Mutex::new(Dispositions(Vec::new()))));
        // SAFETY: it was made just now, and is freed below only where nobody else has seen it.
        let guard = unsafe { &*new }.lock();
        if HERE.compare_exchange(here, new, SeqCst, SeqCst).is_ok() {
            // Locked: nobody subscribes before that is done.
            handler::begin_anew();
            return guard.expect("this process made it");
        }
        drop(guard);
        // SAFETY: nobody else has seen it, and the guard is gone.
        drop(unsafe { Box::from_raw(new) });
    }
}

fn may_be_caught(signal: i32) -> io::Result<()> {
    let says = match signal {
        libc::SIGKILL | libc::SIGSTOP => "cannot be caught: the kernel does not ask the process",
        libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE => {
            "is a fault of the thread that it comes to: whoever goes on runs into it again, so a task \
             cannot wait for it"
        }
        1..=31 => return Ok(()),
        _ if (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&signal) => return Ok(()),
        32.. if signal < libc::SIGRTMIN() => "is one that the C library keeps for itself",
        _ => "is none: signals are numbered from 1 to 64",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("signal {signal} {says}")))
}

/// The default, with no flags and an empty mask.
fn empty() -> libc::sigaction {
    // SAFETY: all zeros is a sigaction: SIG_DFL, no flags, an empty mask.
    unsafe { std::mem::zeroed() }
}

/// System calls go on after it where they can, and it runs on the thread's own signal stack, if it has one.
fn ours() -> libc::sigaction {
    let handler = handler::heard as extern "C" fn(libc::c_int);
    libc::sigaction {
        sa_sigaction: handler as usize,
        sa_flags: libc::SA_RESTART | libc::SA_ONSTACK,
        ..empty()
    }
}

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == ours().sa_sigaction
}

fn is_default(action: &libc::sigaction) -> bool {
    let foreign = || Process::of_bits(LINES[libc::SIGINT as usize].process.load(SeqCst));
    action.sa_sigaction == libc::SIG_DFL || is_ours(action) && foreign().is_foreign()
}

fn get(signal: i32) -> io::Result<libc::sigaction> {
    count::one();
    let mut action = empty();
    // SAFETY: nothing is set, and `action` is writable.
    check(unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) })?;
    Ok(action)
}

fn set(signal: i32, action: &libc::sigaction) -> io::Result<()> {
    count::one();
    // SAFETY: `action` is the default, one that stood there before, or ours, which does nothing that a
    // handler must not do.
    check(unsafe { libc::sigaction(signal, action, ptr::null_mut()) }).map(drop)
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Whether `act` ends only when a handler that is about to reset SIGINT has done so.
    fn waits(act: impl FnOnce() + Send) -> bool {
        // No handler decides before there are any.
        drop(dispositions());
        thread::scope(|scope| {
            let decision = handler::Decision::begin();
            let acts = scope.spawn(act);
            thread::sleep(Duration::from_millis(50));
            let waits = !acts.is_finished();
            drop(decision);
            waits
        })
    }

    // Each seen to fail when it did not wait.
    #[test]
    fn nobody_goes_on_while_a_handler_is_about_to_reset_sigint() {
        // A shell that starts it in the background has it ignored.
        let before = get(libc::SIGINT).unwrap();
        set(libc::SIGINT, &empty()).unwrap();
        let mut interrupt = None;
        assert!(waits(|| interrupt = Interrupt::new().unwrap()), "an interrupt");
        let interrupt = interrupt.expect("SIGINT is nobody's");
        assert!(waits(|| drop(interrupt)), "its end");
        assert!(waits(|| drop(Subscription::new(libc::SIGINT).unwrap())), "a subscription");
        set(libc::SIGINT, &before).unwrap();
    }
}
