//! Resets and broken pipes: data first, then the error, then known at once, and no signal.

use std::io::{ErrorKind, Write};

use super::*;
use crate::support::run_on_each;

#[track_caller]
fn assert_broken(error: io::Error) {
    let kind = error.kind();
    let known = matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
    assert!(known, "neither a reset nor a broken pipe: {error}");
}

#[test]
fn bytes_before_a_reset_are_read_before_the_error() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        theirs.write_all(pattern(0, 5000)).unwrap();
        // Not all of it is parked when the reset comes; some of it stands in the kernel.
        let mut first = [0; 100];
        read_exact(&mut ours, &mut first).await.unwrap();
        theirs.write_all(pattern(5000, 5000)).unwrap();
        reset(&mut ours, theirs).await;
        let mut position = check(&first, 0);
        let error = loop {
            let mut buf = [0; 700];
            match ours.read(&mut buf).await {
                Ok(0) => panic!("a reset was read as an end"),
                Ok(n) => position = check(&buf[..n], position),
                Err(error) => break error,
            }
        };
        assert_eq!(position, 10_000, "the reset overtook bytes");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(ours.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

// Seen to fail when the error that ends a receive empties the inbox.
#[test]
fn bytes_that_are_parked_when_the_reset_comes_are_read_before_the_error() {
    run_on_each(|| async {
        let (mut ours, mut theirs) = with_std().await;
        theirs.write_all(pattern(0, 5000)).unwrap();
        assert!(ours.peek(&mut [0]).await.unwrap() > 0);
        reset(&mut ours, theirs).await;
        // The receive has ended with the error before anybody reads.
        until(|| ringloop::metrics().in_flight == 0).await;
        let (mut position, mut buf) = (0, [0; 700]);
        let error = loop {
            match ours.read(&mut buf).await {
                Ok(n) => position = check(&buf[..n], position),
                Err(error) => break error,
            }
        };
        assert_eq!(position, 5000, "the reset overtook bytes");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_that_a_read_saw_fails_the_next_write_at_once() {
    run_on_each(|| async {
        let (mut ours, theirs) = with_std().await;
        reset(&mut ours, theirs).await;
        assert_eq!(ours.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let mut write = std::pin::pin!(ours.write_all(b"x"));
        match poll_once(&mut write).await {
            Poll::Ready(result) => assert_broken(result.unwrap_err()),
            Poll::Pending => panic!("a known error is waited for"),
        }
    });
}

#[test]
fn writing_to_a_peer_that_is_gone_says_so_soon() {
    run_on_each(|| async {
        let (mut ours, theirs) = with_std().await;
        reset(&mut ours, theirs).await;
        let mut writes = 0;
        let error = loop {
            if let Err(error) = ours.write_all(b"anybody there?").await {
                break error;
            }
            if let Err(error) = ours.flush().await {
                break error;
            }
            writes += 1;
            assert!(writes < 1000, "a thousand writes to nobody");
        };
        assert_broken(error);
        assert_broken(ours.flush().await.unwrap_err());
        assert_broken(ours.write_all(b"x").await.unwrap_err());
        assert_broken(ours.write_bytes(bytes::Bytes::from_static(b"x")).await.unwrap_err());
        assert_broken(ours.shutdown(std::net::Shutdown::Write).await.unwrap_err());
    });
}

#[test]
fn a_writer_that_waits_for_room_learns_of_the_reset() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        let (_read, mut write) = ours.into_split();
        let writer = ringloop::spawn(async move { write.write_all(&vec![7; 32 << 20]).await });
        turns(500).await;
        theirs.peek(&mut [0]).unwrap();
        assert!(!writer.is_finished());
        drop(theirs);
        assert_broken(writer.await.unwrap().unwrap_err());
    });
}

#[test]
#[expect(unsafe_code, reason = "signal(2): std sets SIGPIPE to be ignored, a C program would not")]
fn a_broken_pipe_kills_nobody() {
    alone("reset::a_broken_pipe_kills_nobody", || {
        // SAFETY: nobody else changes dispositions in this process, and SIG_DFL runs no code.
        let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        assert_eq!(before, libc::SIG_IGN, "std ignores it, so this test must not");
        run_on_each(|| async {
            let (mut ours, theirs) = with_std().await;
            drop(theirs);
            assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
            let mut errors = 0;
            // One piece, then several gathered ones: send(2) and sendmsg(2).
            for _ in 0..100 {
                errors += u32::from(ours.write_all(b"x").await.is_err());
                errors += u32::from(ours.flush().await.is_err());
            }
            assert!(errors > 0);

            let (mut ours, theirs) = with_std().await;
            drop(theirs);
            for _ in 0..3 {
                let _ = ours.write_bytes(bytes::Bytes::from_static(b"one")).await;
                let _ = ours.write_bytes(bytes::Bytes::from_static(b"two")).await;
                let _ = ours.flush().await;
            }
        });
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    });
}
