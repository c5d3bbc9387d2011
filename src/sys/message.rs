//! Datagrams as they stand in a buffer, and the control messages that travel with them.
//!
//! ```text
//!   ┌────────────┬───────────┬───────────────┬─────────────────────┐
//!   │ 4 × u32    │ the name  │ control       │ the datagram        │
//!   │ how much   │ 32        │ messages, 112 │                     │
//!   └────────────┴───────────┴───────────────┴─────────────────────┘
//! ```
//!
//! That is how io_uring's multishot `recvmsg` fills a buffer (`struct io_uring_recvmsg_out` in front).
//! Nothing in it is believed: lengths that lead out of the buffer give nothing.

use std::ops::ControlFlow;

use super::SockAddr;

/// Room for the sender's name: an internet address.
pub(crate) const NAME: usize = 32;
/// Room for control messages: four of an integer each, and some to spare.
pub(crate) const CONTROL: usize = 112;
/// What stands before the datagram.
pub(crate) const HEAD: usize = OUT + NAME + CONTROL;

/// `struct io_uring_recvmsg_out`: the lengths of the name, the control messages and the datagram, and
/// the flags.
const OUT: usize = 16;

/// What stands before the bytes of a datagram, of those that came with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    name: &'a [u8],
    control: &'a [u8],
    flags: u32,
}

impl<'a> Head<'a> {
    /// The head of what a receive has put into a buffer; `None`: there is no whole one.
    pub(crate) fn of(message: &'a [u8]) -> Option<Self> {
        let (head, _) = message.split_at_checked(HEAD)?;
        let word = |at: usize| {
            let bytes = head[4 * at..4 * at + 4].try_into().expect("four bytes");
            u32::from_ne_bytes(bytes)
        };
        let (_, rest) = head.split_at(OUT);
        let (name, control) = rest.split_at(NAME);
        let name = &name[..(word(0) as usize).min(NAME)];
        let control = &control[..(word(1) as usize).min(CONTROL)];
        Some(Self { name, control, flags: word(3) })
    }

    /// Writes the lengths and flags of a message whose other parts are in their places.
    pub(crate) fn lengths(name: usize, control: usize, len: usize, flags: i32) -> [u8; OUT] {
        let words = [name as u32, control as u32, len as u32, flags as u32];
        let mut bytes = [0; OUT];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// The sender.
    pub(crate) fn name(&self) -> SockAddr {
        SockAddr::raw(self.name, self.name.len() as libc::socklen_t)
    }

    pub(crate) fn control(&self) -> &'a [u8] {
        self.control
    }

    /// Whether the datagram was longer than its buffer, and the rest of it is lost.
    pub(crate) fn is_truncated(&self) -> bool {
        self.flags & libc::MSG_TRUNC as u32 != 0
    }
}

/// A control message's length, level and kind.
const CMSG: usize = size_of::<libc::cmsghdr>();
const ALIGN: usize = align_of::<usize>();

const _: () = assert!(CMSG == 16 && ALIGN == 8, "64-bit Linux");

/// Calls `each` with the level, kind and data of every control message.
pub(crate) fn control_messages<'a>(
    mut control: &'a [u8],
    mut each: impl FnMut(i32, i32, &'a [u8]) -> ControlFlow<()>,
) {
    while let Some((head, _)) = control.split_first_chunk::<CMSG>() {
        let [len @ .., _, _, _, _, _, _, _, _] = head;
        let len = usize::from_ne_bytes(*len);
        let [_, _, _, _, _, _, _, _, level @ .., _, _, _, _] = head;
        let [_, _, _, _, _, _, _, _, _, _, _, _, kind @ ..] = head;
        let Some(data) = control.get(CMSG..len) else { return };
        if each(i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind), data).is_break() {
            return;
        }
        control = control.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
    }
}

/// Control messages to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl Control {
    /// Three of an integer each.
    const ROOM: usize = 3 * (CMSG + ALIGN);

    pub(crate) const NONE: Self = Self { bytes: [0; Self::ROOM], len: 0 };

    /// Appends one of these few bytes.
    pub(crate) fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        assert!(data.len() <= ALIGN && self.len < Self::ROOM, "there is room for three integers");
        let place = &mut self.bytes[self.len..self.len + CMSG + ALIGN];
        place[..8].copy_from_slice(&(CMSG + data.len()).to_ne_bytes());
        place[8..12].copy_from_slice(&level.to_ne_bytes());
        place[12..16].copy_from_slice(&kind.to_ne_bytes());
        place[16..16 + data.len()].copy_from_slice(data);
        self.len += CMSG + ALIGN;
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(control: &[u8]) -> Vec<(i32, i32, Vec<u8>)> {
        let mut all = Vec::new();
        control_messages(control, |level, kind, data| {
            all.push((level, kind, data.to_vec()));
            ControlFlow::Continue(())
        });
        all
    }

    #[test]
    fn control_messages_come_back_as_they_were_put() {
        let mut control = Control::NONE;
        assert!(parsed(control.as_bytes()).is_empty());
        control.push(1, 2, &[3]);
        control.push(4, 5, &6u32.to_ne_bytes());
        control.push(7, 8, &9u64.to_ne_bytes());
        let expected = [
            (1, 2, vec![3]),
            (4, 5, 6u32.to_ne_bytes().to_vec()),
            (7, 8, 9u64.to_ne_bytes().to_vec()),
        ];
        assert_eq!(parsed(control.as_bytes()), expected);
        // The kernel may leave out what aligns the last one.
        assert_eq!(parsed(&control.as_bytes()[..17]), expected[..1]);
    }

    // Seen to fail when the length of a control message is believed.
    #[test]
    fn lengths_that_lie_lead_nowhere() {
        for len in [0, 1, 15, 17, 1000, usize::MAX - 7, usize::MAX] {
            let mut control = [0; 40];
            control[..8].copy_from_slice(&len.to_ne_bytes());
            let found = parsed(&control[..16]);
            assert!(found.is_empty(), "{len}: {found:?}");
            parsed(&control);
        }
        for lengths in [[0; 16], [0xff; 16]] {
            let mut message = [7; HEAD + 3];
            message[..OUT].copy_from_slice(&lengths);
            let head = Head::of(&message).expect("a whole head");
            assert!(head.name().to_inet().is_err());
            assert!(parsed(head.control()).is_empty());
        }
        assert!(Head::of(&[0; HEAD - 1]).is_none());
    }
}
