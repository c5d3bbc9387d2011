//! Calls of Unix sockets.

use super::*;
use crate::op::Call;

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
                let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
                let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
                let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
                let wanted = libc::O_CLOEXEC | libc::O_NONBLOCK;
                assert_eq!(flags & wanted, wanted);
                rig.close(fd);
            }
        }
        let error = rig.driver.call(Call::Pair { kind: 77, fds: &mut [0; 2] }).unwrap_err();
        assert!(error.raw_os_error().is_some());
    });
}
