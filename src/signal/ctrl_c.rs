//! Ctrl-C: one to wait for, and one that interrupts a whole program.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::listener::{Ear, Listener, What};
use super::{SignalKind, signal};
use crate::runtime::{Core, Runtime};
use crate::sys::signal::Interrupt;

/// Waits for Ctrl-C: for one SIGINT that comes after the first poll.
///
/// When it has come, or this is dropped, SIGINT does again what it did before: by default, the next one ends
/// the process, so that whoever is tired of waiting for the clean-up presses Ctrl-C once more. A loop that
/// waits again and again keeps a [`Signal`](super::Signal), so that none comes in between.
///
/// # Errors
///
/// As [`signal`].
///
/// # Cancel safety
///
/// Dropping it unsubscribes. A Ctrl-C that had come by then is forgotten.
///
/// # Examples
///
/// ```no_run
/// # async fn serve() {}
/// ringloop::run(async {
///     let server = ringloop::spawn(serve());
///     ringloop::signal::ctrl_c().await?;
///     println!("ending; press Ctrl-C again to end at once");
///     server.cancel();
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
pub async fn ctrl_c() -> io::Result<()> {
    signal(SignalKind::interrupt())?.recv().await
}

/// The main future was cut off by Ctrl-C: the error of
/// [`Runtime::block_on_interruptible`](crate::Runtime::block_on_interruptible).
#[doc(alias = "KeyboardInterrupt")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted by Ctrl-C")
    }
}

impl std::error::Error for Interrupted {}

impl From<Interrupted> for io::Error {
    fn from(error: Interrupted) -> Self {
        Self::other(error)
    }
}

impl Runtime {
    /// [`block_on`](Self::block_on), which Ctrl-C cuts off where [`Builder::ctrl_c`] says so.
    ///
    /// The first SIGINT cancels `future`: it is dropped where it stands, and what it owns is cleaned up by
    /// its drops. Tasks live on; they end with the runtime. **The second SIGINT ends the process at once**,
    /// also while the thread hangs in a loop that never awaits. When this returns, SIGINT does again what it
    /// did before.
    ///
    /// SIGINT is left alone where it is not at its default when this begins: a handler was installed, it is
    /// ignored (`nohup`), somebody [subscribed](super::signal) to it, another runtime's
    /// `block_on_interruptible` has it. So it is when no descriptor is left to hear it with. A subscription
    /// that is made meanwhile takes it over: then it interrupts nothing. asyncio's [`Runner`] has these rules.
    ///
    /// [`Builder::ctrl_c`]: crate::Builder::ctrl_c
    /// [`Runner`]: https://docs.python.org/3/library/asyncio-runner.html#handling-keyboard-interruption
    ///
    /// # Errors
    ///
    /// [`Interrupted`], unless `future` was ready all the same: its output is never lost.
    ///
    /// # Panics
    ///
    /// As [`block_on`](Self::block_on).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mut runtime = ringloop::Builder::new().ctrl_c(true).build()?;
    /// let nap = async { ringloop::time::sleep(Duration::from_millis(10)).await };
    /// match runtime.block_on_interruptible(nap) {
    ///     Ok(()) => println!("slept well"),
    ///     Err(interrupted) => println!("{interrupted}"),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    #[doc(alias = "KeyboardInterrupt")]
    pub fn block_on_interruptible<F: Future>(
        &mut self,
        future: F,
    ) -> Result<F::Output, Interrupted> {
        let core = self.core().clone();
        self.block_on(async move {
            // Before the future, and so dropped after it: its clean-up may take long.
            let interrupt = InterruptEar::new(&core);
            let mut future = pin!(future);
            poll_fn(|cx| match future.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Ok(output)),
                Poll::Pending => match &interrupt {
                    Some(interrupt) if interrupt.came(cx) => Poll::Ready(Err(Interrupted)),
                    _ => Poll::Pending,
                },
            })
            .await
        })
    }
}

/// Hears the SIGINT that interrupts.
struct InterruptEar {
    listener: Rc<Listener>,
    ear: Rc<Ear>,
}

impl InterruptEar {
    /// `None` where SIGINT is to be left alone.
    fn new(core: &Rc<Core>) -> Option<Self> {
        if !core.limits().ctrl_c {
            return None;
        }
        let listener = Listener::of(core).ok()?;
        let interrupt = Interrupt::new().ok()??;
        let ear = listener.listen(What::Interrupt(interrupt));
        Some(Self { listener, ear })
    }

    fn came(&self, cx: &Context<'_>) -> bool {
        // Without the budget, which the future may use up each time.
        matches!(self.listener.poll_news(&self.ear, cx), Poll::Ready(Ok(())))
    }
}

impl Drop for InterruptEar {
    fn drop(&mut self) {
        self.listener.forget(&self.ear);
    }
}
