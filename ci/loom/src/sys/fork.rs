//! The twin of `crate::sys::fork`: nobody forks here.

/// The only process there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process;

impl Process {
    pub(crate) fn current() -> Self {
        Self
    }

    pub(crate) fn is_foreign(self) -> bool {
        false
    }
}
