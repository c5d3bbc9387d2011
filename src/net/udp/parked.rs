//! What has come to an internet socket and nobody has taken: datagrams and errors, in order.

use std::collections::VecDeque;
use std::io;

use super::datagram::Datagram;
use crate::buf::Lease;

/// Bytes that may be parked. The last one may pass them by its own length.
const BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Parked {
    queue: VecDeque<Result<Datagram, i32>>,
    /// In the queue.
    bytes: usize,
    /// How many may be parked before receiving pauses.
    limit: usize,
    /// Datagrams that the kernel had no room for.
    dropped: u64,
    /// The kernel's own count, of the last that came.
    counted: u32,
}

impl Parked {
    pub(in crate::net) fn new(limit: usize) -> Self {
        Self { queue: VecDeque::new(), bytes: 0, limit: limit.max(1), dropped: 0, counted: 0 }
    }

    /// Parks the datagram that a message holds.
    pub(in crate::net) fn push(&mut self, message: Lease) {
        match Datagram::of(message) {
            Ok((datagram, aside)) => {
                if let Some(counted) = aside.dropped {
                    self.dropped += u64::from(counted.wrapping_sub(self.counted));
                    self.counted = counted;
                }
                self.bytes += datagram.len();
                self.queue.push_back(Ok(datagram));
            }
            Err(errno) => self.fail(errno),
        }
    }

    /// Parks an error. The same again says nothing new.
    pub(in crate::net) fn fail(&mut self, errno: i32) {
        if self.queue.back().is_none_or(|last| *last.as_ref().err().unwrap_or(&0) != errno) {
            self.queue.push_back(Err(errno));
        }
    }

    /// The oldest.
    pub(super) fn pop(&mut self) -> Option<io::Result<Datagram>> {
        let next = self.queue.pop_front()?;
        if let Ok(datagram) = &next {
            self.bytes -= datagram.len();
        }
        Some(next.map_err(io::Error::from_raw_os_error))
    }

    /// The oldest, which stays unless it is an error.
    pub(super) fn peek(&mut self) -> Option<io::Result<&Datagram>> {
        if let Some(Err(errno)) = self.queue.front() {
            let error = io::Error::from_raw_os_error(*errno);
            self.queue.pop_front();
            return Some(Err(error));
        }
        let Some(Ok(datagram)) = self.queue.front() else { return None };
        Some(Ok(datagram))
    }

    /// Up to `most` of the oldest, as far as there is no error among them: how many. An error that comes
    /// first is taken alone.
    pub(super) fn pop_many(
        &mut self,
        into: &mut Vec<Datagram>,
        most: usize,
    ) -> Option<io::Result<usize>> {
        if let Some(Err(_)) = self.queue.front() {
            return self.pop().map(|next| next.map(|_| 0));
        }
        let mut count = 0;
        while count < most
            && let Some(Ok(_)) = self.queue.front()
            && let Some(Ok(datagram)) = self.pop()
        {
            into.push(datagram);
            count += 1;
        }
        (count > 0).then_some(Ok(count))
    }

    /// Everything, in a queue of its own.
    pub(in crate::net) fn take_all(&mut self) -> Self {
        let empty = Self { dropped: self.dropped, counted: self.counted, ..Self::new(self.limit) };
        std::mem::replace(self, empty)
    }

    /// The datagrams alone.
    pub(super) fn into_datagrams(self) -> Vec<Datagram> {
        self.queue.into_iter().filter_map(Result::ok).collect()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(in crate::net) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(in crate::net) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(in crate::net) fn ends_with_error(&self) -> bool {
        matches!(self.queue.back(), Some(Err(_)))
    }

    /// Whether receiving must pause.
    pub(in crate::net) fn is_full(&self) -> bool {
        self.queue.len() >= self.limit || self.bytes >= BYTES
    }

    /// Whether it may begin, or go on after a pause: when half of it has been taken.
    pub(in crate::net) fn wants_more(&self) -> bool {
        self.queue.len() <= self.limit / 2 && self.bytes <= BYTES / 2
    }
}
