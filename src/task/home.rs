//! Homes: one a runtime, in a table that any thread can look into.
//!
//! A home is made once, reused by later runtimes, and never freed: an address that outlived its
//! runtime finds a mailbox that is closed, or a stranger's, where it is a spurious wake.

use super::mail::{Letter, Mail};
use super::table::{HOMES, TABLE, TAKEN};
use super::waker::Address;
use crate::sys::Bell;
use crate::sys::sync::{OnceLock, Ordering, SEGMENT_WORDS};

/// The wake bits of 2²⁴ tasks, in segments of 2¹⁶.
const SEGMENTS: usize = Address::ROOT as usize / 64 / SEGMENT_WORDS + 1;

/// A place in the table.
#[derive(Debug)]
pub(crate) struct Home {
    mail: Mail,
}

/// A home that a runtime lives in, by value: for other threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HomeRef {
    home: &'static Home,
    incarnation: u64,
}

/// The runtime's own side: it moves out on drop.
#[derive(Debug)]
pub(super) struct Tenancy {
    pub(super) id: u16,
    pub(super) home: HomeRef,
}

impl Home {
    pub(crate) fn mail(&self) -> &Mail {
        &self.mail
    }
}

impl HomeRef {
    /// Posts a letter; it comes back when the runtime has ended.
    pub(crate) fn post(self, letter: Letter) -> Result<(), Letter> {
        self.home.mail.post(self.incarnation, letter)
    }

    pub(super) fn home(self) -> &'static Home {
        self.home
    }
}

impl Tenancy {
    /// Moves into a free home that `bell` wakes.
    ///
    /// # Errors
    ///
    /// When 4096 runtimes live in this process already, or did in its parents when it was forked.
    pub(super) fn new(bell: Bell) -> std::io::Result<Self> {
        for (id, taken) in TAKEN.iter().enumerate() {
            // Acquire pairs with the Release of the last tenant's end.
            if taken.swap(true, Ordering::Acquire) {
                continue;
            }
            let home = TABLE[id].get_or_init(|| Home { mail: Mail::new(SEGMENTS) });
            // In a forked child its parent's homes stay taken.
            let Some(incarnation) = home.mail.open(bell.clone()) else { continue };
            // The root future stands in no slot, so no spawn makes room for it.
            home.mail.make_room(Address::ROOT);
            return Ok(Self { id: id as u16, home: HomeRef { home, incarnation } });
        }
        Err(std::io::Error::other(format!(
            "no room for another runtime: {HOMES} ringloop runtimes live in this process, or did in \
             those that it was forked from; end one before the next"
        )))
    }
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        self.home.home.mail.close();
        TAKEN[usize::from(self.id)].store(false, Ordering::Release);
    }
}

/// Whether whoever lives or lived in home `home` did so in a process that this one was forked from.
pub(super) fn is_foreign(home: u16) -> bool {
    TABLE.get(usize::from(home)).and_then(OnceLock::get).is_some_and(|home| home.mail.is_foreign())
}

/// Wakes task `index` of home `home` from another thread.
pub(super) fn wake(home: u16, index: u32) {
    if let Some(home) = TABLE.get(usize::from(home)).and_then(OnceLock::get) {
        home.mail.wake(index);
    }
}

const _: () = assert!(HOMES <= u16::MAX as usize + 1);
