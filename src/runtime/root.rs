//! The token that a runtime cancels when it ends.

use super::context::current;
use super::core::Core;
use crate::task::CancelToken;

impl Core {
    fn root_token(&self) -> CancelToken {
        self.root.get_or_init(CancelToken::new).clone()
    }

    pub(super) fn root_token_if_any(&self) -> Option<&CancelToken> {
        self.root.get()
    }
}

/// The current runtime's token, which is cancelled when the runtime ends: for tasks that clean up then.
///
/// At its end a runtime cancels the token and goes on until nobody holds it, a clone or a child of it any
/// more, for its [grace](crate::Builder::grace) at most; then the tasks that are left are dropped. A task
/// that holds nothing of it is dropped without further ado when those are done. Keep it in tasks only: one
/// that is kept elsewhere holds up the end for the whole grace.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// let saved = Rc::new(Cell::new(false));
/// let save = saved.clone();
/// ringloop::run(async move {
///     let token = ringloop::root_token();
///     ringloop::spawn(async move {
///         token.cancelled().await;
///         ringloop::task::yield_now().await; // Clean-up that awaits.
///         save.set(true);
///     });
///     ringloop::task::yield_now().await;
/// });
/// assert!(saved.get());
/// ```
pub fn root_token() -> CancelToken {
    match current() {
        Ok(core) => core.root_token(),
        Err(error) => panic!("{error}"),
    }
}
