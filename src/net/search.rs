//! Looking for separators in what has come, where it stands.
//!
//! A match is what *ends* first: the piece of the stream up to it is the shortest, which is what asyncio
//! takes. So a position up to which no separator ends need never be looked at again.

use std::io::BufRead;

use super::inbox::Inbox;

/// What ends a record: one of these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Separators<'a> {
    all: &'a [&'a [u8]],
    longest: usize,
    /// The only byte that ends one of them; `None` where there are several.
    only: Option<u8>,
    /// A bit for each byte that ends one of them.
    last: [u64; 4],
}

/// Where a separator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<'a> Separators<'a> {
    /// `None` if there is none, or if one is empty.
    pub(crate) fn new(all: &'a [&'a [u8]]) -> Option<Self> {
        let (mut longest, mut last) = (0, [0; 4]);
        for separator in all {
            let byte = separator.last()?;
            longest = longest.max(separator.len());
            last[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        let bits: u32 = last.iter().map(|word: &u64| word.count_ones()).sum();
        let only = all.first()?.last().copied().filter(|_| bits == 1);
        Some(Self { all, longest, only, last })
    }

    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The first place in `bytes` where one of them may end.
    fn candidate(&self, bytes: &[u8]) -> Option<usize> {
        if let Some(byte) = self.only {
            // memchr(3), by way of std.
            let n = (&mut &*bytes).skip_until(byte).unwrap_or(0);
            return n.checked_sub(1).filter(|&at| bytes[at] == byte);
        }
        let is_last = |byte: u8| self.last[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1;
        bytes.iter().position(|&byte| is_last(byte))
    }
}

impl Inbox {
    /// The first match that ends behind the first `from` bytes, in which none ends.
    pub(crate) fn find(&self, separators: &Separators<'_>, from: usize) -> Option<Match> {
        // Where the piece begins.
        let mut offset = 0;
        for piece in self.pieces() {
            let mut at = from.saturating_sub(offset);
            while at < piece.len()
                && let Some(found) = separators.candidate(&piece[at..])
            {
                at += found + 1;
                // The shortest of those that end here: fewer bytes stand before a longer one.
                let ends = |separator: &&[u8]| match at.checked_sub(separator.len()) {
                    Some(start) => piece[start..at] == **separator,
                    None => self.ends_with(offset + at, separator),
                };
                let all = separators.all.iter().copied();
                if let Some(shortest) = all.filter(ends).map(<[u8]>::len).min() {
                    let end = offset + at;
                    return Some(Match { start: end - shortest, end });
                }
            }
            offset += piece.len();
        }
        None
    }

    /// Whether the first `end` bytes end with `separator`, which may straddle pieces.
    fn ends_with(&self, end: usize, separator: &[u8]) -> bool {
        let Some(start) = end.checked_sub(separator.len()) else { return false };
        let (mut offset, mut left) = (0, separator);
        for piece in self.pieces() {
            let skipped = start.saturating_sub(offset).min(piece.len());
            let n = left.len().min(piece.len() - skipped);
            if piece[skipped..skipped + n] != left[..n] {
                return false;
            }
            left = &left[n..];
            if left.is_empty() {
                return true;
            }
            offset += piece.len();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buf::Pool;

    /// What ends first, and of those the shortest.
    fn naive(text: &[u8], all: &[&[u8]]) -> Option<Match> {
        (1..=text.len()).find_map(|end| {
            let ends = all.iter().filter(|separator| text[..end].ends_with(separator));
            let shortest = ends.map(|separator| separator.len()).min()?;
            Some(Match { start: end - shortest, end })
        })
    }

    // Seen to fail when a separator that straddles pieces was compared from the beginning of each.
    #[test]
    fn every_split_and_every_set_finds_what_a_search_of_the_whole_finds() {
        let pool = Pool::new(2, 256, 1 << 20).unwrap();
        let sets: [&[&[u8]]; 9] = [
            &[b"\n"],
            &[b"\r\n"],
            &[b"aab"],
            &[b"\n", b"\r\n"],
            &[b"ab", b"b;"],
            &[b"abab", b"bab", b"aa"],
            &[b";", b"a\r\nb", b"xyz"],
            &[b"\r\n\r\n"],
            &[b"aaaa", b"aaab"],
        ];
        let texts: [&[u8]; 8] = [
            b"",
            b"\n",
            b"aaab\r\n",
            b"\r\r\n\n;b",
            b"ababab",
            b"aa\r\nb;",
            b"xyxyz\r\n\r\n",
            b"aaaaaab",
        ];
        for (text, all) in texts.iter().flat_map(|text| sets.map(|all| (*text, all))) {
            let separators = Separators::new(all).unwrap();
            let expected = naive(text, all);
            for splits in 0..1u32 << text.len().saturating_sub(1) {
                let mut inbox = Inbox::new();
                let (mut found, mut scanned) = (None, 0);
                let mut start = 0;
                for end in 1..=text.len() {
                    if end == text.len() || splits >> (end - 1) & 1 == 1 {
                        inbox.push(pool.copy(&text[start..end]));
                        start = end;
                        // As it comes, from where the look before has ended.
                        found = found.or_else(|| inbox.find(&separators, scanned));
                        scanned = end;
                    }
                }
                assert_eq!(found, expected, "{all:?} in {text:?}, split at {splits:b}");
                assert_eq!(inbox.find(&separators, 0), expected, "at once");
            }
        }
    }

    #[test]
    fn no_separator_and_an_empty_one_are_refused() {
        assert!(Separators::new(&[]).is_none());
        assert!(Separators::new(&[b"a", b""]).is_none());
    }

    // The work grows with the bytes: a false candidate does not begin the search of the rest again.
    #[test]
    fn false_candidates_are_passed_once() {
        let pool = Pool::new(2, 256, 1 << 30).unwrap();
        let mut inbox = Inbox::new();
        inbox.push(pool.copy(&vec![b';'; 8 << 20]));
        let separators = Separators::new(&[b"x;", b"\n"]).unwrap();
        assert_eq!(inbox.find(&separators, 0), None);
    }
}
