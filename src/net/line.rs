//! Whose turn it is to take what has come: first come, first served.
//!
//! What comes stays where it is until its taker takes it, so nothing is lost with a taker that was woken
//! and is dropped, or forgotten. Those who come later stand behind one that was woken, until the turn of
//! the loop in which it may look has ended.

use std::task::Waker;

use super::waiters::Waiters;

#[derive(Debug, Default)]
pub(super) struct Line {
    waiters: Waiters,
    /// The tickets of those who were woken for this turn and have not looked.
    woken: Vec<u64>,
    /// Set while it is looked again, at the end of this turn, whether somebody took what is there.
    pub(super) watched: bool,
}

impl Line {
    /// Whether the one with this ticket may take: it was woken, or nobody is before it.
    pub(super) fn is_turn_of(&self, ticket: Option<u64>) -> bool {
        let nobody_before = self.woken.is_empty();
        match ticket.map(|ticket| self.waiters.place(ticket)) {
            Some(None) => true,
            Some(Some(place)) => place == 0 && nobody_before,
            None => self.waiters.is_empty() && nobody_before,
        }
    }

    /// Takes a place in the line, as the last; who has one keeps it, also who was woken in vain. Gives back
    /// the waker that is not needed, to be dropped when nothing is borrowed.
    pub(super) fn wait(&mut self, ticket: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        self.look(*ticket);
        self.waiters.wait(ticket, waker)
    }

    /// Leaves the line, served or not. Gives back its waker.
    pub(super) fn leave(&mut self, ticket: Option<u64>) -> Option<Waker> {
        self.look(ticket);
        self.waiters.remove(ticket)
    }

    /// One that was woken has looked.
    fn look(&mut self, ticket: Option<u64>) {
        self.woken.retain(|woken| Some(*woken) != ticket);
    }

    /// The next to be woken, while more is there than those who were woken will take. Not while tasks run:
    /// the end of the turn comes before they could look.
    pub(super) fn call(&mut self, there: usize) -> impl Iterator<Item = Waker> {
        std::iter::from_fn(move || {
            if self.woken.len() >= there {
                return None;
            }
            let (ticket, waker) = self.waiters.pop()?;
            self.woken.push(ticket);
            Some(waker)
        })
    }

    /// The turn has ended in which those who were woken could look.
    pub(super) fn end_turn(&mut self) {
        self.watched = false;
        self.woken.clear();
    }

    /// All who wait, to be woken: nothing will come.
    pub(super) fn dissolve(&mut self) -> impl Iterator<Item = Waker> + use<> {
        self.woken.clear();
        self.waiters.take_all()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many who wait, and their tickets.
    fn waiting<const N: usize>(line: &mut Line) -> [Option<u64>; N] {
        let mut tickets = [None; N];
        for ticket in &mut tickets {
            line.wait(ticket, Waker::noop().clone());
        }
        tickets
    }

    // Seen to fail when the numbers began anew: the last one took the newcomer's place, and its waker with it.
    #[test]
    fn whoever_waits_again_after_all_were_called_has_a_place_of_its_own() {
        let mut line = Line::default();
        let mut tickets = waiting::<3>(&mut line);
        assert_eq!(line.dissolve().count(), 3);
        waiting::<1>(&mut line);
        for ticket in tickets.iter_mut().rev() {
            assert!(line.wait(ticket, Waker::noop().clone()).is_none(), "somebody's waker is gone");
        }
        assert_eq!(line.dissolve().count(), 4);
    }

    // Seen to fail when the place was a new one, behind the third's.
    #[test]
    fn one_that_was_woken_and_found_nothing_stands_where_it_stood() {
        let mut line = Line::default();
        let [first, second, mut third] = waiting(&mut line);
        assert_eq!(line.call(2).count(), 2);
        line.leave(first);
        line.wait(&mut { second }, Waker::noop().clone());
        line.end_turn();
        assert!(line.is_turn_of(second) && !line.is_turn_of(third));
        line.wait(&mut third, Waker::noop().clone());
        assert!(line.is_turn_of(second) && !line.is_turn_of(third));
    }

    // Seen to fail when those who were woken were only counted.
    #[test]
    fn one_that_was_woken_long_ago_and_goes_lets_nobody_pass_one_that_is_woken_now() {
        let mut line = Line::default();
        let [first, second] = waiting(&mut line);
        assert_eq!(line.call(1).count(), 1);
        line.end_turn();
        assert_eq!(line.call(1).count(), 1);
        line.leave(first);
        assert!(!line.is_turn_of(None), "a newcomer passes");
        line.leave(second);
        assert!(line.is_turn_of(None));
    }
}
