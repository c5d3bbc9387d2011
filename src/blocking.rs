//! Calls that block, on a thread of the runtime's pool.

use std::io;

use crate::runtime::current;
use crate::task;

/// Runs `f` on a thread of the pool and gives its result back here.
///
/// # Errors
///
/// No runtime runs here, the pool refuses (the runtime ends, or no thread can be had), or `f`
/// panicked.
pub(crate) async fn run<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (sender, result) = task::remote();
    current()?.block(Box::new(move || {
        let value = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
        sender.send(value.map_err(task::JoinError::panic));
    }))?;
    Ok(result.await?)
}
