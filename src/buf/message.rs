//! A gathered send: the header and the vector that `sendmsg(2)` reads.
#![expect(unsafe_code, reason = "a msghdr of all zeroes is a valid one")]

/// Pieces that leave in one send, at most.
pub(crate) const PIECES: usize = 32;

/// A message header with its vector, at one address for as long as the request lasts.
pub(crate) struct Message {
    header: libc::msghdr,
    vector: [libc::iovec; PIECES],
}

impl Message {
    /// Points at `pieces`, at most [`PIECES`] of them. The caller keeps them in place until the
    /// request that takes the pointer has ended, and the message where it is: in a [`Stable`](super::Stable).
    pub(crate) fn gather<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> *const libc::msghdr {
        let mut count = 0;
        for (slot, piece) in self.vector.iter_mut().zip(pieces) {
            slot.iov_base = piece.as_ptr().cast_mut().cast();
            slot.iov_len = piece.len();
            count += 1;
        }
        self.header.msg_iov = self.vector.as_mut_ptr();
        self.header.msg_iovlen = count;
        &raw const self.header
    }
}

impl Default for Message {
    fn default() -> Self {
        let empty = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            // SAFETY: a msghdr is pointers and integers: all zeroes is an empty one.
            header: unsafe { std::mem::zeroed() },
            vector: [empty; PIECES],
        }
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({} pieces)", self.header.msg_iovlen)
    }
}
