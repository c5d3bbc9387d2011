//! What waits on each descriptor, and what is known of it.

use std::os::fd::RawFd;

use crate::buf::Short;
use crate::op::Request;

/// The half of a descriptor that a request works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Read,
    Write,
}

impl Side {
    /// The side that a request works on. Polls work on neither, and the others on no side alone.
    pub(super) fn of(request: &Request) -> Option<Self> {
        match request {
            Request::Read { .. }
            | Request::Recv { .. }
            | Request::RecvMsg { .. }
            | Request::Accept { .. } => Some(Self::Read),
            Request::Write { .. }
            | Request::Send { .. }
            | Request::SendMsg { .. }
            | Request::Connect { .. } => Some(Self::Write),
            Request::Nop
            | Request::Close { .. }
            | Request::Open { .. }
            | Request::Sync { .. }
            | Request::Poll { .. } => None,
        }
    }
}

/// Interests by descriptor number.
#[derive(Debug, Default)]
pub(super) struct Interests {
    /// Boxed, because descriptor numbers leave gaps.
    table: Vec<Option<Box<Interest>>>,
    /// The generation of the last interest that was made.
    generation: u32,
}

/// All that a driver knows of one descriptor, from the first request on it to its close.
#[derive(Debug)]
pub(super) struct Interest {
    /// Tells this use of a descriptor number from earlier ones; travels in the epoll data.
    generation: u32,
    pub(super) registration: Registration,
    /// Whether it is a TCP socket; asked when a short read or a full one makes it matter.
    pub(super) tcp: Option<bool>,
    /// Set by an event with RDHUP, HUP, ERR or PRI; never cleared. An EOF or bytes behind an urgent
    /// one may stand behind a short read then, and make no edge of their own.
    pub(super) ended: bool,
    /// Whether the last receive filled its buffer: the next is given two, for a full one must be looked
    /// behind, and a short one need not.
    pub(super) full: bool,
    pub(super) read: Line,
    pub(super) write: Line,
    /// The polls that wait. They have no order and are asked again at every event.
    pub(super) polls: Vec<u32>,
}

/// What epoll thinks of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registration {
    /// Not asked yet: nothing had to wait.
    None,
    /// Registered, edge-triggered, for everything, until the close.
    Made,
    /// Refused: a regular file or a directory. It has no readiness; workers do its requests.
    File,
}

/// The requests of one side, first in, first out. Only the first one is tried.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Slots of requests.
    pub(super) waiting: Short<u32>,
    /// Set when nothing more is to be had until an edge says so; cleared by that edge. Only ever set
    /// on a registered descriptor.
    pub(super) drained: bool,
    /// Set while the line stands in the driver's list of those that go on at the next wait.
    pub(super) carried: bool,
}

impl Interests {
    /// The interest in `fd`; a new one where there was none.
    pub(super) fn at(&mut self, fd: RawFd) -> &mut Interest {
        let index = usize::try_from(fd).expect("a descriptor is not negative");
        if index >= self.table.len() {
            self.table.resize_with(index + 1, || None);
        }
        let generation = &mut self.generation;
        self.table[index].get_or_insert_with(|| {
            *generation = generation.wrapping_add(1);
            Box::new(Interest::new(*generation))
        })
    }

    /// The interest that `data` was registered for, unless its descriptor has been closed since.
    pub(super) fn of(&mut self, data: u64) -> Option<(RawFd, &mut Interest)> {
        let (fd, generation) = (data as u32, (data >> 32) as u32);
        let interest = self.table.get_mut(fd as usize)?.as_deref_mut()?;
        (interest.generation == generation).then_some((fd as RawFd, interest))
    }

    /// Forgets `fd`; its next user starts afresh.
    pub(super) fn remove(&mut self, fd: RawFd) -> Option<Box<Interest>> {
        self.table.get_mut(usize::try_from(fd).ok()?)?.take()
    }
}

impl Interest {
    fn new(generation: u32) -> Self {
        Self {
            generation,
            registration: Registration::None,
            tcp: None,
            full: false,
            ended: false,
            read: Line::default(),
            write: Line::default(),
            polls: Vec::new(),
        }
    }

    /// What its events carry.
    pub(super) fn data(&self, fd: RawFd) -> u64 {
        u64::from(self.generation) << 32 | u64::from(fd as u32)
    }

    pub(super) fn line(&mut self, side: Side) -> &mut Line {
        match side {
            Side::Read => &mut self.read,
            Side::Write => &mut self.write,
        }
    }

    /// Books that the other end has nothing for us, or no room, until an edge comes. Without a
    /// registration no edge would come, so then nothing is known.
    pub(super) fn drain(&mut self, side: Side) {
        self.line(side).drained = self.registration == Registration::Made;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_closed_descriptor_does_not_reach_its_successor() {
        let mut interests = Interests::default();
        let old = interests.at(5).data(5);
        assert!(interests.of(old).is_some());
        interests.remove(5);
        assert!(interests.of(old).is_none());
        let new = interests.at(5).data(5);
        assert!(interests.of(old).is_none());
        assert!(interests.of(new).is_some());
        assert!(interests.of(99).is_none(), "beyond the table");
    }
}
