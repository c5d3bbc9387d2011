//! One suite, run on every backend.
//!
//! Each test gets a [`Builder`] for each backend that this machine and `RINGLOOP_BACKEND` allow; the
//! check runs the whole binary again under a seccomp filter that forbids io_uring.
#![expect(clippy::async_yields_async, reason = "handles outlive the block_on that made them")]

mod support;

mod cached;
mod choose;
mod elsewhere;
mod ends;
mod everywhere;
mod fairness;
mod files;
mod idle;
mod interval;
#[cfg(ringloop_test)]
mod lies;
mod names;
mod panics;
mod pipes;
mod readiness;
mod remote;
mod servers;
mod smoke;
mod syscalls;
mod tasks;
mod tcp;
mod time;
#[cfg(ringloop_test)]
mod torture;
mod udp;
mod unix;
mod unix_datagram;
mod user_code;
mod wakers;
