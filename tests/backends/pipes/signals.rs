//! SIGPIPE kills nobody, also where the program has it at its default, blocks it, or handles it.
#![expect(unsafe_code, reason = "signal(2), pthread_sigmask(3), sigpending(2)")]

use std::io::ErrorKind;
use std::mem::MaybeUninit;

use bytes::Bytes;
use ringloop::net::{PipeWriter, pipe, splice};

use super::Temporary;
use crate::support::{alone, run_on_each};
use crate::tcp::{pattern, poll_once, turns};

/// Writes to nobody, in every way.
async fn write_to_nobody() {
    #[track_caller]
    fn broken(result: std::io::Result<()>) {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
    // One piece, several, and a large one at once.
    let (reader, mut writer) = pipe().unwrap();
    drop(reader);
    writer.closed().await.unwrap();
    writer.write_all(b"x").await.unwrap();
    broken(writer.flush().await);
    let (reader, mut writer) = pipe().unwrap();
    drop(reader);
    writer.closed().await.unwrap();
    for piece in [&b"one"[..], b"two"] {
        writer.write_bytes(Bytes::from_static(piece)).await.unwrap();
    }
    broken(writer.flush().await);
    let (reader, mut writer) = pipe().unwrap();
    drop(reader);
    writer.closed().await.unwrap();
    broken(writer.write_all(pattern(0, 100_000)).await);
    // From another pipe.
    let (mut from, mut other) = pipe().unwrap();
    let (reader, mut writer) = pipe().unwrap();
    drop(reader);
    writer.closed().await.unwrap();
    other.write_all(b"x").await.unwrap();
    other.flush().await.unwrap();
    // The first goes by what has been received, the second by splice(2).
    let mut head = [0; 1];
    assert_eq!(from.read(&mut head).await.unwrap(), 1);
    other.write_all(b"x").await.unwrap();
    other.flush().await.unwrap();
    assert_eq!(from.read(&mut head).await.unwrap(), 1);
    other.write_all(b"xyz").await.unwrap();
    other.flush().await.unwrap();
    let moved = splice(&mut from, &mut writer, usize::MAX).await;
    broken(match moved {
        Ok(_) => writer.flush().await,
        Err(error) => Err(error),
    });
    // In the background, and while a write waits.
    let (reader, mut writer) = pipe().unwrap();
    assert!(poll_once(&mut Box::pin(writer.write_all(pattern(0, 1 << 20)))).await.is_pending());
    turns(2).await;
    drop(reader);
    drop(writer);
    turns(5).await;
    // Descriptors of somebody's: a pipe, a named one, a socket.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut writer = PipeWriter::from_std(writer).unwrap();
    drop(reader);
    writer.write_all(b"x").await.unwrap();
    broken(writer.flush().await);
    let path = Temporary::fifo();
    let open = || std::fs::File::options().read(true).write(true).open(&path.0).unwrap();
    let reader = open();
    let writer = std::fs::File::options().write(true).open(&path.0).unwrap();
    let mut writer = PipeWriter::from_std(writer).unwrap();
    drop(reader);
    writer.write_all(b"x").await.unwrap();
    broken(writer.flush().await);
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut writer = PipeWriter::from_std(ours).unwrap();
    drop(theirs);
    writer.write_all(b"x").await.unwrap();
    broken(writer.flush().await);
}

fn is_pending() -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: room for a set.
    assert_eq!(unsafe { libc::sigpending(set.as_mut_ptr()) }, 0);
    // SAFETY: sigpending has filled it.
    unsafe { libc::sigismember(set.as_ptr(), libc::SIGPIPE) == 1 }
}

/// Blocks or unblocks SIGPIPE on this thread.
fn mask(how: i32) {
    let mut set = MaybeUninit::uninit();
    // SAFETY: room for a set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: a set, and a signal that exists.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: a set, and no room for the old one.
    assert_eq!(unsafe { libc::pthread_sigmask(how, set.as_ptr(), std::ptr::null_mut()) }, 0);
}

// Seen to fail when a write asked for no protection: the process was killed by signal 13.
#[test]
fn a_broken_pipe_kills_no_program_that_has_sigpipe_at_its_default() {
    alone("pipes::signals::a_broken_pipe_kills_no_program_that_has_sigpipe_at_its_default", || {
        // SAFETY: nobody else changes dispositions in this process, and SIG_DFL runs no code.
        let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        assert_eq!(before, libc::SIG_IGN, "std ignores it, so this test must not");
        run_on_each(write_to_nobody);
        assert!(!is_pending(), "one is left for whoever unblocks it");
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    });
}

#[test]
fn a_sigpipe_that_waits_for_a_program_that_blocks_it_is_its_own_and_no_other_comes() {
    alone(
        "pipes::signals::a_sigpipe_that_waits_for_a_program_that_blocks_it_is_its_own_and_no_other_comes",
        || {
            // SAFETY: nobody else changes dispositions in this process, and SIG_DFL runs no code.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            mask(libc::SIG_BLOCK);
            run_on_each(write_to_nobody);
            assert!(!is_pending(), "ours is left");
            // SAFETY: raise takes a number.
            unsafe { libc::raise(libc::SIGPIPE) };
            run_on_each(write_to_nobody);
            assert!(is_pending(), "theirs was taken");
            // SAFETY: nobody else changes dispositions in this process, and SIG_IGN runs no code.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
            mask(libc::SIG_UNBLOCK);
        },
    );
}
