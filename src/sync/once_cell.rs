//! A value that is made once, by whoever needs it first.

use std::fmt;

use super::permits::{Held, Lends, Permits, Taking};
use crate::task;

/// A value that is made when it is first needed, by an async closure that runs once; tokio's `OnceCell`.
///
/// asyncio has none. Who comes while it is being made waits. If whoever makes it fails or is dropped, the
/// next in line tries.
///
/// # Examples
///
/// ```
/// use ringloop::sync::OnceCell;
///
/// ringloop::run(async {
///     let address = OnceCell::new();
///     assert_eq!(address.get(), None);
///     assert_eq!(*address.get_or_init(async || "127.0.0.1").await, "127.0.0.1");
///     assert_eq!(*address.get_or_init(async || "of no use").await, "127.0.0.1");
///     assert_eq!(address.set("too late"), Err("too late"));
/// });
/// ```
pub struct OnceCell<T> {
    value: std::cell::OnceCell<T>,
    /// One, for whoever makes the value; beyond number when it is there.
    turns: Permits,
}

impl<T> OnceCell<T> {
    /// A cell without a value.
    pub const fn new() -> Self {
        Self { value: std::cell::OnceCell::new(), turns: Permits::new(1) }
    }

    /// The value, if it is there.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if it is there, to change: nobody else has the cell now.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Whether the value is there.
    #[doc(alias = "initialized")]
    pub fn is_initialized(&self) -> bool {
        self.value.get().is_some()
    }

    /// Puts a value in.
    ///
    /// # Errors
    ///
    /// Gives `value` back when there is one, or when one is being made.
    pub fn set(&self, value: T) -> Result<(), T> {
        if self.is_initialized() || !self.turns.try_take(1) {
            return Err(value);
        }
        self.fill(Held::new(self, 1), value);
        Ok(())
    }

    /// The value, which `make` makes if it is not there.
    ///
    /// `make` must not ask the same cell for its value: it would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops what `make` has begun; the next in line makes the value then.
    pub async fn get_or_init(&self, make: impl AsyncFnOnce() -> T) -> &T {
        match self.get_or_try_init(async || Ok::<T, std::convert::Infallible>(make().await)).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value, which `make` makes if it is not there; an error leaves it to the next who asks.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    ///
    /// # Cancel safety
    ///
    /// As for [`get_or_init`](Self::get_or_init).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::sync::OnceCell;
    ///
    /// ringloop::run(async {
    ///     let cell = OnceCell::new();
    ///     assert_eq!(cell.get_or_try_init(async || Err("not today")).await, Err("not today"));
    ///     assert_eq!(cell.get_or_try_init(async || Ok::<_, &str>(7)).await, Ok(&7));
    /// });
    /// ```
    pub async fn get_or_try_init<E>(
        &self,
        make: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<&T, E> {
        if let Some(value) = self.get() {
            task::proceed().await;
            return Ok(value);
        }
        let turn = Taking::new(self, 1, "OnceCell::get_or_init", Held::new).await;
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let value = make().await?;
        Ok(self.fill(turn, value))
    }

    /// The value; the cell is gone.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Puts the value in, and lets go all who wait for it.
    fn fill(&self, mut turn: Held<&Self>, value: T) -> &T {
        let filled = self.value.set(value);
        debug_assert!(filled.is_ok(), "only whoever has the turn fills the cell");
        turn.forget();
        self.turns.give(Permits::MAX);
        self.get().expect("it was put in just now")
    }
}

impl<T> Lends for OnceCell<T> {
    #[inline]
    fn permits(&self) -> &Permits {
        &self.turns
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A cell with a value.
impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        let cell = Self::new();
        let _ = cell.set(value);
        cell
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceCell").field("value", &self.get()).finish()
    }
}
