//! Memory that the kernel may touch.
//!
//! All of it is a [`Block`], which one function allocates, or the pool's one mapping, so that a test
//! twin can guard it. A shard has one [`Pool`]: a fixed ring of buffers that receives fill, and beside it heap
//! pieces, both behind [`Lease`]s and both counted in one budget of bytes.
//!
//! ```text
//!              ┌────────── Pool ──────────┐
//!   driver ◄── │ free ring buffers        │ ◄── the last Lease of a buffer is dropped
//!     │        └──────────────────────────┘
//!     └─ completion names a buffer ──► Pool::lease ──► Lease (to an inbox, a user, an outbox)
//!                                      few left: copied to the heap, the buffer goes back at once
//! ```

mod lease;
mod memory;
mod message;
mod pool;
mod short;
mod spares;

pub use lease::Lease;
pub(crate) use memory::Block;
pub(crate) use message::{Message, PIECES};
pub(crate) use pool::Pool;
pub(crate) use short::Short;
pub(crate) use spares::Spares;
