//! What a task waits for, for whoever looks at it.
//!
//! A leaf future that is about to return Pending leaves a note here; a runtime in debug mode picks up what
//! the poll of a task left. Where nobody listens, a note is a look at one flag.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Instant;

thread_local! {
    /// How many on this thread listen: runtimes in debug mode.
    static LISTENERS: Cell<u32> = const { Cell::new(0) };
    static NOTES: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
}

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

#[inline]
fn is_heard() -> bool {
    LISTENERS.get() > 0
}

#[cold]
fn leave(note: Note) {
    NOTES.with_borrow_mut(|notes| notes.push(note));
}

/// While it lives, notes are kept on this thread.
#[derive(Debug)]
pub(crate) struct Listener(());

impl Listener {
    pub(crate) fn new() -> Self {
        LISTENERS.set(LISTENERS.get() + 1);
        Self(())
    }

    /// Forgets what was left so far.
    pub(crate) fn clear(&self) {
        NOTES.with_borrow_mut(Vec::clear);
    }

    /// What was left since, into `notes`, which is emptied first.
    pub(crate) fn collect(&self, notes: &mut Vec<Note>) {
        notes.clear();
        NOTES.with_borrow_mut(|left| notes.append(left));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        LISTENERS.set(LISTENERS.get() - 1);
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
    fn notes_are_kept_only_while_somebody_listens() {
        waits("read", On::Fd(3));
        let listener = Listener::new();
        assert!(left(&listener).is_empty());
        waits("read", On::Fd(9));
        waits("JoinHandle", On::Task(17));
        assert_eq!(left(&listener), ["read on fd 9", "JoinHandle of task 17"]);
        waits("sleep", On::Until(Instant::now()));
        listener.clear();
        assert!(left(&listener).is_empty());
        drop(listener);
        waits("read", On::Fd(3));
        assert!(NOTES.with_borrow(Vec::is_empty));
    }
}
