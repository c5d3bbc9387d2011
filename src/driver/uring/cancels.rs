//! Cancels, and those that miss.
//!
//! A request that has come back from its poll and is about to be tried again is not found by a cancel;
//! one that a kernel's worker has in hands is found, but not always stopped. Both may then wait for
//! ever. So whoever is missed is asked again until it has ended (`uring-sys-notes/cancel.md`).

use std::time::{Duration, Instant};

use super::super::Until;
use crate::op::{Completion, Token};

/// In the user data of a cancel's answer, beside the token that it is for; no token has such an index.
const ANSWER: u64 = 1 << 31;

/// How long one that was missed twice is left alone; then twice as long each time, and no longer than this.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(1));

/// So often in a row nobody is between two places: whoever is not found then has ended before.
const ENDED: u32 = 8;

/// The requests that were asked to end and have not.
#[derive(Debug, Default)]
pub(super) struct Cancels {
    asked: Asked,
    /// Those that the last cancel missed.
    missed: Vec<Token>,
    /// When they are asked again.
    next: Option<Instant>,
}

/// The user data of the answer to a cancel.
pub(super) const fn answer(token: Token) -> u64 {
    token.user_data() | ANSWER
}

/// Whose answer has this user data, if it is one.
pub(super) fn answered(user_data: u64) -> Option<Token> {
    // The marks of other completions have all bits of the upper half of an index.
    (user_data & 0xf000_0000 == ANSWER).then(|| Token::from_user_data(user_data & !ANSWER))
}

impl Cancels {
    /// Takes down a request that is asked to end. Returns the user data of the answer.
    pub(super) fn ask(&mut self, token: Token) -> u64 {
        self.asked.insert(token);
        answer(token)
    }

    /// Takes in the answer of a cancel.
    pub(super) fn hear(&mut self, token: Token, result: i32) {
        let Some(times) = self.asked.get_mut(token) else { return };
        *times += 1;
        match -result {
            libc::ENOENT if *times > ENDED => self.asked.remove(token),
            libc::ENOENT | libc::EALREADY => {
                let pause = pause(*times);
                self.missed.push(token);
                let next = Instant::now() + pause;
                self.next = Some(self.next.map_or(next, |earlier| earlier.min(next)));
            }
            _ => {}
        }
    }

    /// Forgets those that have ended; the others that were missed are due.
    pub(super) fn settle(&mut self, done: &[Completion]) {
        if self.asked.is_empty() && self.missed.is_empty() {
            return;
        }
        for completion in done.iter().filter(|completion| !completion.flags.more()) {
            self.asked.remove(completion.token);
        }
        self.missed.retain(|token| self.asked.get_mut(*token).is_some());
        if self.missed.is_empty() {
            self.next = None;
        }
    }

    /// Whether nobody is to be asked again.
    pub(super) fn is_quiet(&self) -> bool {
        self.missed.is_empty()
    }

    /// Those that are to be asked again now.
    pub(super) fn due(&mut self) -> Vec<Token> {
        if self.next.is_none_or(|next| next > Instant::now()) {
            return Vec::new();
        }
        self.next = None;
        std::mem::take(&mut self.missed)
    }

    /// `until`, or when somebody is due before it.
    pub(super) fn limit(&self, until: Until) -> Until {
        match (self.next, until) {
            (None, _) | (_, Until::Now) => until,
            (Some(next), Until::Event) => Until::Instant(next),
            (Some(next), Until::Instant(instant)) => Until::Instant(instant.min(next)),
        }
    }
}

/// How long one that was missed so often is left alone.
fn pause(times: u32) -> Duration {
    let (first, longest) = PAUSE;
    match times {
        1 => Duration::ZERO,
        _ => first.saturating_mul(1 << (times - 2).min(20)).min(longest),
    }
}

/// Tokens, and how often each was missed, by their index: those of what is in flight are dense.
#[derive(Debug, Default)]
struct Asked {
    places: Vec<Option<Place>>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    serial: u32,
    times: u32,
}

impl Asked {
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn insert(&mut self, token: Token) {
        let index = token.index() as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        // One of another serial has ended: of an index, one is in flight at a time.
        let place = &mut self.places[index];
        if place.is_none_or(|place| place.serial != token.serial()) {
            self.len += usize::from(place.is_none());
            *place = Some(Place { serial: token.serial(), times: 0 });
        }
    }

    fn get_mut(&mut self, token: Token) -> Option<&mut u32> {
        let place = self.places.get_mut(token.index() as usize)?.as_mut()?;
        (place.serial == token.serial()).then_some(&mut place.times)
    }

    fn remove(&mut self, token: Token) {
        if self.get_mut(token).is_some() {
            self.places[token.index() as usize] = None;
            self.len -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Flags;

    const TOKEN: Token = Token::new(7, 3);

    fn missed(result: i32) -> Cancels {
        let mut cancels = Cancels::default();
        assert_eq!(answered(cancels.ask(TOKEN)), Some(TOKEN));
        cancels.hear(TOKEN, -result);
        cancels.settle(&[]);
        cancels
    }

    /// Asks those again that are due, until `rounds` have missed; how long the driver may sleep then.
    fn again(cancels: &mut Cancels, rounds: usize, result: i32) -> Option<Duration> {
        for _ in 0..rounds {
            // As if it were later.
            cancels.next = cancels.next.map(|_| Instant::now());
            assert_eq!(cancels.due(), [TOKEN]);
            assert!(cancels.is_quiet());
            cancels.hear(TOKEN, -result);
            cancels.settle(&[]);
        }
        match cancels.limit(Until::Event) {
            Until::Instant(instant) => Some(instant.saturating_duration_since(Instant::now())),
            _ => None,
        }
    }

    #[test]
    fn one_that_was_missed_is_asked_again_at_once_and_then_ever_more_seldom() {
        let mut cancels = missed(libc::EALREADY);
        assert_eq!(again(&mut cancels, 0, libc::EALREADY), Some(Duration::ZERO));
        assert!(again(&mut cancels, 1, libc::EALREADY) <= Some(Duration::from_millis(1)));
        let longest = again(&mut cancels, 100, libc::EALREADY);
        assert!(longest > Some(Duration::from_millis(500)), "{longest:?}");
        assert!(longest <= Some(PAUSE.1), "{longest:?}");
    }

    #[test]
    fn one_that_has_ended_is_not_asked_again() {
        let mut cancels = missed(libc::ENOENT);
        cancels.settle(&[Completion { token: TOKEN, result: 1, flags: Flags::MORE }]);
        assert!(!cancels.is_quiet(), "it goes on");
        cancels.settle(&[Completion::last(TOKEN, 1)]);
        assert!(cancels.is_quiet());
        assert_eq!(cancels.limit(Until::Event), Until::Event);
        assert_eq!(cancels.due(), []);
    }

    #[test]
    fn one_that_had_ended_before_does_not_take_the_place_of_the_next() {
        let mut cancels = missed(libc::ENOENT);
        let next = Token::new(TOKEN.index(), TOKEN.serial() + 1);
        cancels.ask(next);
        cancels.settle(&[]);
        assert_eq!(cancels.due(), [], "nobody asks for one that has ended");
        cancels.hear(TOKEN, -libc::ENOENT);
        cancels.hear(next, -libc::EALREADY);
        cancels.settle(&[]);
        assert_eq!(cancels.due(), [next]);
        cancels.settle(&[Completion::last(next, 0)]);
        assert!(cancels.asked.is_empty());
    }

    #[test]
    fn one_that_was_never_there_is_forgotten() {
        let mut cancels = missed(libc::ENOENT);
        assert_eq!(again(&mut cancels, ENDED as usize, libc::ENOENT), None);
        assert!(cancels.asked.is_empty() && cancels.is_quiet());
    }
}
