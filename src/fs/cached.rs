//! Reads of what is in the page cache: within the poll, straight into the reader's slice.
//!
//! ```text
//!   read_at ──► preadv2(RWF_NOWAIT) ──► bytes: done, nothing was ever in flight
//!                   └─ it would wait ──► the driver's queue, into a block
//! ```
//!
//! A call that finds nothing is for nothing, so after it some reads go by the queue untried: twice as
//! many each time, up to [`MOST_SKIPPED`]. Never tried are files that bypass the cache: such a call
//! waits for the disk, whatever it promises (`uring-sys-notes/file-reads.md`).

use std::cell::Cell;
use std::io;

use crate::op::Call;
use crate::runtime::Fd;
use crate::task::spend_many;

/// The most that one call reads: others wait meanwhile.
const MOST: usize = 1 << 20;

/// So many bytes count as one ready result.
const SHARE: usize = 16 << 10;

const MOST_SKIPPED: u8 = 64;

/// What a file's reads have found of late.
#[derive(Debug)]
pub(super) struct Cached {
    next: Cell<Next>,
}

/// What the next read does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It tries; if it misses, so many go untried.
    Try { then: u8 },
    /// It goes by the queue, and so do `left` more; if the try behind them misses, `then` more.
    Skip { left: u8, then: u8 },
    /// No read of this file is ever tried.
    Never,
}

impl Cached {
    /// `flags` are those of the open.
    pub(super) fn new(flags: i32, allowed: bool) -> Self {
        let may = allowed && flags & libc::O_DIRECT == 0;
        Self { next: Cell::new(if may { Next::FRESH } else { Next::Never }) }
    }

    /// Reads what is there; 0 where the queue has to answer: nothing is there, or the file ends, or
    /// there is an error.
    pub(super) fn read(&self, fd: &Fd, into: &mut [u8], offset: u64) -> usize {
        let next = self.next.get();
        if !matches!(next, Next::Try { .. }) || into.is_empty() {
            self.next.set(next.skipped());
            return 0;
        }
        let len = into.len().min(MOST);
        let into = &mut into[..len];
        let (n, next) = match fd.core().call_directly(Call::ReadNow { fd: fd.raw(), into, offset })
        {
            Ok(n @ 1..) => (n.min(len), Next::FRESH),
            // Some kernels say so of what is not cached.
            Ok(0) => (0, next.missed()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (0, next.missed()),
            Err(_) => (0, Next::Never),
        };
        self.next.set(next);
        if n > 0 {
            spend_many(1 + (n / SHARE) as u16);
        }
        n
    }
}

impl Next {
    const FRESH: Self = Self::Try { then: 1 };

    fn missed(self) -> Self {
        match self {
            Self::Try { then } => Self::Skip { left: then - 1, then: (then * 2).min(MOST_SKIPPED) },
            other => other,
        }
    }

    fn skipped(self) -> Self {
        match self {
            Self::Skip { left: 0, then } => Self::Try { then },
            Self::Skip { left, then } => Self::Skip { left: left - 1, then },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of `reads` reads are tried, if all of them miss.
    fn tried(cached: &Cached, reads: usize) -> Vec<usize> {
        let mut tried = Vec::new();
        for i in 0..reads {
            let next = cached.next.get();
            let try_it = matches!(next, Next::Try { .. });
            cached.next.set(if try_it { next.missed() } else { next.skipped() });
            tried.extend(try_it.then_some(i));
        }
        tried
    }

    #[test]
    fn after_each_miss_twice_as_many_go_untried_and_never_more_than_64() {
        let cached = Cached::new(libc::O_RDONLY, true);
        assert_eq!(tried(&cached, 270), [0, 2, 5, 10, 19, 36, 69, 134, 199, 264]);
    }

    #[test]
    fn files_that_bypass_the_cache_are_never_tried_nor_are_any_where_it_is_not_allowed() {
        for (flags, allowed) in [(libc::O_DIRECT, true), (libc::O_RDWR, false)] {
            assert!(tried(&Cached::new(flags, allowed), 1000).is_empty());
        }
    }
}
