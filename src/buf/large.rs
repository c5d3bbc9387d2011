//! Large blocks that a shard uses again and again, last in, first out: what is still in the cache.

use std::cell::RefCell;

use super::Block;
use super::memory::RECYCLES;

/// Bytes of a large block.
pub(super) const LARGE: u32 = 256 << 10;

/// How many are kept while nobody uses them: 1 MiB.
const SPARES: usize = 4;

/// The spares. All of their bytes are initialized.
pub(super) struct Large {
    spares: RefCell<Vec<Block>>,
    recycles: bool,
}

impl Large {
    pub(super) const fn new() -> Self {
        Self { spares: RefCell::new(Vec::new()), recycles: RECYCLES }
    }

    /// A block full of whatever it held last, or of zeroes.
    pub(super) fn take(&self) -> Block {
        self.spares.borrow_mut().pop().unwrap_or_else(|| Block::zeroed(LARGE))
    }

    /// Keeps a large block for the next use, frees any other.
    pub(super) fn keep(&self, block: Block) {
        let mut spares = self.spares.borrow_mut();
        // A receive that filled one leaves only what it received initialized.
        let whole = block.len() == LARGE as usize;
        if self.recycles && whole && spares.len() < SPARES {
            spares.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is where memory is not guarded.
    fn recycling() -> Large {
        Large { recycles: true, ..Large::new() }
    }

    #[test]
    fn the_block_that_was_used_last_is_used_next() {
        let large = recycling();
        let (one, other) = (large.take(), large.take());
        let [first, second] = [one.as_ptr(), other.as_ptr()];
        assert_ne!(first, second);
        large.keep(one);
        large.keep(other);
        let (next, then) = (large.take(), large.take());
        assert_eq!([next.as_ptr(), then.as_ptr()], [second, first]);
        assert!(next.iter().chain(then.iter()).all(|&byte| byte == 0));
        assert_eq!((next.len(), next.spare()), (LARGE as usize, 0));
    }

    // Seen to fail when `keep` does not count, or does not ask how long a block is.
    #[test]
    fn no_more_than_four_are_kept_and_nothing_that_is_not_whole() {
        let large = recycling();
        let blocks: Vec<Block> = (0..10).map(|_| large.take()).collect();
        blocks.into_iter().for_each(|block| large.keep(block));
        assert_eq!(large.spares.borrow().len(), SPARES);
        let large = recycling();
        large.keep(Block::zeroed(LARGE - 1));
        large.keep(Block::zeroed(4096));
        large.keep(Block::copy_of(&[7; 64 << 10]));
        // Large, and nobody knows what the rest of it holds.
        large.keep(Block::with_capacity(LARGE));
        assert!(large.spares.borrow().is_empty());
    }

    #[test]
    fn where_memory_is_guarded_each_block_is_used_once() {
        let large = Large::new();
        large.keep(large.take());
        assert!(large.spares.borrow().is_empty());
    }
}
