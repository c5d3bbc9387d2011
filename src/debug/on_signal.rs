//! The tree on demand, from outside the program.

use std::io::{self, Write};

use super::tree;
use crate::signal::{SignalKind, signal};
use crate::task::{JoinHandle, Spawn};

/// Prints the [tree](tree()) of the current runtime to standard error whenever the process gets the signal, as
/// `kill -USR1 PID` sends it; asyncio's `python -m asyncio pstree PID`.
///
/// It does so in a task of its own, until that is [cancelled](JoinHandle::cancel) or the runtime ends; the
/// task's result is the error that ended it.
///
/// # Errors
///
/// The signal's, as [`signal`](signal()) has them.
///
/// # Examples
///
/// ```
/// use ringloop::debug;
/// use ringloop::signal::SignalKind;
///
/// ringloop::run(async {
///     debug::print_on(SignalKind::user_defined1())?;
///     // … the program
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[doc(alias = "pstree")]
pub fn print_on(kind: SignalKind) -> io::Result<JoinHandle<io::Error>> {
    let mut signals = signal(kind)?;
    let print = async move {
        loop {
            match signals.recv().await {
                Ok(()) => drop(write!(io::stderr(), "{}", tree())),
                Err(error) => return error,
            }
        }
    };
    Ok(Spawn::new().name("debug::print_on").spawn(print))
}
