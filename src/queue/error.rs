//! What a queue may answer. What was to be put comes back.

use std::fmt;

/// The queue was shut down; asyncio's [`QueueShutDown`]. The value is what was to be put.
///
/// [`QueueShutDown`]: https://docs.python.org/3/library/asyncio-queue.html#asyncio.QueueShutDown
#[doc(alias = "QueueShutDown")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct QueueShutdown<T = ()>(pub T);

/// Why `try_put` did not put; the value comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TryPutError<T> {
    /// There is no place, or others wait for the one that there is; asyncio's `QueueFull`.
    #[doc(alias = "QueueFull")]
    Full(T),
    /// The queue was shut down.
    #[doc(alias = "QueueShutDown")]
    Shutdown(T),
}

/// Why `try_get` has nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryGetError {
    /// There is no item, or others wait for those that there are; asyncio's `QueueEmpty`.
    #[doc(alias = "QueueEmpty")]
    Empty,
    /// The queue was shut down, and it is empty.
    #[doc(alias = "QueueShutDown")]
    Shutdown,
}

/// `task_done` was called more often than items were put; asyncio's `ValueError`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskDoneError(pub(super) ());

impl<T> TryPutError<T> {
    /// What was to be put.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Shutdown(value) => value,
        }
    }
}

impl<T> fmt::Debug for QueueShutdown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueShutdown").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for QueueShutdown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue was shut down")
    }
}

impl<T> fmt::Debug for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Full(_) => "Full",
            Self::Shutdown(_) => "Shutdown",
        };
        f.debug_tuple(name).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Shutdown(_) => "the queue was shut down",
        })
    }
}

impl fmt::Display for TryGetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the queue is empty",
            Self::Shutdown => "the queue was shut down",
        })
    }
}

impl fmt::Display for TaskDoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task_done was called more often than items were put")
    }
}

impl<T> std::error::Error for QueueShutdown<T> {}
impl<T> std::error::Error for TryPutError<T> {}
impl std::error::Error for TryGetError {}
impl std::error::Error for TaskDoneError {}
