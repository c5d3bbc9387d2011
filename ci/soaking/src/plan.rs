//! What a connection begins with: the client's wish.

/// What the server does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// Answers questions about the server itself.
    Control,
    /// Echoes without a time limit.
    Idle,
    /// Echoes through a slice.
    Slices,
    /// Echoes what it was lent.
    Chunks,
    /// Echoes as `Bytes`.
    Bytes,
    /// Echoes with owned halves, and drops them one after the other.
    Halves,
    /// Echoes while every call is cut off again and again by a short time limit.
    Hasty,
    /// Echoes a copy and keeps what it was lent for a while.
    Hoard,
    /// Echoes a copy and sends what it was lent to another thread.
    Travel,
    /// Echoes, and gives the socket to std and takes it back in the middle.
    HandOver,
    /// Sends so much and drops the stream at once.
    Flood,
    /// Writes so much under a time limit, then drops the stream.
    CutWrite,
    /// Writes so much and aborts.
    Abort,
    /// Echoes in a task that is cancelled.
    Cancelled,
    /// Reads nothing for a while, then drops the stream.
    Silent,
}

/// Those that send back every byte and then the end.
pub(crate) const ECHOES: [Mode; 8] = [
    Mode::Slices,
    Mode::Chunks,
    Mode::Bytes,
    Mode::Halves,
    Mode::Hasty,
    Mode::Hoard,
    Mode::Travel,
    Mode::HandOver,
];

const ALL: [Mode; 15] = [
    Mode::Control,
    Mode::Idle,
    Mode::Slices,
    Mode::Chunks,
    Mode::Bytes,
    Mode::Halves,
    Mode::Hasty,
    Mode::Hoard,
    Mode::Travel,
    Mode::HandOver,
    Mode::Flood,
    Mode::CutWrite,
    Mode::Abort,
    Mode::Cancelled,
    Mode::Silent,
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    /// Which track of the pattern, and the seed of the server's choices.
    pub(crate) number: u32,
    /// Bytes that the server sends by itself.
    pub(crate) amount: u32,
}

/// Bytes of a plan on the wire.
pub(crate) const LEN: usize = 12;

impl Plan {
    pub(crate) fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[0] = self.mode as u8;
        bytes[4..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..].copy_from_slice(&self.amount.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; LEN]) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let mode = ALL.into_iter().find(|mode| *mode as u8 == bytes[0])?;
        Some(Self { mode, number: word(4), amount: word(8) })
    }
}
