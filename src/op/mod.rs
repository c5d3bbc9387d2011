//! The seam: an operation as plain data.
//!
//! A [`Request`] is answered later, by [`Completion`]s that carry its [`Token`]. A [`Call`] is
//! answered at once. Nothing here knows who interprets it: that is a driver's business.
//!
//! ```text
//!   runtime ── submit(Token, Request) ──►  driver  ── Completion { Token, result, flags } ──► runtime
//!           ── call(Call) ──────────────►          ── io::Result<i32> ─────────────────────►
//! ```

mod call;
mod completion;
mod request;

pub(crate) use call::{Call, Way};
pub(crate) use completion::{Completion, Flags, Token};
pub(crate) use request::{Into, Request};
