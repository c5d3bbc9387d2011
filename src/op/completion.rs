//! What comes back: a completion queue entry, whoever made it.

use std::fmt;

/// Names one submitted request: a slot index and the serial number of its use.
///
/// It travels as `user_data`. A completion whose serial is not the slot's own is a stray: counted
/// and ignored, never settled into a slot that was used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token(u64);

impl Token {
    /// The token of `index`'s use number `serial`.
    pub(crate) const fn new(index: u32, serial: u32) -> Self {
        Self((serial as u64) << 32 | index as u64)
    }

    /// The token that was sent as `user_data`.
    pub(crate) const fn from_user_data(data: u64) -> Self {
        Self(data)
    }

    pub(crate) const fn user_data(self) -> u64 {
        self.0
    }

    pub(crate) const fn index(self) -> u32 {
        self.0 as u32
    }

    pub(crate) const fn serial(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}#{})", self.index(), self.serial())
    }
}

/// One completion of a request. The result is a count, a descriptor or `-errno`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    pub(crate) token: Token,
    pub(crate) result: i32,
    pub(crate) flags: Flags,
}

impl Completion {
    /// A terminal completion without flags.
    pub(crate) const fn last(token: Token, result: i32) -> Self {
        Self { token, result, flags: Flags::NONE }
    }

    /// The result, with `-errno` as an error.
    pub(crate) fn outcome(self) -> std::io::Result<u32> {
        u32::try_from(self.result).map_err(|_| std::io::Error::from_raw_os_error(self.errno()))
    }

    /// The error as a positive number; not above 0 where there is none.
    pub(crate) const fn errno(self) -> i32 {
        // No kernel says `i32::MIN`, and none shall stop us by it.
        self.result.saturating_neg()
    }
}

/// The flags of a completion, bit for bit those of `io_uring_enter(2)`'s CQE.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) const NONE: Self = Self(0);
    /// `IORING_CQE_F_BUFFER`: the upper half names the pool buffer that holds the bytes.
    const BUFFER: u32 = 1;
    /// `IORING_CQE_F_MORE`: further completions of this request follow.
    pub(crate) const MORE: Self = Self(1 << 1);
    /// `IORING_CQE_F_SOCK_NONEMPTY`: more was queued when this receive ended: bytes, or the end.
    pub(crate) const NONEMPTY: Self = Self(1 << 2);

    /// The flags of a kernel's CQE.
    pub(crate) const fn from_cqe(bits: u32) -> Self {
        Self(bits)
    }

    /// The flag that says "the bytes are in pool buffer `id`".
    pub(crate) const fn with_buffer(id: u16) -> Self {
        Self(Self::BUFFER | (id as u32) << 16)
    }

    /// Both sets together.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether further completions follow. Only its absence ends a request.
    pub(crate) const fn more(self) -> bool {
        self.0 & Self::MORE.0 != 0
    }

    /// The pool buffer that holds the bytes, if the request selected one.
    pub(crate) const fn buffer(self) -> Option<u16> {
        if self.0 & Self::BUFFER == 0 { None } else { Some((self.0 >> 16) as u16) }
    }

    /// Whether more was queued in the socket: bytes, or the end of the stream.
    pub(crate) const fn nonempty(self) -> bool {
        self.0 & Self::NONEMPTY.0 != 0
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flags")
            .field("more", &self.more())
            .field("buffer", &self.buffer())
            .field("nonempty", &self.nonempty())
            .finish()
    }
}
