//! Promises 1 and 2 for files, pipes, polls and closes.

use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;

use super::*;
use crate::op::Call;

#[test]
fn a_poll_shows_what_is_there_and_waits_for_what_is_not() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let (readable, writable) = (libc::POLLIN as u32, libc::POLLOUT as u32);
        let shown = rig.result(Request::Poll { fd, events: writable });
        assert_ne!(shown & libc::POLLOUT as i32, 0);
        for _ in 0..3 {
            let tokens = [0; 2].map(|_| rig.submit(Request::Poll { fd, events: readable }));
            rig.rest();
            assert!(tokens.iter().all(|&token| rig.is_flying(token)));
            write_all(&mut peer, b"x");
            for token in tokens {
                assert_ne!(rig.end(token) & libc::POLLIN as i32, 0);
            }
            assert_eq!(rig.result(recv(fd, &mut [0; 8])), 1);
        }
        drop(peer);
        assert_ne!(rig.result(Request::Poll { fd, events: readable }) & libc::POLLHUP as i32, 0);
        rig.close(fd);
    });
}

#[test]
fn a_file_is_opened_written_synced_and_read_back() {
    each(|rig| {
        let path = std::env::temp_dir().join(format!("ringloop-contract-{}", std::process::id()));
        let name = CString::new(path.clone().into_os_string().into_vec()).unwrap();
        let open = |flags| Request::Open { path: name.as_ptr(), flags, mode: 0o600 };
        let fd = rig.result(open(libc::O_CREAT | libc::O_RDWR | libc::O_TRUNC));
        assert!(fd >= 0, "{fd}");
        let bytes = pattern(100_000);
        let write = |at: usize, len: usize, offset| Request::Write {
            fd,
            ptr: bytes[at..at + len].as_ptr(),
            len: len as u32,
            offset,
        };
        assert_eq!(rig.result(write(0, 10, Request::POSITION)), 10);
        assert_eq!(rig.result(write(10, 10, Request::POSITION)), 10);
        assert_eq!(rig.result(write(20, 99_980, 20)), 99_980);
        for data_only in [false, true] {
            assert_eq!(rig.result(Request::Sync { fd, data_only }), 0);
        }
        let mut back = vec![0; 100_000];
        let read = Request::Read { fd, ptr: back.as_mut_ptr(), len: 100_000, offset: 0 };
        assert_eq!(rig.result(read), 100_000);
        assert!(back == bytes);
        let read = Request::Read { fd, ptr: back.as_mut_ptr(), len: 8, offset: Request::POSITION };
        assert_eq!(rig.result(read), 8, "the position stands behind the second write");
        assert_eq!(back[..8], bytes[20..28]);
        let read = Request::Read { fd, ptr: back.as_mut_ptr(), len: 8, offset: 100_000 };
        assert_eq!(rig.result(read), 0, "the end of the file");
        rig.close(fd);
        std::fs::remove_file(path).unwrap();
        assert_eq!(rig.result(open(libc::O_RDONLY)), -libc::ENOENT);
    });
}

// Seen to fail when the offset is rounded down to a page.
#[test]
fn a_read_now_says_what_is_there_or_why_not_and_leaves_nothing_behind() {
    each(|rig| {
        let path = std::env::temp_dir().join(format!("ringloop-now-{}", std::process::id()));
        let bytes = pattern(100_000);
        std::fs::write(&path, &bytes).unwrap();
        let fd = std::fs::File::open(&path).unwrap().into_raw_fd();
        let mut now = |fd, into: &mut [u8], offset| {
            let answer = rig.driver.call(Call::ReadNow { fd, into, offset });
            answer.unwrap_or_else(|error| -error.raw_os_error().unwrap())
        };
        let mut back = vec![0; 70_000];
        match now(fd, &mut back, 1) {
            // Not on every file system.
            n if n == -libc::EOPNOTSUPP || n == -libc::EAGAIN => {}
            n => assert!(n > 0 && back[..n as usize] == bytes[1..=n as usize]),
        }
        assert!([0, -libc::EOPNOTSUPP].contains(&now(fd, &mut back, 100_000)));
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(now(reader.as_raw_fd(), &mut back, 0), -libc::ESPIPE);
        let written = std::fs::File::options().write(true).open(&path).unwrap();
        assert_eq!(now(written.as_raw_fd(), &mut back, 0), -libc::EBADF);
        let directory = std::fs::File::open("/").unwrap();
        assert_eq!(now(directory.as_raw_fd(), &mut back, 0), -libc::EOPNOTSUPP);
        rig.close(fd);
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_poll_of_a_file_answers_at_once() {
    each(|rig| {
        let fd = std::fs::File::open("/proc/self/exe").unwrap().into_raw_fd();
        let poll = |events: i16| Request::Poll { fd, events: events as u32 };
        assert_eq!(rig.result(poll(libc::POLLIN)), libc::POLLIN.into());
        assert_eq!(rig.result(poll(libc::POLLPRI)), -libc::EINVAL, "it never shows that");
        rig.close(fd);
    });
}

#[test]
fn what_can_be_polled_but_not_read_without_waiting_is_read_and_written_all_the_same() {
    each(|rig| {
        let mut buf = [0; 8];
        let fd = std::fs::File::open("/proc/self/mounts").unwrap().into_raw_fd();
        for offset in [Request::POSITION, 0] {
            let read = Request::Read { fd, ptr: buf.as_mut_ptr(), len: 8, offset };
            assert_eq!(rig.result(read), 8);
        }
        rig.close(fd);
        // Not every sandbox has terminals.
        let mut options = std::fs::File::options();
        let Ok(terminal) = options.read(true).write(true).open("/dev/ptmx") else { return };
        let fd = terminal.into_raw_fd();
        let offset = Request::POSITION;
        assert_eq!(rig.result(Request::Write { fd, ptr: b"hello".as_ptr(), len: 5, offset }), 5);
        rig.close(fd);
    });
}

#[test]
fn a_directory_is_not_read_and_a_file_is_no_socket() {
    each(|rig| {
        let mut buf = [0; 8];
        let fd = std::fs::File::open("/").unwrap().into_raw_fd();
        let read = Request::Read { fd, ptr: buf.as_mut_ptr(), len: 8, offset: 0 };
        assert_eq!(rig.result(read), -libc::EISDIR);
        assert_eq!(rig.result(recv(fd, &mut buf)), -libc::ENOTSOCK);
        assert_eq!(rig.result(send(fd, &buf)), -libc::ENOTSOCK);
        rig.close(fd);
    });
}

#[test]
fn a_pipe_is_read_when_it_has_bytes_and_written_when_it_has_room() {
    each(|rig| {
        let (reader, writer) = std::io::pipe().unwrap();
        let (from, to) = (reader.into_raw_fd(), writer.into_raw_fd());
        let mut buf = [0; 8];
        for offset in [Request::POSITION, 0] {
            let token =
                rig.submit(Request::Read { fd: from, ptr: buf.as_mut_ptr(), len: 8, offset });
            rig.rest();
            assert!(rig.is_flying(token));
            let write = Request::Write { fd: to, ptr: b"hello".as_ptr(), len: 5, offset };
            assert_eq!(rig.result(write), 5);
            assert_eq!(rig.end(token), 5);
            assert_eq!(&buf[..5], b"hello");
        }
        rig.close(to);
        let read = Request::Read { fd: from, ptr: buf.as_mut_ptr(), len: 8, offset: 0 };
        assert_eq!(rig.result(read), 0);
        rig.close(from);
    });
}

#[test]
fn a_descriptor_that_is_used_again_starts_afresh() {
    each(|rig| {
        for _ in 0..50 {
            let (old, mut old_peer) = pair();
            let token = rig.submit(stream(old, 0));
            rig.rest();
            rig.driver.cancel(token);
            assert_eq!(rig.end(token), -libc::ECANCELED);
            // The file lives on, with an edge that was never taken.
            let kept = rig.driver.call(Call::Duplicate { fd: old }).unwrap();
            write_all(&mut old_peer, b"for the old one");
            rig.close(old);
            let (new, mut new_peer) = pair();
            let reused = new == old;
            let token = rig.submit(stream(new, 0));
            rig.rest();
            write_all(&mut old_peer, b"more for the old one");
            rig.rest();
            assert!(rig.take(token).is_none(), "an event of the old descriptor reached the new");
            write_all(&mut new_peer, b"new");
            assert_eq!(rig.gather(token, 3).0, b"new");
            rig.driver.cancel(token);
            assert_eq!(rig.end(token), -libc::ECANCELED);
            rig.close(new);
            rig.close(kept);
            // Other tests open descriptors too, so the number may be gone.
            if reused {
                return;
            }
        }
    });
}
