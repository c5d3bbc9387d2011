//! What a task waits for, for whoever looks at it.
//!
//! A leaf future that is about to return Pending leaves a note here; a runtime in debug mode picks up what
//! the poll of a task left. Where nobody listens, a note is a look at one flag.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Instant;

thread_local! {
    /// Whether a task of a runtime in debug mode is polled on this thread.
    static HEARD: Cell<bool> = const { Cell::new(false) };
    static NOTES: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
}

/// More than so many notes of one poll say no more.
const MOST: usize = 1000;

/// One thing that a task waits for: an operation, and on what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// In the words of the user: `read`, `Mutex::lock`.
    pub(crate) what: &'static str,
    pub(crate) on: On,
}

/// What an operation waits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Nothing,
    /// A descriptor.
    Fd(i32),
    /// The task of this number.
    Task(u64),
    /// A moment.
    Until(Instant),
    /// A thing in memory, known by where it stands: a lock, a queue.
    Thing(usize),
}

/// Says what the future that returns Pending now waits for.
#[inline]
pub(crate) fn waits(what: &'static str, on: On) {
    if is_heard() {
        leave(Note { what, on });
    }
}

/// The same, of what takes a look to say.
#[inline]
pub(crate) fn waits_for(note: impl FnOnce() -> Note) {
    if is_heard() {
        leave(note());
    }
}

/// Where the notes of what is polled next begin.
#[inline]
pub(crate) fn mark() -> usize {
    if is_heard() { NOTES.try_with(|notes| notes.borrow().len()).unwrap_or(0) } else { 0 }
}

/// Takes back the notes that were left since `mark`: for a set, which does not poll all of its members
/// each time.
#[inline]
pub(crate) fn take_since(mark: usize) -> Vec<Note> {
    if !is_heard() {
        return Vec::new();
    }
    let take = |notes: &RefCell<Vec<Note>>| {
        let mut notes = notes.borrow_mut();
        let mark = mark.min(notes.len());
        notes.split_off(mark)
    };
    NOTES.try_with(take).unwrap_or_default()
}

/// Leaves them again.
#[inline]
pub(crate) fn again<'a>(notes: impl Iterator<Item = &'a Note>) {
    if is_heard() {
        notes.for_each(|note| leave(*note));
    }
}

#[inline]
fn is_heard() -> bool {
    HEARD.get()
}

#[cold]
fn leave(note: Note) {
    // Gone where the thread ends: then nobody asks.
    let _ = NOTES.try_with(|notes| {
        let mut notes = notes.borrow_mut();
        if notes.len() < MOST {
            notes.push(note);
        }
    });
}

/// While it lives, notes are kept on this thread: those of one poll.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Whether somebody listened before: a poll within a poll.
    before: bool,
}

impl Listener {
    /// Forgets what was left so far.
    pub(crate) fn new() -> Self {
        let _ = NOTES.try_with(|notes| notes.borrow_mut().clear());
        Self { before: HEARD.replace(true) }
    }

    /// What was left since, into `notes`, which is emptied first.
    pub(crate) fn collect(&self, notes: &mut Vec<Note>) {
        notes.clear();
        let _ = NOTES.try_with(|left| notes.append(&mut left.borrow_mut()));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        HEARD.set(self.before);
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        match self.on {
            On::Nothing | On::Until(_) => Ok(()),
            On::Fd(fd) => write!(f, " on fd {fd}"),
            On::Task(id) => write!(f, " of task {id}"),
            On::Thing(place) => write!(f, " at {place:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(listener: &Listener) -> Vec<String> {
        let mut notes = Vec::new();
        listener.collect(&mut notes);
        notes.iter().map(Note::to_string).collect()
    }

    #[test]
    fn notes_are_kept_only_while_somebody_listens_and_not_without_end() {
        waits("read", On::Fd(3));
        let listener = Listener::new();
        assert!(left(&listener).is_empty());
        waits("read", On::Fd(9));
        waits("JoinHandle", On::Task(17));
        assert_eq!(left(&listener), ["read on fd 9", "JoinHandle of task 17"]);
        waits("sleep", On::Until(Instant::now()));
        let inner = Listener::new();
        assert!(left(&inner).is_empty());
        drop(inner);
        (0..2 * MOST).for_each(|_| waits("read", On::Fd(3)));
        assert_eq!(left(&listener).len(), MOST);
        drop(listener);
        waits("read", On::Fd(3));
        assert!(NOTES.with_borrow(Vec::is_empty));
    }
}
