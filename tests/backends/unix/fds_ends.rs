//! Where descriptors cannot go, and what becomes of those that nobody takes.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ringloop::net::UnixStream;
use ringloop::spawn;

use super::fds::{borrowed, numbered, numbers};
use crate::support::{on_each_backend, run_on_each};
use crate::tcp::{check, descriptors, pattern, poll_once, turns};

#[test]
fn a_stream_that_was_read_from_refuses_in_a_sentence() {
    run_on_each(|| async {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let mut buf = [0; 8];
        assert!(poll_once(&mut Box::pin(other.read(&mut buf))).await.is_pending());
        let error = other.recv_fds(&mut buf).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("accept_fds"), "{error}");
        one.write_all(b"x").await.unwrap();
        assert_eq!(other.read(&mut buf).await.unwrap(), 1);
    });
}

#[test]
fn too_many_descriptors_and_none_to_carry_them_are_refused() {
    run_on_each(|| async {
        let files = numbered(1);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let fd = files[0].as_fd();
        for (bytes, fds) in [(&b""[..], &[fd][..]), (b"x", &[fd; 254])] {
            let error = one.send_fds(bytes, fds).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        one.send_fds(b"y", &[fd; 253]).await.unwrap();
        let mut buf = [0; 8];
        let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
        assert_eq!((&buf[..n], fds.len()), (&b"y"[..], 253));
    });
}

#[test]
fn a_send_waits_for_room_and_is_whole() {
    run_on_each(|| async {
        let files = numbered(1);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.set_send_buffer_size(8 << 10).unwrap();
        let sent: Vec<u8> = pattern(0, 200_000).to_vec();
        let sender = spawn(async move {
            for part in sent.chunks(50_000) {
                one.send_fds(part, &borrowed(&files)).await.unwrap();
            }
        });
        turns(5).await;
        assert!(!sender.is_finished());
        let (mut at, mut came, mut buf) = (0, 0, [0; 1000]);
        loop {
            let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
            if n == 0 {
                break;
            }
            came += fds.len();
            at = check(&buf[..n], at);
        }
        assert_eq!((at, came), (200_000, 4));
        sender.await.unwrap();
    });
}

#[test]
fn a_peer_that_has_ended_its_side_does_not_hold_up_the_send() {
    run_on_each(|| async {
        let files = numbered(1);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.set_send_buffer_size(8 << 10).unwrap();
        other.shutdown(std::net::Shutdown::Write).await.unwrap();
        one.write_all(pattern(0, 30_000)).await.unwrap();
        let sender =
            spawn(async move { one.send_fds(b"the end", &borrowed(&files)).await.unwrap() });
        turns(20).await;
        let (mut all, mut came, mut buf) = (Vec::new(), 0, [0; 1000]);
        loop {
            let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
            if n == 0 {
                break;
            }
            came += fds.len();
            all.extend_from_slice(&buf[..n]);
        }
        sender.await.unwrap();
        assert_eq!((all.len(), came), (30_007, 1));
        assert!(all.ends_with(b"the end"));
    });
}

#[test]
fn a_send_to_nobody_says_so() {
    run_on_each(|| async {
        let files = numbered(1);
        let (mut one, other) = UnixStream::pair().unwrap();
        drop(other);
        // The other end is closed in the background.
        let error = loop {
            match one.send_fds(b"x", &borrowed(&files)).await {
                Ok(()) => turns(1).await,
                Err(error) => break error,
            }
        };
        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset));
    });
}

#[test]
fn descriptors_that_nobody_takes_are_closed_with_the_stream() {
    crate::support::alone(
        "unix::fds_ends::descriptors_that_nobody_takes_are_closed_with_the_stream",
        || {
            on_each_backend(|builder| {
                let files = numbered(3);
                let before = descriptors();
                crate::support::build(builder).block_on(async {
                    let (mut one, mut other) = UnixStream::pair().unwrap();
                    other.accept_fds().unwrap();
                    let open = descriptors();
                    for word in [&b"parked"[..], b"taken", b"left"] {
                        one.send_fds(word, &borrowed(&files)).await.unwrap();
                    }
                    let mut buf = [0; 6];
                    assert_eq!(other.read(&mut buf).await.unwrap(), 6);
                    assert_eq!(other.peek(&mut buf).await.unwrap(), 5);
                    assert_eq!(descriptors(), open + 6);
                    let (reader, _writer) = other.into_split();
                    drop(reader);
                    assert_eq!(descriptors(), open, "who would have taken them has gone");
                });
                assert_eq!(descriptors(), before);
            });
        },
    );
}

// Seen to fail when MSG_CTRUNC was not looked at.
#[test]
fn descriptors_without_room_are_an_error_and_the_bytes_are_not_lost() {
    let name = "descriptors_without_room_are_an_error_and_the_bytes_are_not_lost";
    crate::support::alone(&format!("unix::fds_ends::{name}"), || {
        on_each_backend(|builder| {
            let files = numbered(4);
            crate::support::build(builder).block_on(async {
                let (mut one, mut other) = UnixStream::pair().unwrap();
                other.accept_fds().unwrap();
                one.send_fds(b"hello", &borrowed(&files)).await.unwrap();
                let before = descriptors();
                let mut buf = [0; 16];
                let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
                let free = File::open("/dev/null").unwrap().as_raw_fd();
                setrlimit(Resource::RLIMIT_NOFILE, free as u64 + 2, hard).unwrap();
                let error = other.recv_fds(&mut buf).await.unwrap_err();
                setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
                assert!(error.to_string().contains("lost"), "{error}");
                assert_eq!(descriptors(), before, "those that had room are closed");
                let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
                assert_eq!((&buf[..n], fds.len()), (&b"hello"[..], 0));
                one.send_fds(b"again", &borrowed(&files)).await.unwrap();
                let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
                assert_eq!((&buf[..n], numbers(fds)), (&b"again"[..], vec![0, 1, 2, 3]));
            });
        });
    });
}

#[test]
fn descriptors_are_passed_only_where_their_runtime_runs() {
    on_each_backend(|builder| {
        let files = numbered(1);
        let mut runtime = crate::support::build(builder);
        let (mut one, mut other) = runtime.block_on(async { UnixStream::pair().unwrap() });
        let mut buf = [0; 8];
        ringloop::Builder::new().build().unwrap().block_on(async {
            let sent = one.send_fds(b"x", &borrowed(&files)).await.unwrap_err();
            let received = other.recv_fds(&mut buf).await.unwrap_err();
            for error in [sent, received] {
                assert!(error.to_string().contains("does not run here and now"), "{error}");
            }
        });
        runtime.block_on(async {
            one.send_fds(b"x", &borrowed(&files)).await.unwrap();
            let (n, fds) = other.recv_fds(&mut buf).await.unwrap();
            assert_eq!((n, numbers(fds)), (1, vec![0]));
        });
        drop(runtime);
        let ended = at_once(one.send_fds(b"x", &borrowed(&files)));
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::NotConnected);
        let ended = at_once(other.recv_fds(&mut buf));
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

/// The output of a future that does not wait.
fn at_once<F: Future>(future: F) -> F::Output {
    match crate::support::poll_once(&mut Box::pin(future)) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("it waits for nothing that will come"),
    }
}
