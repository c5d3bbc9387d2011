//! The models, each named after what could go wrong.

pub mod close;
pub mod home;
pub mod mail;
pub mod remote;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::mail::{Letter, Mail};
use crate::sys::Bell;

/// The side of a mailbox that sleeps: what `Core::turn` does with it.
struct Owner {
    mail: Arc<Mail>,
    bell: Bell,
    incarnation: u64,
}

impl Owner {
    /// Of a mailbox with room for tasks 0 to 63. Shared without a count that loom would see: in the
    /// runtime it is `&'static`.
    fn new() -> Self {
        let mail = Arc::new(Mail::new(1));
        mail.make_room(0);
        Self::of(mail)
    }

    /// Opens a mailbox that is there already.
    fn of(mail: Arc<Mail>) -> Self {
        let bell = Bell::new();
        let incarnation = mail.open(bell.clone()).expect("one process");
        Self { mail, bell, incarnation }
    }

    /// Sleeps until the bell rings, if nothing is there, and takes what has come.
    fn sleep(&self, woken: impl FnMut(u32)) {
        sleep(&self.mail, &self.bell, woken);
    }

    /// The same, where something else than the bell ends the sleep.
    fn nap(&self, woken: impl FnMut(u32)) {
        if self.mail.fall_asleep() {
            self.mail.wake_up();
        }
        collect(&self.mail, woken);
    }
}

fn sleep(mail: &Mail, bell: &Bell, woken: impl FnMut(u32)) {
    if mail.fall_asleep() {
        bell.wait();
        mail.wake_up();
    }
    collect(mail, woken);
}

fn collect(mail: &Mail, woken: impl FnMut(u32)) {
    if mail.pending() {
        mail.collect(woken, |letter| letter());
    }
}

/// How often something happened. Not one of loom's: the models look at it only where the order is
/// given anyway.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A letter that counts how often it ran, and how often it was dropped unrun.
fn letter(ran: &Count, dropped: &Count) -> Letter {
    let (ran, guard) = (ran.clone(), OnDrop(Some(dropped.clone())));
    Box::new(move || {
        let mut guard = guard;
        guard.0 = None;
        ran.up();
    })
}

struct OnDrop(Option<Count>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            dropped.up();
        }
    }
}
