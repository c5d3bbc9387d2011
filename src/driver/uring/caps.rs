//! What a kernel may lack and ringloop can do without.

/// A set of such things.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caps(u16);

impl Caps {
    /// `poll` requests that stay armed: the bell's.
    pub(super) const MULTI_POLL: Self = Self(1 << 0);
    /// Requests whose success posts no completion: quiet sends.
    pub(super) const SKIP_SUCCESS: Self = Self(1 << 1);
    /// `IORING_SETUP_SUBMIT_ALL`: a bad entry does not stop those behind it.
    pub(super) const SUBMIT_ALL: Self = Self(1 << 2);
    /// Entering the ring by a registered index.
    pub(super) const RING_FD: Self = Self(1 << 3);
    /// `IORING_SETUP_COOP_TASKRUN`: no interrupt for a completion.
    pub(super) const COOP_TASKRUN: Self = Self(1 << 4);
    /// `IORING_SETUP_SINGLE_ISSUER`: one thread enters.
    pub(super) const SINGLE_ISSUER: Self = Self(1 << 5);
    /// Provided-buffer rings, multishot receives and accepts; else they are emulated.
    pub(super) const MULTISHOT: Self = Self(1 << 6);
    /// `IORING_SETUP_DEFER_TASKRUN`: completions come about within our enter.
    pub(super) const DEFER_TASKRUN: Self = Self(1 << 7);
    /// `IORING_SETUP_NO_SQARRAY`.
    pub(super) const NO_SQARRAY: Self = Self(1 << 8);
    /// Waits until a moment, not for a time.
    pub(super) const ABS_TIMER: Self = Self(1 << 9);
    /// An idle loop does not show as waiting for a disk.
    pub(super) const NO_IOWAIT: Self = Self(1 << 10);
    /// A multishot receive ends by itself at `Recv::total`; else a paused socket receives one-shot.
    pub(super) const TOTALS: Self = Self(1 << 11);

    /// Multishot `recvmsg`; else it is emulated.
    pub(super) const MESSAGES: Self = Self(1 << 12);

    pub(crate) const ALL: Self = Self((1 << 13) - 1);
    pub(super) const NONE: Self = Self(0);

    /// Whether all of `these` are in it.
    pub(super) const fn has(self, these: Self) -> bool {
        self.0 & these.0 == these.0
    }

    pub(super) const fn without(self, these: Self) -> Self {
        Self(self.0 & !these.0)
    }

    pub(super) const fn and(self, these: Self) -> Self {
        Self(self.0 | these.0)
    }

    /// What Linux `version` had.
    pub(crate) fn of_linux(version: (u8, u8)) -> Self {
        let had = SINCE.iter().filter(|(since, _, _)| *since <= version);
        had.fold(Self::NONE, |caps, (_, cap, _)| caps.and(*cap))
    }
}

/// Which Linux brought what.
const SINCE: [((u8, u8), Caps, &str); 13] = [
    ((5, 13), Caps::MULTI_POLL, "MULTI_POLL"),
    ((5, 17), Caps::SKIP_SUCCESS, "SKIP_SUCCESS"),
    ((5, 18), Caps::SUBMIT_ALL, "SUBMIT_ALL"),
    ((5, 18), Caps::RING_FD, "RING_FD"),
    ((5, 19), Caps::COOP_TASKRUN, "COOP_TASKRUN"),
    ((6, 0), Caps::SINGLE_ISSUER, "SINGLE_ISSUER"),
    ((6, 0), Caps::MULTISHOT, "MULTISHOT"),
    ((6, 0), Caps::MESSAGES, "MESSAGES"),
    ((6, 1), Caps::DEFER_TASKRUN, "DEFER_TASKRUN"),
    ((6, 6), Caps::NO_SQARRAY, "NO_SQARRAY"),
    ((6, 12), Caps::ABS_TIMER, "ABS_TIMER"),
    ((6, 15), Caps::NO_IOWAIT, "NO_IOWAIT"),
    ((6, 17), Caps::TOTALS, "TOTALS"),
];

impl std::fmt::Debug for Caps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = SINCE.iter().filter(|(_, cap, _)| self.has(*cap)).map(|(_, _, name)| name);
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_linux_has_all_that_an_older_one_had_and_the_newest_everything() {
        let versions = [(5, 11), (5, 15), (5, 19), (6, 1), (6, 12), (6, 17)];
        for pair in versions.windows(2) {
            let (old, new) = (Caps::of_linux(pair[0]), Caps::of_linux(pair[1]));
            assert!(new.has(old) && new != old, "{pair:?}");
        }
        assert_eq!(Caps::of_linux((5, 11)), Caps::NONE);
        assert_eq!(Caps::of_linux((6, 17)), Caps::ALL);
    }
}
