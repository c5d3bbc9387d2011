//! **ringloop**: an io_uring-first, completion-based, thread-per-core async runtime for Linux, with
//! the feature set of Python's asyncio.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("ringloop runs on 64-bit Linux only: it is built on io_uring and epoll");

mod blocking;
mod buf;
mod driver;
pub mod fs;
pub mod net;
mod op;
mod runtime;
mod sys;
pub mod task;
pub mod time;
mod worker;

pub use buf::Lease;
pub use driver::{BackendChoice, BackendInfo, UnknownBackend};
pub use runtime::{Builder, Handle, Metrics, Runtime, metrics, run};
pub use task::{JoinError, JoinHandle, spawn};
