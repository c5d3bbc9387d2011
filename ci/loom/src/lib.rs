//! Models of what crosses threads in ringloop: loom runs each of them on every interleaving.
//!
//! `src/task/{mail,home,remote}.rs` are compiled here as they stand; what they name of the rest of the
//! runtime has a twin in this package:
//!
//! ```text
//!   crate::sys::sync   loom's types, and sizes small enough to model          sys/sync.rs
//!   crate::sys::Bell   a bell that a modelled owner waits for                 sys/mod.rs
//!   super::table       the statics, made anew in every run                    task/mod.rs
//!   super::waker       how many tasks an address can name                     task/mod.rs
//!   super::join        an error with one reason                               task/mod.rs
//!   super::discard     a drop that does not panic                             task/mod.rs
//!   super::wake        a wake that does not panic                             task/mod.rs
//! ```
//!
//! `cd ci/loom && cargo test --release` runs all models. A model that says [`Bound::None`] is
//! exhaustive; one that says [`Bound::Preemptions`] checks all runs in which that many times a thread
//! is stopped where it could have gone on. loom ends a run in which all threads wait: that is how a
//! lost wake shows itself.
//!
//! What loom cannot show: its fences and locks order a little more than C++'s do, it never moves a
//! relaxed load behind a later store, and `Condvar` never wakes without cause.
//!
//! Each model names the *breakages* that it was seen to catch: one change of the source, after which
//! it fails. Try them again when a model is changed.

mod sys;
mod task;

pub use task::models;

/// How far a model is driven.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// Every interleaving.
    None,
    /// Every interleaving with at most so many preemptions.
    Preemptions(usize),
}

/// Runs `model` on every interleaving within `bound`.
fn check(bound: Bound, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = match bound {
        Bound::None => None,
        Bound::Preemptions(most) => Some(most),
    };
    builder.check(model);
}
