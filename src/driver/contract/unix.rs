//! Calls of Unix sockets.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::SocketAddr;

use super::*;
use crate::op::Call;
use crate::sys::SockAddr;
use crate::sys::rights::Rights;

/// The flags of an open file, and whether it is close-on-exec.
fn flags(fd: RawFd) -> i32 {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    i32::from_str_radix(flags.trim(), 8).unwrap()
}

#[test]
fn a_pair_is_connected_close_on_exec_and_does_not_wait() {
    each(|rig| {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            let mut fds = [-1; 2];
            assert_eq!(rig.driver.call(Call::Pair { kind, fds: &mut fds }).unwrap(), 0);
            let [one, other] = fds;
            let mut into = [0; 8];
            let error = rig.driver.call(Call::RecvNow { fd: other, into: &mut into }).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
            assert_eq!(rig.driver.call(Call::SendNow { fd: one, bytes: b"hello" }).unwrap(), 5);
            assert_eq!(rig.driver.call(Call::RecvNow { fd: other, into: &mut into }).unwrap(), 5);
            assert_eq!(&into[..5], b"hello");
            for fd in fds {
                let wanted = libc::O_CLOEXEC | libc::O_NONBLOCK;
                assert_eq!(flags(fd) & wanted, wanted);
                rig.close(fd);
            }
        }
        let error = rig.driver.call(Call::Pair { kind: 77, fds: &mut [0; 2] }).unwrap_err();
        assert!(error.raw_os_error().is_some());
    });
}

// Seen to fail when the descriptors were not made close-on-exec.
#[test]
fn descriptors_travel_with_the_first_byte_and_end_a_receive() {
    each(|rig| {
        let mut pair = [-1; 2];
        rig.driver.call(Call::Pair { kind: libc::SOCK_STREAM, fds: &mut pair }).unwrap();
        let [one, other] = pair;
        let mut into = [0; 64];
        let mut rights = Rights::default();
        let mut recv = |rig: &mut Rig, rights: &mut Rights, len| {
            let answer =
                rig.driver.call(Call::RecvFds { fd: other, into: &mut into[..len], rights });
            let n = answer.unwrap_or_else(|error| -error.raw_os_error().unwrap());
            (n, into[..n.max(0) as usize].to_vec())
        };
        assert_eq!(recv(rig, &mut rights, 8).0, -libc::EAGAIN);
        let (reader, writer) = std::io::pipe().unwrap();
        let (fds, bytes) = ([reader.as_fd(), writer.as_fd()], b"carried");
        assert_eq!(rig.driver.call(Call::SendNow { fd: one, bytes: b"before " }).unwrap(), 7);
        assert_eq!(rig.driver.call(Call::SendFds { fd: one, bytes, fds: &fds }).unwrap(), 7);
        assert_eq!(
            rig.driver.call(Call::SendFds { fd: one, bytes: b"after", fds: &[] }).unwrap(),
            5
        );
        assert_eq!(recv(rig, &mut rights, 3), (3, b"bef".to_vec()));
        assert!(rights.fds.is_empty());
        assert_eq!(recv(rig, &mut rights, 64), (11, b"ore carried".to_vec()));
        assert!(rights.fds.len() == 2 && !rights.cut);
        assert!(rights.fds.iter().all(|fd| flags(fd.as_raw_fd()) & libc::O_CLOEXEC != 0));
        assert_eq!(recv(rig, &mut rights, 64), (5, b"after".to_vec()));
        let mut through = std::fs::File::from(rights.fds.pop().unwrap());
        through.write_all(b"x").unwrap();
        assert_eq!((&reader).read(&mut [0]).unwrap(), 1);
        rig.close(one);
        assert_eq!(recv(rig, &mut rights, 8).0, 0, "the end");
        let send = Call::SendFds { fd: other, bytes: b"x", fds: &fds };
        assert_eq!(rig.driver.call(send).unwrap_err().raw_os_error(), Some(libc::EPIPE));
        rig.close(other);
    });
}

#[test]
fn a_mode_that_was_set_before_the_bind_is_what_the_file_may_have() {
    each(|rig| {
        let path = std::env::temp_dir().join(format!("ringloop-mode-{}", std::process::id()));
        let address = SockAddr::from(&SocketAddr::from_pathname(&path).unwrap());
        let (domain, kind) = (libc::AF_UNIX, libc::SOCK_STREAM);
        let fd = rig.driver.call(Call::Socket { domain, kind, protocol: 0 }).unwrap();
        rig.driver.call(Call::SetMode { fd, mode: 0o600 }).unwrap();
        rig.driver.call(Call::Bind { fd, address: &address }).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
        rig.close(fd);
        std::fs::remove_file(path).unwrap();
        let error = rig.driver.call(Call::SetMode { fd: -1, mode: 0 }).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    });
}
