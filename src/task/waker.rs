//! A waker is an address.
//!
//! The data word of the `RawWaker` is the address itself, never a pointer that is followed: cloning
//! copies it, dropping does nothing, and a stale one finds another generation or nobody.
#![expect(unsafe_code, reason = "RawWaker's vtable is unsafe to implement")]

use std::task::{RawWaker, RawWakerVTable, Waker};

use super::home;
use super::local;

/// Where a task lives: which home, which slot, and the slot's how-manieth use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address(u64);

const _: () = assert!(size_of::<usize>() == 8, "an address fills a 64-bit data word");

impl Address {
    const INDEX_BITS: u32 = 24;
    const GENERATION_BITS: u32 = 24;
    const INDEX_MASK: u64 = (1 << Self::INDEX_BITS) - 1;
    pub(super) const GENERATION_MASK: u32 = (1 << Self::GENERATION_BITS) - 1;

    /// The index of the future that `block_on` polls. It stands in no slot.
    pub(super) const ROOT: u32 = Self::INDEX_MASK as u32;

    /// Of no task either: it stands in the ready queue for a callback.
    pub(super) const CALL: u32 = Self::ROOT - 1;

    pub(super) fn new(home: u16, generation: u32, index: u32) -> Self {
        debug_assert!(index <= Self::ROOT && generation <= Self::GENERATION_MASK);
        Self(
            u64::from(home) << (Self::INDEX_BITS + Self::GENERATION_BITS)
                | u64::from(generation) << Self::INDEX_BITS
                | u64::from(index),
        )
    }

    pub(super) fn home(self) -> u16 {
        (self.0 >> (Self::INDEX_BITS + Self::GENERATION_BITS)) as u16
    }

    pub(super) fn generation(self) -> u32 {
        (self.0 >> Self::INDEX_BITS) as u32 & Self::GENERATION_MASK
    }

    pub(super) fn index(self) -> u32 {
        (self.0 & Self::INDEX_MASK) as u32
    }

    /// Wakes the task, from any thread, at any time.
    pub(super) fn wake(self) {
        if !local::wake(self) {
            home::wake(self.home(), self.index());
        }
    }

    /// A waker that wakes the task.
    pub(super) fn waker(self) -> Waker {
        // SAFETY: the vtable's functions read the data word as a number and are thread-safe: `wake`
        // takes the thread-local path only on the home's own thread, and a lock elsewhere.
        unsafe { Waker::from_raw(self.raw()) }
    }

    fn raw(self) -> RawWaker {
        RawWaker::new(std::ptr::without_provenance(self.0 as usize), &VTABLE)
    }
}

static VTABLE: RawWakerVTable =
    RawWakerVTable::new(|data| address(data).raw(), wake, wake, |_data| ());

fn address(data: *const ()) -> Address {
    Address(data.addr() as u64)
}

fn wake(data: *const ()) {
    address(data).wake();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_three_parts() {
        let address = Address::new(0xfffe, Address::GENERATION_MASK, Address::ROOT - 1);
        assert_eq!(address.home(), 0xfffe);
        assert_eq!(address.generation(), Address::GENERATION_MASK);
        assert_eq!(address.index(), Address::ROOT - 1);
    }

    #[test]
    fn a_stale_waker_wakes_nobody_and_breaks_nothing() {
        let waker = Address::new(0xfffe, 1, 2).waker();
        waker.wake_by_ref();
        drop(waker.clone());
        assert!(waker.will_wake(&waker.clone()));
        std::thread::spawn(move || drop(waker)).join().unwrap();
    }
}
