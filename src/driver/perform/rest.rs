//! What is left of a message that went out in part.

/// The slices of its bytes that have not gone. Control messages went with its first byte.
pub(super) struct Rest(Vec<libc::iovec>);

impl Rest {
    /// A copy of all its slices.
    pub(super) fn of(slices: &[libc::iovec]) -> Self {
        Self(slices.to_vec())
    }

    /// Books `n` bytes that went.
    pub(super) fn advance(&mut self, mut n: usize) {
        let whole = self.0.iter().take_while(|slice| {
            let fits = slice.iov_len <= n;
            n -= if fits { slice.iov_len } else { 0 };
            fits
        });
        let whole = whole.count();
        self.0.drain(..whole);
        if let Some(first) = self.0.first_mut() {
            first.iov_base = first.iov_base.wrapping_byte_add(n);
            first.iov_len -= n;
        }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.0.iter().map(|slice| slice.iov_len).sum()
    }

    /// `message` without what went of it. It names our slices, as they are now.
    pub(super) fn header(&mut self, message: libc::msghdr) -> libc::msghdr {
        libc::msghdr {
            msg_iov: self.0.as_mut_ptr(),
            msg_iovlen: self.0.len(),
            msg_control: std::ptr::null_mut(),
            msg_controllen: 0,
            ..message
        }
    }
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rest({} bytes)", self.left())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_message_starts_at_the_first_byte_that_did_not_go() {
        let mut bytes = *b"abcdefghij";
        let piece = |at: usize, len| libc::iovec { iov_base: at as *mut _, iov_len: len };
        let start = bytes.as_mut_ptr() as usize;
        for gone in 0..=10 {
            let slices = [piece(start, 3), piece(0, 0), piece(start + 3, 4), piece(start + 7, 3)];
            let mut rest = Rest::of(&slices);
            rest.advance(gone);
            assert_eq!(rest.left(), 10 - gone);
            if let Some(first) = rest.0.iter().find(|slice| slice.iov_len > 0) {
                assert_eq!(first.iov_base as usize, start + gone);
            }
        }
    }
}
