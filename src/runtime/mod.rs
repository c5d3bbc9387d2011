//! The runtime: the only place where tasks meet I/O.
//!
//! [`core::Core`] is what everything above holds on to: it owns the driver, the tasks, the slots of
//! what is in flight, the timers and the pool, each behind its own short borrow. A [`Runtime`] drives
//! it, turn by turn:
//!
//! ```text
//!   run_ready   poll what was ready when the turn began
//!   flush       sockets that gathered writes submit one send each
//!   rearm       sockets that found no buffer receive again
//!   wait        hand over, sleep: the only place where a thread sleeps
//!   settle      every completion: token → slot → waker or sink; no user code
//!   timers      wake what is due
//!   mail        wakes and closures of other threads
//! ```

mod alarms;
mod awake;
mod builder;
mod calls;
mod context;
mod core;
mod fd;
mod handle;
mod inflight;
mod lanes;
mod metrics;
mod op;
mod root;
mod run;
mod shutdown;
mod sink;
mod submit;
mod timers;
mod turn;
mod watch;

pub(crate) use self::core::Core;
pub(crate) use context::current;
pub(crate) use fd::Fd;
pub(crate) use inflight::Waiting;
pub(crate) use lanes::Lane;
pub(crate) use op::{Op, OpenOp, ReadOp};
pub(crate) use sink::{Role, Sink, Wakes};
pub(crate) use submit::Submit;
pub(crate) use timers::Key as TimerKey;
pub(crate) use watch::Seen;

pub use builder::Builder;
pub use calls::{RemoteCallHandle, TimerHandle, call_at, call_later};
pub use handle::Handle;
pub use metrics::{Metrics, metrics};
pub use root::root_token;
pub use run::{Runtime, run};
pub use watch::Report;
