//! Happy eyeballs (RFC 8305): of several addresses, the first that answers.
//!
//! Which address comes when is a [`Plan`]: plain data, without a socket. [`race`] carries it out: it starts
//! one attempt after the other, and what it returns is the one winner; the others are dropped with it.
//!
//! ```text
//!   v6 ──────────────────── no answer ─────────────── dropped
//!      250 ms  v4 ── refused
//!                   v6 ────────── connected: this one
//! ```

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::addr::{Family, Found};
use crate::time::{Sleep, sleep};

/// The head start that an address of a name has: the `Connection Attempt Delay` of RFC 8305.
pub(super) const DELAY: Duration = Duration::from_millis(250);

/// What the user said of several addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// Unsaid: [`DELAY`] for a name; one after the other for a list.
    pub(super) delay: Option<Option<Duration>>,
    /// Unsaid: 1 where there is a delay, else 0.
    pub(super) interleave: Option<usize>,
}

/// In which order addresses are tried, and how long each has before the next one is tried beside it.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) addresses: Vec<SocketAddr>,
    /// `None`: until it has failed.
    pub(super) delay: Option<Duration>,
}

impl Settings {
    pub(super) fn plan(&self, found: Found) -> Plan {
        let delay = self.delay.unwrap_or_else(|| found.name.is_some().then_some(DELAY));
        let first = self.interleave.unwrap_or_else(|| usize::from(delay.is_some()));
        let addresses = match first {
            0 => found.addresses,
            first => interleave(found.addresses, first),
        };
        Plan { addresses, delay }
    }
}

/// `first` addresses of the family of the first one, then one of each family in turn; within a family the
/// order stays.
fn interleave(addresses: Vec<SocketAddr>, first: usize) -> Vec<SocketAddr> {
    let total = addresses.len();
    let Some(family) = addresses.first().map(Family::of) else { return addresses };
    let (own, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| Family::of(address) == family);
    let (mut own, mut other) = (own.into_iter(), other.into_iter());
    let mut mixed: Vec<_> = own.by_ref().take(first.max(1)).collect();
    while mixed.len() < total {
        mixed.extend(other.next());
        mixed.extend(own.next());
    }
    mixed
}

/// What was tried so far, in the order of the starts: `None` has not answered yet.
pub(super) type Attempts = Vec<(SocketAddr, Option<io::Error>)>;

/// Carries out a plan: the result of the first attempt to succeed. `None`: all have failed, as `attempts`
/// says.
///
/// The next attempt starts when one has failed, or when the last one had its head start. Dropping it drops
/// the attempts that run.
pub(super) async fn race<T, A>(
    plan: Plan,
    attempts: &mut Attempts,
    start: impl Fn(SocketAddr) -> A,
) -> Option<T>
where
    A: Future<Output = io::Result<T>>,
{
    let mut waiting = plan.addresses.into_iter();
    // The oldest first: in a turn in which two succeed it wins. Each with its place in `attempts`.
    let mut running: Vec<(usize, Pin<Box<A>>)> = Vec::new();
    let mut head_start: Option<Sleep> = None;
    let mut may_start = true;
    poll_fn(|cx| {
        loop {
            if std::mem::take(&mut may_start)
                && let Some(address) = waiting.next()
            {
                running.push((attempts.len(), Box::pin(start(address))));
                attempts.push((address, None));
                head_start = plan.delay.filter(|_| waiting.len() > 0).map(sleep);
            }
            let ended = running.iter_mut().enumerate().find_map(|(i, (_, attempt))| match attempt
                .as_mut()
                .poll(cx)
            {
                Poll::Ready(result) => Some((i, result)),
                Poll::Pending => None,
            });
            match ended {
                Some((_, Ok(winner))) => return Poll::Ready(Some(winner)),
                Some((i, Err(error))) => {
                    let (place, _) = running.remove(i);
                    attempts[place].1 = Some(error);
                    may_start = true;
                    continue;
                }
                None if running.is_empty() => return Poll::Ready(None),
                None => {}
            }
            match head_start.as_mut().map(|sleep| Pin::new(sleep).poll(cx)) {
                Some(Poll::Ready(())) => {
                    head_start = None;
                    may_start = true;
                }
                Some(Poll::Pending) | None => return Poll::Pending,
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests;
