//! Why none of several addresses could be connected to.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use super::happy_eyeballs::Attempts;

/// Why none of several addresses could be connected to: what is inside the [`io::Error`] of
/// [`TcpStream::connect`](super::TcpStream::connect) then; asyncio's `all_errors`.
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
/// use ringloop::net::{ConnectError, TcpStream};
///
/// ringloop::run(async {
///     let nobody = ["127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap());
///     let error = TcpStream::connect(&nobody[..]).await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
///     let all = error.get_ref().unwrap().downcast_ref::<ConnectError>().unwrap();
///     assert!(all.attempts().iter().map(|(address, _)| *address).eq(nobody));
/// });
/// ```
#[doc(alias = "all_errors")]
#[derive(Debug)]
pub struct ConnectError {
    name: Option<String>,
    /// The limit that was reached.
    within: Option<Duration>,
    attempts: Vec<(SocketAddr, io::Error)>,
}

impl ConnectError {
    /// The addresses that were tried, in that order, and what came of each.
    pub fn attempts(&self) -> &[(SocketAddr, io::Error)] {
        &self.attempts
    }

    /// What to say when all attempts failed, or when the time of all was up. A single address that has
    /// failed speaks for itself.
    pub(super) fn of(
        name: Option<String>,
        within: Option<Duration>,
        attempts: Attempts,
    ) -> io::Error {
        let unanswered = || io::Error::new(ErrorKind::TimedOut, "no answer");
        let mut attempts: Vec<_> = attempts
            .into_iter()
            .map(|(address, error)| (address, error.unwrap_or_else(unanswered)))
            .collect();
        if within.is_none() && attempts.len() == 1 {
            return attempts.remove(0).1;
        }
        let kind = match within {
            Some(_) => ErrorKind::TimedOut,
            None => kind(attempts.iter().map(|(_, error)| error.kind())),
        };
        io::Error::new(kind, Self { name, within, attempts })
    }
}

/// The kind of many errors: that of the last one which came from farther away than this machine, for that
/// one was nearest to a connection; else of the last one.
fn kind(kinds: impl DoubleEndedIterator<Item = ErrorKind> + Clone) -> ErrorKind {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, TimedOut};
    let telling = [ConnectionRefused, ConnectionReset, ConnectionAborted, TimedOut];
    let mut last = kinds.rev();
    let told = last.clone().find(|kind| telling.contains(kind));
    told.or_else(|| last.next()).unwrap_or(ErrorKind::NotFound)
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection")?;
        if let Some(name) = &self.name {
            write!(f, " to {name}")?;
        }
        if let Some(within) = self.within {
            write!(f, " within {within:?}")?;
        }
        if self.attempts.is_empty() {
            return f.write_str(": the name was not looked up by then");
        }
        for (i, (address, error)) in self.attempts.iter().enumerate() {
            write!(f, "{} {address}: {error}", if i == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(errors: &[(&str, Option<ErrorKind>)]) -> Attempts {
        let attempt = |&(address, kind): &(&str, Option<ErrorKind>)| {
            (str::parse(address).unwrap(), kind.map(io::Error::from))
        };
        errors.iter().map(attempt).collect()
    }

    // L-18, check 128.
    #[test]
    fn one_failure_is_itself_and_several_are_all_told() {
        use ErrorKind::*;
        let one = attempts(&[("127.0.0.1:1", Some(PermissionDenied))]);
        let error = ConnectError::of(Some("a:1".into()), None, one);
        assert_eq!(error.kind(), PermissionDenied);
        assert!(error.get_ref().is_none());

        let two = attempts(&[("[::1]:1", Some(NetworkUnreachable)), ("1.2.3.4:5", None)]);
        let error = ConnectError::of(Some("a:1".into()), None, two);
        let text = "no connection to a:1: [::1]:1: network unreachable; 1.2.3.4:5: no answer";
        assert_eq!((error.kind(), error.to_string().as_str()), (TimedOut, text));

        let none = ConnectError::of(None, Some(Duration::from_secs(2)), attempts(&[]));
        let text = "no connection within 2s: the name was not looked up by then";
        assert_eq!((none.kind(), none.to_string().as_str()), (TimedOut, text));
    }

    // L-18.
    #[test]
    fn the_kind_of_many_errors_is_that_of_the_one_that_came_nearest() {
        use ErrorKind::*;
        let cases: [(&[ErrorKind], ErrorKind); 5] = [
            (&[ConnectionRefused, ConnectionRefused], ConnectionRefused),
            (&[ConnectionRefused, NetworkUnreachable], ConnectionRefused),
            (&[TimedOut, ConnectionRefused, AddrNotAvailable], ConnectionRefused),
            (&[ConnectionRefused, TimedOut], TimedOut),
            (&[NetworkUnreachable, HostUnreachable], HostUnreachable),
        ];
        for (kinds, told) in cases {
            assert_eq!(kind(kinds.iter().copied()), told, "{kinds:?}");
        }
    }
}
