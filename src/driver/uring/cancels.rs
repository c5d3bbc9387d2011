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
        let Some(place) = self.asked.get_mut(token) else { return };
        let errno = -result;
        if place.missed || !matches!(errno, libc::ENOENT | libc::EALREADY) {
            return;
        }
        place.unknown = if errno == libc::ENOENT { place.unknown + 1 } else { 0 };
        if place.unknown > ENDED {
            return self.asked.remove(token);
        }
        place.times = place.times.saturating_add(1);
        place.missed = true;
        let next = Instant::now() + pause(place.times);
        self.missed.push(token);
        self.next = Some(self.next.map_or(next, |earlier| earlier.min(next)));
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
        let due = std::mem::take(&mut self.missed);
        for token in &due {
            if let Some(place) = self.asked.get_mut(*token) {
                place.missed = false;
            }
        }
        due
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

/// Tokens, and how each was missed, by their index: those of what is in flight are dense.
#[derive(Debug, Default)]
struct Asked {
    places: Vec<Option<Place>>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    serial: u32,
    /// How often it was missed. Of several cancels between two turns one counts: each completion of a busy
    /// multishot may bring another.
    times: u32,
    /// How often in a row it was not found.
    unknown: u32,
    /// Set while it stands among those that the last cancel missed.
    missed: bool,
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
        // Of an index, one is in flight at a time, and serials go up: an older one has ended.
        let serial = token.serial();
        let place = &mut self.places[index];
        if place.is_none_or(|place| serial.wrapping_sub(place.serial).cast_signed() > 0) {
            self.len += usize::from(place.is_none());
            *place = Some(Place { serial, times: 0, unknown: 0, missed: false });
        }
    }

    fn get_mut(&mut self, token: Token) -> Option<&mut Place> {
        let place = self.places.get_mut(token.index() as usize)?.as_mut()?;
        (place.serial == token.serial()).then_some(place)
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

    // Seen to fail when one that had ended took the place of the next, of which nobody then heard.
    #[test]
    fn one_that_had_ended_before_and_is_asked_later_does_not_either() {
        let mut cancels = Cancels::default();
        let next = Token::new(TOKEN.index(), TOKEN.serial() + 1);
        cancels.ask(next);
        cancels.ask(TOKEN);
        cancels.hear(next, -libc::ENOENT);
        cancels.hear(TOKEN, -libc::ENOENT);
        cancels.settle(&[]);
        assert_eq!(cancels.due(), [next]);
    }

    // A multishot that is asked to end is asked again at each of its completions; all miss it, if one does.
    // Seen to fail when each answer counted: then nobody asked again.
    #[test]
    fn many_cancels_that_miss_one_in_the_same_turn_count_as_one() {
        let mut cancels = Cancels::default();
        for _ in 0..32 {
            cancels.ask(TOKEN);
        }
        for _ in 0..32 {
            cancels.hear(TOKEN, -libc::ENOENT);
        }
        cancels.settle(&[]);
        assert_eq!(again(&mut cancels, 0, 0), Some(Duration::ZERO), "at once, the first time");
        again(&mut cancels, 1, libc::ENOENT);
        assert!(!cancels.is_quiet());
    }

    // Seen to fail when all misses counted: one that leaves its worker to wait is not found on its way.
    #[test]
    fn one_that_a_worker_had_long_in_hands_is_not_forgotten_when_it_is_not_found_once() {
        let mut cancels = missed(libc::EALREADY);
        again(&mut cancels, 100, libc::EALREADY);
        again(&mut cancels, ENDED as usize, libc::ENOENT);
        assert!(!cancels.is_quiet());
        again(&mut cancels, 1, libc::ENOENT);
        assert!(cancels.asked.is_empty() && cancels.is_quiet());
    }

    #[test]
    fn one_that_was_never_there_is_forgotten() {
        let mut cancels = missed(libc::ENOENT);
        assert_eq!(again(&mut cancels, ENDED as usize, libc::ENOENT), None);
        assert!(cancels.asked.is_empty() && cancels.is_quiet());
    }
}
