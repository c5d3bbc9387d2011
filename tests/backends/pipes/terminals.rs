//! Terminals.
#![expect(unsafe_code, reason = "posix_openpt(3) and its kin")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::Duration;

use ringloop::net::{PipeReader, PipeWriter};
use ringloop::spawn;
use ringloop::time::{sleep, timeout};

use super::is_nonblocking;
use crate::support::run_on_each;

/// A terminal: the end that serves it, and the one that programs have. `None` in a sandbox without.
fn terminal() -> Option<(File, File)> {
    // SAFETY: one integer.
    let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    if master < 0 {
        return None;
    }
    // SAFETY: a descriptor that was made just now.
    let master = unsafe { File::from_raw_fd(master) };
    let fd = master.as_raw_fd();
    // SAFETY: one integer.
    assert_eq!(unsafe { libc::grantpt(fd) }, 0);
    // SAFETY: one integer.
    assert_eq!(unsafe { libc::unlockpt(fd) }, 0);
    let mut name = [0; 64];
    // SAFETY: room for 64 bytes.
    assert_eq!(unsafe { libc::ptsname_r(fd, name.as_mut_ptr(), name.len()) }, 0);
    // SAFETY: ptsname_r has written a C string.
    let name = unsafe { std::ffi::CStr::from_ptr(name.as_ptr()) }.to_str().unwrap();
    let slave = {
        use std::os::unix::fs::OpenOptionsExt;
        File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(name).ok()?
    };
    Some((master, slave))
}

/// Leaves bytes as they are, both ways.
fn make_raw(slave: &File) {
    let mut settings = std::mem::MaybeUninit::uninit();
    // SAFETY: room for the settings.
    assert_eq!(unsafe { libc::tcgetattr(slave.as_raw_fd(), settings.as_mut_ptr()) }, 0);
    // SAFETY: tcgetattr has filled it.
    let mut settings = unsafe { settings.assume_init() };
    // SAFETY: settings.
    unsafe { libc::cfmakeraw(&raw mut settings) };
    // SAFETY: settings.
    let set = unsafe { libc::tcsetattr(slave.as_raw_fd(), libc::TCSANOW, &raw const settings) };
    assert_eq!(set, 0);
}

// Seen to fail when EIO was an error: it is how a master hears that the last program has gone.
#[test]
fn a_master_reads_what_programs_write_and_then_the_end() {
    run_on_each(|| async {
        let Some((master, mut slave)) = terminal() else { return };
        let mut reader = PipeReader::from_std(master).unwrap();
        slave.write_all(b"a line\n").unwrap();
        let mut all = Vec::new();
        while all.len() < 8 {
            all.extend_from_slice(&reader.read_chunk().await.unwrap().expect("it is not over"));
        }
        assert_eq!(all, b"a line\r\n");
        let early = timeout(Duration::from_millis(2), reader.read(&mut [0; 8])).await;
        assert!(early.is_err(), "a program is left: {early:?}");
        drop(slave);
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn a_terminal_is_talked_to_both_ways() {
    run_on_each(|| async {
        let Some((master, slave)) = terminal() else { return };
        make_raw(&slave);
        let mut theirs = PipeReader::from_std(master.try_clone().unwrap()).unwrap();
        let mut to = PipeWriter::from_std(master).unwrap();
        let mut ours = PipeReader::from_std(slave.try_clone().unwrap()).unwrap();
        let mut back = PipeWriter::from_std(slave.try_clone().unwrap()).unwrap();
        for i in 0..20u8 {
            to.write_all(&[i; 10]).await.unwrap();
            let mut got = 0;
            while got < 10 {
                let chunk = ours.read_chunk().await.unwrap().expect("it is not over");
                assert!(chunk.iter().all(|&byte| byte == i));
                got += chunk.len();
                back.write_chunk(chunk).await.unwrap();
            }
            let mut got = 0;
            while got < 10 {
                let mut buf = [0; 10];
                let n = theirs.read(&mut buf).await.unwrap();
                assert!(buf[..n].iter().all(|&byte| byte == i));
                got += n;
            }
        }
        assert!(!is_nonblocking(&slave), "flags that others share were changed");
    });
}

// Seen to fail when a terminal was written with its own flags: the loop stood still.
#[test]
fn a_terminal_that_nobody_looks_at_does_not_hold_up_the_loop() {
    run_on_each(|| async {
        let Some((mut master, slave)) = terminal() else { return };
        make_raw(&slave);
        let mut writer = PipeWriter::from_std(slave.try_clone().unwrap()).unwrap();
        let task = spawn(async move {
            writer.write_all(&[b'x'; 300_000]).await.unwrap();
            writer.close().await.unwrap();
        });
        for _ in 0..5 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(!task.is_finished());
        assert!(!is_nonblocking(&slave), "flags that others share were changed");
        let peer = std::thread::spawn(move || {
            let (mut all, mut buf) = (0, [0; 4096]);
            while all < 300_000 {
                all += master.read(&mut buf).unwrap();
            }
            all
        });
        task.await.unwrap();
        assert_eq!(peer.join().unwrap(), 300_000);
    });
}
