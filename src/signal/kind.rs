//! Which signal.

use std::fmt;

/// A signal's number. Its `Display` is the name: `SIGTERM`.
///
/// # Examples
///
/// ```
/// use ringloop::signal::SignalKind;
///
/// assert_eq!(SignalKind::from_raw(15), SignalKind::terminate());
/// assert_eq!(SignalKind::terminate().to_string(), "SIGTERM");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalKind(i32);

macro_rules! kinds {
    ($($method:ident $name:ident $says:literal)*) => {
        impl SignalKind {
            $(
                #[doc = concat!(stringify!($name), ": ", $says)]
                pub const fn $method() -> Self {
                    Self(libc::$name)
                }
            )*
        }
    };
}

kinds! {
    alarm SIGALRM "a timer of `alarm(2)` has run out."
    child SIGCHLD "a child has stopped, gone on, or ended."
    hangup SIGHUP "the terminal is gone; servers read their configuration again."
    interrupt SIGINT "Ctrl-C."
    io SIGIO "a descriptor with `O_ASYNC` is ready."
    pipe SIGPIPE "a write to a pipe or socket that nobody reads; Rust programs ignore it from the start."
    quit SIGQUIT "Ctrl-\\."
    terminate SIGTERM "asked to end."
    user_defined1 SIGUSR1 "the program's own."
    user_defined2 SIGUSR2 "the program's own."
    window_change SIGWINCH "the terminal has another size."
}

impl SignalKind {
    /// The signal of this number: one that has no method here, or a real-time one
    /// (`libc::SIGRTMIN() + n`). What is no signal is refused by [`signal`](super::signal).
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn as_raw_value(self) -> i32 {
        self.0
    }
}

impl From<i32> for SignalKind {
    fn from(number: i32) -> Self {
        Self(number)
    }
}

impl From<SignalKind> for i32 {
    fn from(kind: SignalKind) -> Self {
        kind.0
    }
}

/// Of the signals that every Linux has.
fn name(number: i32) -> Option<&'static str> {
    Some(match number {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGCHLD => "SIGCHLD",
        libc::SIGCONT => "SIGCONT",
        libc::SIGSTOP => "SIGSTOP",
        libc::SIGTSTP => "SIGTSTP",
        libc::SIGTTIN => "SIGTTIN",
        libc::SIGTTOU => "SIGTTOU",
        libc::SIGURG => "SIGURG",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGVTALRM => "SIGVTALRM",
        libc::SIGPROF => "SIGPROF",
        libc::SIGWINCH => "SIGWINCH",
        libc::SIGIO => "SIGIO",
        libc::SIGPWR => "SIGPWR",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignalKind({self})")
    }
}
