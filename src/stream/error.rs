//! Why a whole could not be read.

use std::error::Error;
use std::{fmt, io};

/// Why a line, a record or an exact length could not be read.
///
/// It converts into an [`io::Error`], so `?` serves in a function that returns one.
///
/// # Examples
///
/// ```
/// use ringloop::stream::{ReadError, Reader};
///
/// /// The next command, or the reason to end the connection.
/// async fn command(reader: &mut Reader) -> std::io::Result<Option<Vec<u8>>> {
///     let mut command = Vec::new();
///     match reader.read_until(b";", &mut command).await {
///         Ok(_) => Ok(Some(command)),
///         Err(ReadError::Incomplete(end)) if end.partial().is_empty() => Ok(None),
///         Err(error) => Err(error.into()),
///     }
/// }
/// ```
#[derive(Debug)]
pub enum ReadError {
    /// The stream has ended before that; here is what had come.
    Incomplete(IncompleteRead),
    /// More than the limit stands before the separator. It stays to be read.
    Limit(LimitOverrun),
    /// The connection's error. What came before it stays to be read.
    Io(io::Error),
}

/// The stream has ended in the middle; asyncio's [`IncompleteReadError`].
///
/// [`IncompleteReadError`]: https://docs.python.org/3/library/asyncio-exceptions.html#asyncio.IncompleteReadError
#[doc(alias = "IncompleteReadError")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncompleteRead {
    pub(super) partial: Vec<u8>,
    pub(super) expected: Option<usize>,
}

/// More than the limit stands before a separator, if there is one; asyncio's [`LimitOverrunError`].
///
/// The bytes stay to be read: [`Reader::skip_line`](super::Reader::skip_line) drops the line,
/// [`Reader::set_limit`](super::Reader::set_limit) allows it.
///
/// [`LimitOverrunError`]: https://docs.python.org/3/library/asyncio-exceptions.html#asyncio.LimitOverrunError
#[doc(alias = "LimitOverrunError")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOverrun {
    pub(super) consumed: usize,
    pub(super) found: bool,
}

impl ReadError {
    /// The kind that it has as an [`io::Error`].
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Incomplete(_) => io::ErrorKind::UnexpectedEof,
            Self::Limit(_) => io::ErrorKind::InvalidData,
            Self::Io(error) => error.kind(),
        }
    }
}

impl IncompleteRead {
    /// What had come before the end. Nobody can read it any more.
    pub fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// What had come before the end.
    pub fn into_partial(self) -> Vec<u8> {
        self.partial
    }

    /// How many bytes were to be read, where that was known.
    pub fn expected(&self) -> Option<usize> {
        self.expected
    }
}

impl LimitOverrun {
    /// How many bytes stand for certain before a separator.
    pub fn consumed(&self) -> usize {
        self.consumed
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete(error) => error.fmt(f),
            Self::Limit(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for IncompleteRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let came = self.partial.len();
        match self.expected {
            Some(expected) => write!(f, "the stream ended after {came} of {expected} bytes"),
            None => write!(f, "the stream ended after {came} bytes, before a separator"),
        }
    }
}

impl fmt::Display for LimitOverrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.found { "before the separator" } else { "and no separator yet" };
        write!(f, "{} bytes {place}: more than the stream's limit", self.consumed)
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => error.source(),
            Self::Incomplete(_) | Self::Limit(_) => None,
        }
    }
}

impl Error for IncompleteRead {}

impl Error for LimitOverrun {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<IncompleteRead> for ReadError {
    fn from(error: IncompleteRead) -> Self {
        Self::Incomplete(error)
    }
}

impl From<LimitOverrun> for ReadError {
    fn from(error: LimitOverrun) -> Self {
        Self::Limit(error)
    }
}

impl From<IncompleteRead> for io::Error {
    fn from(error: IncompleteRead) -> Self {
        Self::new(io::ErrorKind::UnexpectedEof, error)
    }
}

impl From<LimitOverrun> for io::Error {
    fn from(error: LimitOverrun) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Incomplete(error) => error.into(),
            ReadError::Limit(error) => error.into(),
            ReadError::Io(error) => error,
        }
    }
}
