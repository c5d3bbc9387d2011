//! What went wrong in a group.

use std::error::Error;
use std::fmt;
use std::io;

/// The errors of a [`TaskGroup`](super::TaskGroup): at least one.
///
/// asyncio's [`ExceptionGroup`]. They stand in the order in which they came; the body's own is the last.
///
/// [`ExceptionGroup`]: https://docs.python.org/3/library/exceptions.html#ExceptionGroup
#[doc(alias = "ExceptionGroup")]
#[derive(Clone, PartialEq, Eq)]
pub struct GroupError<E> {
    errors: Vec<E>,
}

impl<E> GroupError<E> {
    pub(super) fn new(errors: Vec<E>) -> Self {
        debug_assert!(!errors.is_empty());
        Self { errors }
    }

    /// The error that came first, and ended the others.
    pub fn first(&self) -> &E {
        &self.errors[0]
    }

    /// The error that came first, by value.
    pub fn into_first(self) -> E {
        self.errors.into_iter().next().expect("a group that failed has an error")
    }

    /// All of them.
    pub fn errors(&self) -> &[E] {
        &self.errors
    }

    /// All of them, by value.
    pub fn into_errors(self) -> Vec<E> {
        self.errors
    }
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = &*self.errors {
            return write!(f, "a task of the group failed: {only}");
        }
        write!(f, "{} tasks of the group failed", self.errors.len())?;
        for (i, error) in self.errors.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}

impl<E: fmt::Debug> fmt::Debug for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GroupError").field(&self.errors).finish()
    }
}

/// Its text has those of all errors, so it names none as its source.
impl<E: fmt::Debug + fmt::Display> Error for GroupError<E> {}

/// A single error as it is; several as one of the first one's kind.
impl From<GroupError<Self>> for io::Error {
    fn from(group: GroupError<Self>) -> Self {
        match group.errors.len() {
            1 => group.into_first(),
            _ => Self::new(group.first().kind(), group),
        }
    }
}
