//! Signals, as things to wait for.
//!
//! [`signal`] subscribes: any number of tasks, on any thread's runtime, may hear the same signal.
//! [`ctrl_c`](ctrl_c()) waits for one SIGINT.
//! [`Runtime::block_on_interruptible`](crate::Runtime::block_on_interruptible) ends a whole program in good
//! order.
//!
//! ```
//! use ringloop::signal::{SignalKind, signal};
//!
//! # let raise = |signal: i32| std::process::Command::new("kill")
//! #     .args([format!("-{signal}"), std::process::id().to_string()]).status();
//! ringloop::run(async {
//!     let mut hangup = signal(SignalKind::hangup())?;
//!     # raise(1)?;
//!     loop {
//!         hangup.recv().await?;
//!         println!("reading the configuration again");
//!         # break;
//!     }
//!     std::io::Result::Ok(())
//! }).unwrap();
//! ```
//!
//! # What to know
//!
//! - **Signals coalesce.** However often a signal comes before a subscriber looks, it hears of it once: the
//!   kernel keeps one of a kind, and so do we.
//! - **A subscription takes the signal over**, for the whole process: what it did before (ending the process,
//!   by default) it does again when the last subscriber is gone. The handler that stood there before is put
//!   back, unless another library has put its own there meanwhile.
//! - **Children** made by [`std::process::Command`] have the default dispositions and an empty mask. One
//!   that was forked and runs on as a copy has the default too: its parent's subscriptions are not its own.
//! - System calls that a signal interrupts go on (`SA_RESTART`), where the kernel can.
//! - A signal that every thread blocks never comes.
//!
//! See asyncio's [`add_signal_handler`]; unlike it, this works in any thread.
//!
//! [`add_signal_handler`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.add_signal_handler

mod ctrl_c;
mod kind;
mod listener;

use std::fmt;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::runtime::current;
use crate::sys;
use crate::task::{poll_proceed, spend};
use listener::{Ear, Listener, What};

pub use ctrl_c::{Interrupted, ctrl_c};
pub use kind::SignalKind;

/// A subscription to a signal: what comes from now on is heard by [`recv`](Self::recv), also if it comes
/// before that is called.
///
/// Dropping it unsubscribes. It belongs to the runtime in which it was made.
#[doc(alias = "add_signal_handler")]
pub struct Signal {
    listener: Rc<Listener>,
    ear: Rc<Ear>,
    kind: SignalKind,
}

/// Subscribes to a signal; see the [module's page](self) for what that means to others.
///
/// SIGCHLD may be subscribed to. It says that children have stopped or ended, one or several; whoever
/// awaits a [`std::process::Child`] by its own means need not hear it.
///
/// # Errors
///
/// `InvalidInput` for what is no signal, for SIGKILL and SIGSTOP, of which no process hears, and for SIGSEGV,
/// SIGBUS, SIGILL and SIGFPE, behind which nothing goes on; `NotConnected` outside a runtime; what the kernel
/// says when descriptors are short: the first subscription of a runtime takes two, one of which stays for
/// later ones.
///
/// # Examples
///
/// ```
/// use ringloop::signal::{SignalKind, signal};
///
/// ringloop::run(async {
///     let _terminate = signal(SignalKind::terminate())?;
///     let refused = signal(SignalKind::from_raw(9)).unwrap_err();
///     assert_eq!(refused.to_string(), "SIGKILL cannot be caught: the kernel does not ask the process");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[doc(alias = "add_signal_handler")]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    let core = current()?;
    core.may_begin()?;
    let subscription = sys::signal::Subscription::new(kind.as_raw_value()).map_err(|error| {
        let number = format!("signal {}", kind.as_raw_value());
        let text = error.to_string().replacen(&number, &kind.to_string(), 1);
        if error.raw_os_error().is_some() { error } else { io::Error::new(error.kind(), text) }
    })?;
    let listener = Listener::of(&core)?;
    let ear = listener.listen(What::signal(subscription));
    Ok(Signal { listener, ear, kind })
}

impl Signal {
    /// Waits for the signal. It has come once or more often since the subscription, or since the last time.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the runtime has ended, or where another one runs.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: the next call hears what this one would have heard.
    pub async fn recv(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Self::recv) for a future or a stream that is written by hand. The waker of the last call is
    /// woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(poll_proceed(cx));
        let heard = ready!(self.listener.poll_news(&self.ear, cx));
        spend();
        Poll::Ready(heard)
    }

    /// Which signal it is.
    pub fn kind(&self) -> SignalKind {
        self.kind
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        self.listener.forget(&self.ear);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("kind", &self.kind).finish_non_exhaustive()
    }
}
