//! Homes: one a runtime, in a table that any thread can look into.
//!
//! A home is made once, reused by later runtimes, and never freed: an address that outlived its
//! runtime finds a mailbox that is closed, or a stranger's, where it is a spurious wake.

use super::mail::{Letter, Mail};
use super::table::{HOMES, TABLE, VACANT};
use super::waker::Address;
use crate::sys::Bell;
use crate::sys::fork::Process;
use crate::sys::sync::{OnceLock, SEGMENT_WORDS, lock};

/// The wake bits of 2²⁴ tasks, in segments of 2¹⁶.
const SEGMENTS: usize = Address::ROOT as usize / 64 / SEGMENT_WORDS + 1;

/// Which homes of the table nobody lives in.
#[derive(Debug)]
pub(super) struct Vacant {
    /// Homes below this were used before.
    pub(super) used: u16,
    pub(super) free: Vec<u16>,
}

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
    process: Process,
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
        if self.process.is_foreign() {
            return Err(letter);
        }
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
    /// When 4096 runtimes live in this process already.
    pub(super) fn new(bell: Bell) -> std::io::Result<Self> {
        let id = {
            let mut vacant = lock(&VACANT);
            match vacant.free.pop() {
                Some(id) => id,
                None if usize::from(vacant.used) < HOMES => {
                    vacant.used += 1;
                    vacant.used - 1
                }
                None => {
                    return Err(std::io::Error::other(format!(
                        "{HOMES} ringloop runtimes live in this process; end one before the next"
                    )));
                }
            }
        };
        let home = TABLE[usize::from(id)].get_or_init(|| Home { mail: Mail::new(SEGMENTS) });
        // The root future stands in no slot, so no spawn makes room for it.
        home.mail.make_room(Address::ROOT);
        let incarnation = home.mail.open(bell);
        Ok(Self { id, home: HomeRef { home, incarnation, process: Process::current() } })
    }
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        self.home.home.mail.close();
        lock(&VACANT).free.push(self.id);
    }
}

/// Wakes task `index` of home `home` from another thread.
pub(super) fn wake(home: u16, index: u32) {
    if let Some(home) = TABLE.get(usize::from(home)).and_then(OnceLock::get) {
        home.mail.wake(index);
    }
}

const _: () = assert!(HOMES <= u16::MAX as usize + 1);
