//! `epoll(7)`.
#![expect(unsafe_code, reason = "epoll_create1(2), epoll_ctl(2), epoll_pwait2(2)")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::{check, count};
use crate::testing;

/// An epoll instance.
#[derive(Debug)]
pub(crate) struct Epoll {
    fd: OwnedFd,
    /// Set until the kernel says that it has no `epoll_pwait2` (before 5.11, or by seccomp).
    precise: bool,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        count::one();
        // SAFETY: one integer.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel just gave us this descriptor; nobody else has it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, precise: true })
    }

    /// Adds `fd`. `EPERM` says that it is always ready (a regular file or a directory).
    pub(crate) fn add(&self, fd: RawFd, events: u32, data: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: data };
        count::one();
        // SAFETY: `event` is a readable epoll_event.
        check(unsafe {
            libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event)
        })
        .map(drop)
    }

    /// Removes `fd`.
    pub(crate) fn remove(&self, fd: RawFd) -> io::Result<()> {
        count::one();
        // SAFETY: EPOLL_CTL_DEL takes no event since Linux 2.6.9.
        check(unsafe {
            libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut())
        })
        .map(drop)
    }

    /// Sleeps until an event or the timeout (`None`: for ever), and fills `events` from its start.
    /// Never returns before the timeout without an event, unless a signal came (`EINTR`).
    pub(crate) fn wait(
        &mut self,
        events: &mut [libc::epoll_event],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        testing::before_epoll_wait()?;
        let capacity = events.len() as i32;
        if let Some(timeout) = timeout.filter(|timeout| !timeout.is_zero() && self.precise) {
            let time = libc::timespec {
                tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: libc::c_long::from(timeout.subsec_nanos()),
            };
            count::one();
            // SAFETY: `events` has room for `capacity` events, `time` is readable, and a null mask
            // leaves the signals alone.
            let ret = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    self.fd.as_raw_fd(),
                    events.as_mut_ptr(),
                    capacity,
                    &raw const time,
                    std::ptr::null::<libc::sigset_t>(),
                    0usize,
                )
            };
            match check(ret as i32) {
                Ok(n) => return Ok(n as usize),
                // Old kernels answer ENOSYS, old seccomp profiles EPERM.
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    self.precise = false;
                }
                Err(e) => return Err(e),
            }
        }
        let millis = match timeout {
            None => -1,
            Some(timeout) => {
                i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
            }
        };
        count::one();
        // SAFETY: `events` has room for `capacity` events.
        check(unsafe {
            libc::epoll_wait(self.fd.as_raw_fd(), events.as_mut_ptr(), capacity, millis)
        })
        .map(|n| n as usize)
    }
}
