//! The bytes that travel: each tells its connection and its place.
//!
//! One table of random bytes is read in a circle; connection *c* starts at its own place. The
//! table's length is a prime above every buffer size, so a byte that is lost, doubled, moved or
//! taken from another connection puts the rest out of step, and the comparison sees it. Sending
//! and checking are a borrow and a `memcmp`: the load generator must not be slower than the server.

/// Bytes in the circle: a prime.
const CIRCLE: usize = 65_537;
/// The longest piece that is handed out at once.
const PIECE: usize = 65_536;

/// The circle, laid out so that a piece may begin anywhere.
pub(crate) struct Pattern {
    table: Vec<u8>,
}

/// The part of the pattern that belongs to one connection.
#[derive(Clone, Copy)]
pub(crate) struct Track<'a> {
    table: &'a [u8],
    start: u64,
}

/// A byte that came back wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) at: u64,
    pub(crate) got: u8,
    pub(crate) want: u8,
}

impl Pattern {
    pub(crate) fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut table: Vec<u8> = (0..CIRCLE)
            .map(|_| {
                // xorshift64*: any generator will do that has no short cycles.
                state ^= state >> 12;
                state ^= state << 25;
                state ^= state >> 27;
                (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
            })
            .collect();
        table.extend_from_within(..PIECE);
        Self { table }
    }

    /// The track of a connection. The places where tracks start differ for the first 65,537.
    pub(crate) fn track(&self, connection: usize) -> Track<'_> {
        Track { table: &self.table, start: connection as u64 * 40_503 }
    }
}

impl<'a> Track<'a> {
    /// The bytes at `at`: as many as come in one piece, at most `len`.
    pub(crate) fn piece(&self, at: u64, len: usize) -> &'a [u8] {
        let from = ((self.start + at) % CIRCLE as u64) as usize;
        &self.table[from..from + len.min(PIECE)]
    }

    /// Compares `bytes` with what belongs at `at`.
    pub(crate) fn check(&self, mut at: u64, mut bytes: &[u8]) -> Result<(), Wrong> {
        while !bytes.is_empty() {
            let want = self.piece(at, bytes.len());
            let (got, rest) = bytes.split_at(want.len());
            if got != want {
                let i = got.iter().zip(want).take_while(|(got, want)| got == want).count();
                return Err(Wrong { at: at + i as u64, got: got[i], want: want[i] });
            }
            at += want.len() as u64;
            bytes = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes `from..to` of a track.
    fn bytes(track: Track<'_>, from: u64, to: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < to - from {
            let at = from + bytes.len() as u64;
            bytes.extend_from_slice(track.piece(at, (to - at) as usize));
        }
        bytes
    }

    #[test]
    fn what_was_sent_is_what_is_expected() {
        let pattern = Pattern::new();
        let track = pattern.track(7);
        let sent = bytes(track, 0, 300_000);
        for (i, chunk) in sent.chunks(777).enumerate() {
            assert_eq!(track.check(i as u64 * 777, chunk), Ok(()));
        }
    }

    #[test]
    fn a_displaced_byte_is_noticed() {
        let pattern = Pattern::new();
        let track = pattern.track(3);
        for shift in [1, 63, 64, 1024, 16_384, 65_536, 131_072] {
            for at in [0, 64, 65_500, 1_000_000] {
                assert!(track.check(at, &bytes(track, at + shift, at + shift + 64)).is_err());
            }
        }
        let mut swapped = bytes(track, 0, 100_000);
        swapped[80_000] ^= 1;
        assert_eq!(track.check(0, &swapped).map_err(|wrong| wrong.at), Err(80_000));
    }

    #[test]
    fn another_connections_bytes_are_noticed() {
        let pattern = Pattern::new();
        for other in 1..2000 {
            assert!(pattern.track(0).check(640, pattern.track(other).piece(640, 64)).is_err());
        }
    }
}
