//! Homes: one a runtime, in a table that any thread can look into.
//!
//! A home is made once, reused by later runtimes, and never freed: an address that outlived its
//! runtime finds a mailbox that is closed, or a stranger's, where it is a spurious wake.

use super::mail::{Letter, Mail};
use super::waker::Address;
use crate::sys::Bell;
use crate::sys::fork::Process;
use crate::sys::sync::{Mutex, OnceLock, lock};

/// How many runtimes may live at once in a process.
const HOMES: usize = 4096;

/// The wake bits of 2²⁴ tasks, in segments of 2¹⁶.
const SEGMENTS: usize = 256;

static TABLE: [OnceLock<Home>; HOMES] = [const { OnceLock::new() }; HOMES];
static VACANT: Mutex<Vacant> = Mutex::new(Vacant { used: 0, free: Vec::new() });

struct Vacant {
    /// Homes below this were used before.
    used: u16,
    free: Vec<u16>,
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
        let home = TABLE[usize::from(id)].get_or_init(|| {
            let mail = Mail::new(SEGMENTS);
            // The root stands in no slot that a spawn would make room for.
            mail.make_room(Address::ROOT);
            Home { mail }
        });
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
const _: () = assert!(Address::ROOT as usize / 64 / crate::sys::sync::SEGMENT_WORDS < SEGMENTS);
