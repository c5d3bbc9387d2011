//! Descriptors that travel over a Unix socket: `SCM_RIGHTS`.
#![expect(unsafe_code, reason = "sendmsg(2) and recvmsg(2) with control messages")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::{check_len, count, file};

/// Descriptors of one message, at most (`SCM_MAX_FD`).
pub(crate) const MOST: usize = 253;

/// What came with the bytes of a receive.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    pub(crate) fds: Vec<OwnedFd>,
    /// Some were lost: the process has no room for more (`MSG_CTRUNC`).
    pub(crate) cut: bool,
}

const HEADER: usize = size_of::<libc::cmsghdr>();

/// What control messages are aligned to, and their data.
const ALIGN: usize = size_of::<usize>();

const _: () = assert!(HEADER.is_multiple_of(ALIGN), "the data follows the header at once");

/// Room for the descriptors of a message, and for what else a socket may have been told to tell.
const ROOM: usize = 2048;

/// Memory for control messages.
#[repr(C)]
struct Control {
    _aligned: [usize; 0],
    bytes: [u8; ROOM],
}

impl Control {
    const fn new() -> Self {
        Self { _aligned: [], bytes: [0; ROOM] }
    }

    /// A message of one piece, with the first `len` of these bytes.
    fn message(&mut self, piece: &mut libc::iovec, len: usize) -> libc::msghdr {
        // SAFETY: all zeros is a valid msghdr, of no name, no pieces and no control messages.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = piece;
        message.msg_iovlen = 1;
        message.msg_control = self.bytes.as_mut_ptr().cast();
        message.msg_controllen = len;
        message
    }
}

/// `sendmsg(2)` of some bytes, [`MOST`] descriptors at most with the first; never waiting and never
/// raising SIGPIPE.
pub(crate) fn send(fd: RawFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let len = HEADER + size_of_val(fds);
    if len > ROOM {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut control = Control::new();
    // SAFETY: all zeros is a valid cmsghdr.
    let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
    header.cmsg_len = len;
    header.cmsg_level = libc::SOL_SOCKET;
    header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: there is room for a header, aligned or not.
    unsafe { control.bytes.as_mut_ptr().cast::<libc::cmsghdr>().write_unaligned(header) };
    for (slot, fd) in control.bytes[HEADER..].chunks_exact_mut(4).zip(fds) {
        slot.copy_from_slice(&fd.as_raw_fd().to_ne_bytes());
    }
    let mut piece =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // Without descriptors it is a plain send.
    let message = control.message(&mut piece, if fds.is_empty() { 0 } else { len });
    count::one();
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the header names the piece and the control bytes of this frame, and the caller's bytes,
    // which a send only reads.
    check_len(unsafe { libc::sendmsg(fd, &raw const message, flags) })
}

/// `recvmsg(2)`, never waiting: how many bytes came. The descriptors are close-on-exec.
pub(crate) fn recv(fd: RawFd, into: &mut [u8], rights: &mut Rights) -> io::Result<usize> {
    let mut control = Control::new();
    let mut piece = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let mut message = control.message(&mut piece, ROOM);
    count::one();
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header names the piece and the control bytes of this frame, and the caller's bytes,
    // which are writable for their length.
    let len = check_len(unsafe { libc::recvmsg(fd, &raw mut message, flags) })?;
    let told = message.msg_controllen.min(ROOM);
    for (kind, fd) in descriptors(&control.bytes[..told]) {
        let fd = file::own(fd);
        if kind == libc::SCM_RIGHTS {
            rights.fds.push(fd);
        }
    }
    rights.cut |= message.msg_flags & libc::MSG_CTRUNC != 0;
    Ok(len)
}

/// Who sent it, as a descriptor: where `SO_PASSPIDFD` was set before we got the socket.
const SCM_PIDFD: i32 = 4;

/// The descriptors in control messages of the kernel's, all of which it has opened for us, and of which
/// kind each is.
fn descriptors(control: &[u8]) -> impl Iterator<Item = (i32, RawFd)> {
    let mut rest = control;
    let messages = std::iter::from_fn(move || {
        let (header, _) = rest.split_at_checked(HEADER)?;
        // SAFETY: these are the bytes of a header, aligned or not; all values are valid.
        let header = unsafe { header.as_ptr().cast::<libc::cmsghdr>().read_unaligned() };
        let len = header.cmsg_len;
        if len < HEADER {
            return None;
        }
        let data = &rest[HEADER..len.min(rest.len())];
        let next = len.checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX);
        rest = rest.get(next..).unwrap_or_default();
        let (level, kind) = (header.cmsg_level, header.cmsg_type);
        let opens = level == libc::SOL_SOCKET && [libc::SCM_RIGHTS, SCM_PIDFD].contains(&kind);
        Some((kind, if opens { data } else { &[] }))
    });
    messages.flat_map(|(kind, data)| data.chunks_exact(4).map(move |fd| (kind, fd))).filter_map(
        |(kind, fd)| {
            let fd = RawFd::from_ne_bytes(fd.try_into().ok()?);
            (fd >= 0).then_some((kind, fd))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A control message as the kernel would write it, with this length in its header.
    fn message(len: usize, kind: i32, fds: &[RawFd]) -> Vec<u8> {
        // SAFETY: all zeros is a valid cmsghdr.
        let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
        header.cmsg_len = len;
        header.cmsg_level = libc::SOL_SOCKET;
        header.cmsg_type = kind;
        let mut bytes = vec![0; HEADER];
        // SAFETY: there is room for a header.
        unsafe { bytes.as_mut_ptr().cast::<libc::cmsghdr>().write_unaligned(header) };
        fds.iter().for_each(|fd| bytes.extend(fd.to_ne_bytes()));
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes
    }

    fn read(control: &[u8]) -> Vec<RawFd> {
        descriptors(control).map(|(_, fd)| fd).collect()
    }

    #[test]
    fn descriptors_are_found_between_other_messages() {
        let rights = |fds: &[RawFd]| message(HEADER + 4 * fds.len(), libc::SCM_RIGHTS, fds);
        let other = message(HEADER + 12, libc::SCM_CREDENTIALS, &[7, 8, 9]);
        assert_eq!(read(&[]), []);
        assert_eq!(read(&rights(&[])), []);
        assert_eq!(read(&rights(&[3, 4, 5])), [3, 4, 5]);
        assert_eq!(
            read(&[other.clone(), rights(&[3]), other, rights(&[4, 5])].concat()),
            [3, 4, 5]
        );
    }

    #[test]
    fn a_descriptor_that_nobody_sent_is_told_from_those_that_were() {
        let pidfd = message(HEADER + 4, SCM_PIDFD, &[6]);
        let rights = message(HEADER + 4, libc::SCM_RIGHTS, &[3]);
        let both: Vec<_> = descriptors(&[pidfd, rights].concat()).collect();
        assert_eq!(both, [(SCM_PIDFD, 6), (libc::SCM_RIGHTS, 3)]);
    }

    // Seen to fail when a length was believed.
    #[test]
    fn a_length_that_no_kernel_says_is_not_followed() {
        for len in [0, 1, HEADER - 1] {
            assert_eq!(read(&message(len, libc::SCM_RIGHTS, &[3, 4])), []);
        }
        for len in [HEADER + 12, HEADER + 4096, usize::MAX] {
            assert_eq!(read(&message(len, libc::SCM_RIGHTS, &[3, 4])), [3, 4], "of {len}");
        }
        // Half a descriptor, and none.
        assert_eq!(read(&message(HEADER + 6, libc::SCM_RIGHTS, &[3, 4])), [3]);
        assert_eq!(read(&message(HEADER + 8, libc::SCM_RIGHTS, &[-1, 4])), [4]);
        for cut in 0..HEADER {
            assert_eq!(read(&message(HEADER, libc::SCM_RIGHTS, &[])[..cut]), []);
        }
    }
}
