//! The backend: a value that says which driver interprets, and how it is chosen.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Instant;

use super::epoll::Epoll;
use super::script::Script;
use super::uring::{Caps, Uring};
use super::{Driver, Until};
use crate::buf::Pool;
use crate::op::{Call, Completion, Request, Token};
use crate::sys::Bell;
use crate::sys::sync::Arc;
use crate::testing;
use crate::worker::Workers;

/// The environment variable that chooses where the program leaves it open.
const VARIABLE: &str = "RINGLOOP_BACKEND";

/// Which backend to use.
///
/// # Examples
///
/// ```
/// use ringloop::BackendChoice;
///
/// assert_eq!("epoll".parse(), Ok(BackendChoice::Epoll));
/// assert!("kqueue".parse::<BackendChoice>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// io_uring where the kernel allows it, else epoll.
    #[default]
    Auto,
    /// io_uring, or an error.
    Uring,
    /// epoll.
    Epoll,
}

impl BackendChoice {
    /// What the environment says, where the program leaves it open.
    ///
    /// # Errors
    ///
    /// The variable holds something else than a backend.
    pub(crate) fn or_environment(self) -> io::Result<Self> {
        match std::env::var_os(VARIABLE) {
            Some(value) if self == Self::Auto => {
                let text = value.to_string_lossy();
                text.parse().map_err(|error: UnknownBackend| {
                    let message = format!("{VARIABLE}: {error}");
                    io::Error::new(io::ErrorKind::InvalidInput, message)
                })
            }
            _ => Ok(self),
        }
    }
}

impl FromStr for BackendChoice {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        match text {
            "auto" | "" => Ok(Self::Auto),
            "uring" => Ok(Self::Uring),
            "epoll" => Ok(Self::Epoll),
            _ => Err(UnknownBackend(text.into())),
        }
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        })
    }
}

/// A text that names no backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBackend(Box<str>);

impl fmt::Display for UnknownBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no backend: say auto, uring or epoll", self.0)
    }
}

impl std::error::Error for UnknownBackend {}

/// Which backend a runtime has, and why: its `Display` is one sentence.
///
/// # Examples
///
/// ```
/// let runtime = ringloop::Builder::new().backend(ringloop::BackendChoice::Epoll).build()?;
/// assert_eq!(runtime.backend().to_string(), "epoll: asked for");
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct BackendInfo {
    choice: BackendChoice,
    sentence: Box<str>,
}

impl BackendInfo {
    /// `Uring` or `Epoll`.
    pub fn choice(&self) -> BackendChoice {
        self.choice
    }
}

impl fmt::Display for BackendInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// One of the drivers.
#[derive(Debug)]
pub(crate) enum Backend {
    Uring(Box<Uring>),
    Epoll(Box<Epoll>),
    /// For tests, where nobody can make it otherwise.
    Script(Box<Script>),
}

impl Backend {
    /// Makes the driver that `choice` asks for.
    ///
    /// # Errors
    ///
    /// `Unsupported`, with the reason, where io_uring was asked for and is not to be had; what the
    /// kernel says where neither can be made.
    pub(crate) fn open(
        choice: BackendChoice,
        pool: &Pool,
        workers: Arc<Workers>,
    ) -> io::Result<(Self, BackendInfo)> {
        if let Some(script) = Script::asked_for() {
            let sentence = "script: a test asked for it".into();
            let info = BackendInfo { choice: BackendChoice::Auto, sentence };
            return Ok((Self::Script(Box::new(script)), info));
        }
        if choice == BackendChoice::Epoll {
            return Self::epoll(workers, "asked for");
        }
        let (most, taken_for) = match testing::linux() {
            Some(linux @ (major, minor)) => {
                (Caps::of_linux(linux), format!(", taken for Linux {major}.{minor}"))
            }
            None => (Caps::ALL, String::new()),
        };
        match Uring::new(pool, most) {
            Ok((uring, sentence)) => {
                let sentence = format!("uring: {sentence}{taken_for}").into();
                let info = BackendInfo { choice: BackendChoice::Uring, sentence };
                Ok((Self::Uring(Box::new(uring)), info))
            }
            Err(refused) if choice == BackendChoice::Auto && refused.fall_back => {
                Self::epoll(workers, &refused.reason)
            }
            Err(refused) => Err(io::Error::new(refused.kind, refused.reason)),
        }
    }

    fn epoll(workers: Arc<Workers>, reason: &str) -> io::Result<(Self, BackendInfo)> {
        let sentence = format!("epoll: {reason}").into();
        let info = BackendInfo { choice: BackendChoice::Epoll, sentence };
        Ok((Self::Epoll(Box::new(Epoll::new(workers)?)), info))
    }

    /// Whether a multishot receive ends by itself at `Recv::total`. io_uring before Linux 6.17 ignores
    /// it: there a receive that must pause is cancelled.
    pub(crate) fn totals(&self) -> bool {
        match self {
            Self::Uring(driver) => driver.totals(),
            Self::Epoll(_) | Self::Script(_) => true,
        }
    }

    /// Whether news shows without a system call, so that looking for it is cheap.
    pub(crate) fn shows_news(&self) -> bool {
        matches!(self, Self::Uring(_))
    }
}

impl Driver for Backend {
    fn submit(&mut self, token: Token, request: Request) {
        match self {
            Self::Uring(driver) => driver.submit(token, request),
            Self::Epoll(driver) => driver.submit(token, request),
            Self::Script(driver) => driver.submit(token, request),
        }
    }

    fn cancel(&mut self, token: Token) {
        match self {
            Self::Uring(driver) => driver.cancel(token),
            Self::Epoll(driver) => driver.cancel(token),
            Self::Script(driver) => driver.cancel(token),
        }
    }

    fn wait(&mut self, until: Until, pool: &Pool, done: &mut Vec<Completion>) -> io::Result<()> {
        match self {
            Self::Uring(driver) => driver.wait(until, pool, done),
            Self::Epoll(driver) => driver.wait(until, pool, done),
            Self::Script(driver) => driver.wait(until, pool, done),
        }
    }

    fn is_quiet(&mut self) -> bool {
        match self {
            Self::Uring(driver) => driver.is_quiet(),
            Self::Epoll(driver) => driver.is_quiet(),
            Self::Script(driver) => driver.is_quiet(),
        }
    }

    fn call(&mut self, call: Call<'_>) -> io::Result<i32> {
        match self {
            Self::Uring(driver) => driver.call(call),
            Self::Epoll(driver) => driver.call(call),
            Self::Script(driver) => driver.call(call),
        }
    }

    fn now(&self) -> Instant {
        match self {
            Self::Uring(driver) => driver.now(),
            Self::Epoll(driver) => driver.now(),
            Self::Script(driver) => driver.now(),
        }
    }

    fn bell(&self) -> Bell {
        match self {
            Self::Uring(driver) => driver.bell(),
            Self::Epoll(driver) => driver.bell(),
            Self::Script(driver) => driver.bell(),
        }
    }
}
