//! A value at one address that the kernel may know.
#![expect(unsafe_code, reason = "owns a value in memory of its own, like a Box")]

use std::alloc::{Layout, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::memory;

/// A `Box` whose memory comes from where all memory comes from that the kernel may touch. The value
/// stays where it is while its owner moves about.
pub(crate) struct Stable<T>(NonNull<T>);

impl<T> Stable<T> {
    const LAYOUT: Layout = Layout::new::<T>();

    pub(crate) fn new(value: T) -> Self {
        const { assert!(size_of::<T>() > 0, "there is an address only where there are bytes") };
        let start =
            memory::allocate(Self::LAYOUT).unwrap_or_else(|_| handle_alloc_error(Self::LAYOUT));
        let start = start.cast::<T>();
        // SAFETY: fresh memory of the type's own layout.
        unsafe { start.write(value) };
        Self(start)
    }
}

impl<T> Deref for Stable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `new` wrote a value there, and we own it alone.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for Stable<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for Stable<T> {
    fn drop(&mut self) {
        // SAFETY: the value is dropped once, here.
        unsafe { self.0.drop_in_place() };
        // SAFETY: the memory came from `new`; whoever lent its address to the kernel keeps this until
        // the terminal completion.
        unsafe { memory::free(self.0.cast(), Self::LAYOUT) };
    }
}

impl<T: Default> Default for Stable<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Stable<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}
