//! **ringloop** is an io_uring-first, completion-based, thread-per-core async runtime for Linux, with
//! the feature set of Python's asyncio.
//!
//! ```no_run
//! use ringloop::net::TcpListener;
//!
//! fn main() -> std::io::Result<()> {
//!     ringloop::run(async {
//!         let listener = TcpListener::bind("127.0.0.1:7000").await?;
//!         loop {
//!             let (mut stream, _peer) = listener.accept().await?;
//!             ringloop::spawn(async move {
//!                 while let Some(chunk) = stream.read_chunk().await? {
//!                     stream.write_chunk(chunk).await?;
//!                 }
//!                 std::io::Result::Ok(())
//!             });
//!         }
//!     })
//! }
//! ```
//!
//! # What to know
//!
//! - **One thread, one loop.** [`run`] makes a runtime on the calling thread and runs a future on it;
//!   [`spawn`]ed tasks stay on that thread and need not be `Send`. [`Handle`] reaches it from others.
//! - **Dropping loses nothing.** What a socket received stays with the socket when a `read` is
//!   dropped; every method says under *Cancel safety* what that means for it.
//! - **Writes are taken, then sent.** `write_all` hands bytes to the stream's outbox, which runs at
//!   most 64 KiB ahead of the kernel; `flush` waits for the kernel. A dropped stream flushes in the
//!   background.
//! - **Two backends, one behaviour.** io_uring where the kernel has it and allows it, else epoll;
//!   [`Runtime::backend`] says which and why, [`Builder::backend`] and the environment variable
//!   `RINGLOOP_BACKEND` choose.
//!
//! # From here
//!
//! - [`stream`]: a reader and a writer. [`protocol`]: callbacks. [`server`]: whom they serve.
//! - [`net`]: TCP, UDP, Unix sockets, pipes, names. [`fs`]: files at positions. [`time`]: sleeping, limits, ticks.
//! - [`task`]: tasks, groups, cancel tokens. [`future`]: several futures at once. [`signal`], [`blocking`].
//! - [`sync`]: locks and channels of one thread. [`queue`]: queues with an end.
//! - [`Builder`]: a runtime with settings. [`metrics`]: what it has done. [`debug`]: what it waits for.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("ringloop runs on 64-bit Linux only: it is built on io_uring and epoll");

pub mod blocking;
mod buf;
pub mod debug;
mod driver;
pub mod fs;
pub mod future;
pub mod net;
mod note;
mod op;
pub mod protocol;
pub mod queue;
mod runtime;
pub mod server;
pub mod signal;
pub mod stream;
pub mod sync;
mod sys;
pub mod task;
#[cfg(any(test, ringloop_test))]
#[doc(hidden)]
pub mod testing;
#[cfg(not(any(test, ringloop_test)))]
#[path = "testing/absent.rs"]
mod testing;
pub mod time;
mod wait_list;
mod worker;

pub use blocking::spawn_blocking;
pub use buf::Lease;
pub use driver::{BackendChoice, BackendInfo, UnknownBackend};
pub use runtime::{Builder, Handle, Metrics, Runtime, metrics, root_token, run};
pub use runtime::{RemoteCallHandle, TimerHandle, call_at, call_later};
pub use task::{CallHandle, Unhandled, call_soon};
pub use task::{JoinError, JoinHandle, RemoteJoinHandle, TaskId, spawn};

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
