//! Blocks and message headers that a shard uses again and again, last in, first out.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;

use super::memory::RECYCLES;
use super::{Block, Message, Stable};

/// Sizes of blocks, and how many spares of each are kept.
const CLASSES: [(u32, usize); 3] = [(1 << 10, 1024), (16 << 10, 64), (64 << 10, 16)];

const MESSAGES: usize = 64;

/// What outboxes write into.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    blocks: [RefCell<Vec<Block>>; CLASSES.len()],
    messages: RefCell<Vec<Stable<Message>>>,
    /// Sent, or given up. Their owners' drops are user code, so the loop drops them when nothing is
    /// borrowed.
    discarded: RefCell<VecDeque<Bytes>>,
}

impl Spares {
    /// An empty block with room for `len` bytes, or the largest there is.
    pub(crate) fn block(&self, len: usize) -> Block {
        let fits = CLASSES.iter().position(|(size, _)| len <= *size as usize);
        let class = fits.unwrap_or(CLASSES.len() - 1);
        let spare = self.blocks[class].borrow_mut().pop();
        spare.unwrap_or_else(|| Block::with_capacity(CLASSES[class].0))
    }

    /// Takes a block back.
    pub(crate) fn keep_block(&self, mut block: Block) {
        let class = CLASSES.iter().position(|(size, _)| block.capacity() == *size);
        if let Some(class) = class {
            let mut spares = self.blocks[class].borrow_mut();
            if RECYCLES && spares.len() < CLASSES[class].1 {
                block.clear();
                spares.push(block);
            }
        }
    }

    /// An empty message header.
    pub(crate) fn message(&self) -> Stable<Message> {
        self.messages.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a message header back.
    pub(crate) fn keep_message(&self, message: Stable<Message>) {
        let mut spares = self.messages.borrow_mut();
        if RECYCLES && spares.len() < MESSAGES {
            spares.push(message);
        }
    }

    /// Takes bytes that are not needed any more.
    pub(crate) fn discard(&self, bytes: Bytes) {
        self.discarded.borrow_mut().push_back(bytes);
    }

    /// Whether the loop has something to drop.
    pub(crate) fn has_discarded(&self) -> bool {
        !self.discarded.borrow().is_empty()
    }

    /// The oldest of what was discarded, for the loop to drop.
    pub(crate) fn next_discarded(&self) -> Option<Bytes> {
        self.discarded.borrow_mut().pop_front()
    }
}
