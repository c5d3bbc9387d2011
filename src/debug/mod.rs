//! Looking at a program that runs: who waits for what, and what holds up the loop.
//!
//! A runtime is in debug mode by [`Builder::debug`](crate::Builder::debug) or, where the program says nothing,
//! by the environment variable `RINGLOOP_DEBUG=1`; asyncio's [debug mode]. It then
//!
//! - reports polls that take longer than [`Builder::slow_poll`](crate::Builder::slow_poll), and whether the
//!   thread slept meanwhile in calls that block;
//! - knows what each task waits for, down to the operation and its descriptor: [`tree`](tree()), also printed on
//!   a signal by [`print_on`];
//! - reports the tasks that had not ended, and the sockets and files that were still open, when the runtime
//!   ends.
//!
//! Reports go to standard error, or to [`Builder::on_report`](crate::Builder::on_report). Off, it costs nothing; on,
//! three system calls a poll.
//!
//! [debug mode]: https://docs.python.org/3/library/asyncio-dev.html#debug-mode
//!
//! # Examples
//!
//! ```
//! let mut runtime = ringloop::Builder::new().debug(true).build()?;
//! runtime.block_on(async {
//!     let task = ringloop::spawn(std::future::pending::<()>());
//!     task.set_name("waits for ever");
//!     ringloop::task::yield_now().await;
//!     println!("{}", ringloop::debug::tree());
//!     task.cancel();
//!     let _ = task.await;
//! });
//! # std::io::Result::Ok(())
//! ```

mod json;
mod on_signal;
mod tree;

pub use crate::runtime::Report;
pub use on_signal::print_on;
pub use tree::{State, TaskNode, Tree, Wait, tree};
