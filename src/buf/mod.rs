//! Memory that the kernel may touch.
//!
//! All of it comes from one function, [`memory::allocate`], whose twin in test builds guards it: a
//! [`Block`] of bytes, a [`Stable`] value, or the buffers of a [`Pool`]. A shard has one pool: a fixed
//! ring of buffers that receives fill, and beside it heap pieces, both behind [`Lease`]s and both
//! counted in one budget of bytes.
//!
//! ```text
//!              ┌────────── Pool ──────────┐
//!   driver ◄── │ free ring buffers        │ ◄── the last Lease of a buffer is dropped
//!     │        └──────────────────────────┘
//!     └─ completion names a buffer ──► Pool::lease ──► Lease (to an inbox, a user, an outbox)
//!                                      few left: copied to the heap, the buffer goes back at once
//! ```

mod block;
mod large;
mod lease;
#[cfg_attr(any(test, ringloop_test), path = "guard.rs")]
mod memory;
mod message;
mod pool;
mod short;
mod spares;
mod stable;

use std::alloc::Layout;

pub(crate) use block::Block;
pub use lease::Lease;
pub(crate) use message::{Message, PIECES};
pub(crate) use pool::Pool;
pub(crate) use short::Short;
pub(crate) use spares::Spares;
pub(crate) use stable::Stable;

/// The layout of `len` bytes, of one where there is none.
fn layout(len: usize, align: usize) -> Layout {
    Layout::from_size_align(len.max(1), align).expect("a length below isize::MAX")
}
