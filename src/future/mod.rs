//! Futures made by hand, and of other futures.

mod promise;

pub use promise::{Promise, PromiseError, PromiseFuture};
