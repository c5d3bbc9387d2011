//! Why nothing was received.

use std::fmt;

/// Why [`recv`](super::Receiver::recv) has no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecvError {
    /// All senders are gone, and everything has been received.
    Closed,
    /// The receiver was too slow: so many values are lost to it. The next is the oldest that is there.
    Lagged(u64),
}

/// Why [`try_recv`](super::Receiver::try_recv) has no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryRecvError {
    /// There is none yet.
    Empty,
    /// All senders are gone, and everything has been received.
    Closed,
    /// The receiver was too slow: so many values are lost to it. The next is the oldest that is there.
    Lagged(u64),
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Closed,
            RecvError::Lagged(missed) => Self::Lagged(missed),
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TryRecvError::from(*self).fmt(f)
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the channel is empty"),
            Self::Closed => f.write_str("the channel is closed"),
            Self::Lagged(missed) => {
                write!(f, "the receiver was too slow and missed {missed} values")
            }
        }
    }
}

impl std::error::Error for RecvError {}
impl std::error::Error for TryRecvError {}
