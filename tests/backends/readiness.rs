//! Waiting for descriptors of somebody else.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use ringloop::net::{Interest, Readiness};
use ringloop::time::timeout;
use ringloop::{metrics, spawn};

use crate::support::{cpu_time, poll_once, run_on_each};

#[test]
fn a_regular_file_and_a_device_are_ready_at_once() {
    run_on_each(|| async {
        for path in ["/proc/self/exe", "/dev/null", "/"] {
            let file = std::fs::File::open(path).unwrap();
            Readiness::new(&file).unwrap().readable().await.unwrap();
        }
    });
}

#[test]
fn two_readers_and_a_writer_wait_for_one_descriptor() {
    run_on_each(|| async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ready = Rc::new(Readiness::new(&ours).unwrap());
        let readers = [ready.clone(), ready.clone()]
            .map(|ready| spawn(async move { ready.readable().await }));
        ready.writable().await.unwrap();
        assert!(!readers.iter().any(|reader| reader.is_finished()));
        // One that was dropped is in nobody's way.
        assert!(poll_once(&mut Box::pin(ready.readable())).is_pending());
        theirs.write_all(b"x").unwrap();
        for reader in readers {
            reader.await.unwrap().unwrap();
        }
        // The descriptor may be closed; its duplicate still sees the byte, and then the end.
        drop(ours);
        ready.readable().await.unwrap();
        drop(theirs);
        ready.readable().await.unwrap();
        while metrics().in_flight > 0 {
            ringloop::task::yield_now().await;
        }
    });
}

#[test]
fn errors_and_hang_ups_are_told_unasked_and_each_by_its_name() {
    run_on_each(|| async {
        let (reader, writer) = std::io::pipe().unwrap();
        let (reading, writing) =
            (Readiness::new(&reader).unwrap(), Readiness::new(&writer).unwrap());
        let shown = writing.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
        assert_eq!(format!("{shown:?}"), "WRITABLE");
        assert!(poll_once(&mut Box::pin(writing.ready(Interest::ERROR))).is_pending());
        (&writer).write_all(b"x").unwrap();
        let shown = reading.ready(Interest::READABLE).await.unwrap();
        assert!(shown.is_readable() && !shown.is_hangup() && !shown.is_read_closed());
        // The duplicate is a writer too.
        drop((writer, writing));
        while metrics().in_flight > 0 {
            ringloop::task::yield_now().await;
        }
        let shown = reading.ready(Interest::READABLE).await.unwrap();
        assert_eq!(format!("{shown:?}"), "READABLE | HANGUP");
        assert!(shown.is_read_closed());
        assert_eq!(format!("{:?}", Interest::READABLE | Interest::PRIORITY), "READABLE | PRIORITY");
        assert_eq!(format!("{:?}", Interest::ERROR), "ERROR");
    });
}

// Seen to fail when what a poll shows unasked was passed on: it was ready, and there was no room.
#[test]
fn a_half_close_of_the_peer_is_no_room_and_burns_no_processor() {
    run_on_each(|| async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        while (&ours).write(&[0; 1 << 14]).is_ok() {}
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        let ready = Readiness::new(&ours).unwrap();
        assert!(ready.ready(Interest::READABLE).await.unwrap().is_read_closed());
        let before = cpu_time();
        let early = timeout(Duration::from_millis(200), ready.writable()).await;
        assert!(early.is_err(), "there is no room");
        assert!(cpu_time() - before < Duration::from_millis(100), "it spins");
        theirs.set_nonblocking(true).unwrap();
        while theirs.read(&mut [0; 1 << 14]).is_ok_and(|n| n > 0) {}
        ready.writable().await.unwrap();
        assert!((&ours).write(b"x").is_ok());
    });
}

#[test]
fn a_descriptor_is_watched_twice_and_who_goes_takes_nothing_from_the_other() {
    run_on_each(|| async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let one = Readiness::new(&ours).unwrap();
        let other = Rc::new(Readiness::new(&ours).unwrap());
        let waiters = [other.clone(), other.clone()]
            .map(|other| spawn(async move { other.ready(Interest::READABLE).await }));
        assert!(poll_once(&mut Box::pin(one.readable())).is_pending());
        ringloop::task::yield_now().await;
        drop(one);
        ringloop::task::yield_now().await;
        theirs.write_all(b"x").unwrap();
        for waiter in waiters {
            assert!(waiter.await.unwrap().unwrap().is_readable());
        }
    });
}

// Seen to fail, with 26,882 calls, when a call was made as soon as anything was shown.
#[test]
fn a_call_that_has_no_use_for_what_is_shown_is_not_made_in_a_spin() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    run_on_each(|| async {
        let to = format!("ringloop-readiness-{}", std::process::id());
        let to = SocketAddr::from_abstract_name(to).unwrap();
        let theirs = UnixDatagram::bind_addr(&to).unwrap();
        let ours = UnixDatagram::unbound().unwrap();
        ours.set_nonblocking(true).unwrap();
        // There is room, and it is the peer's queue that is full.
        while ours.send_to_addr(b"x", &to).is_ok() {}
        let ready = Readiness::new(&ours).unwrap();
        ready.writable().await.unwrap();
        let mut calls = 0;
        let mut send = Box::pin(ready.async_io(Interest::WRITABLE, || {
            calls += 1;
            ours.send_to_addr(b"last", &to)
        }));
        timeout(Duration::from_millis(200), &mut send).await.unwrap_err();
        theirs.recv(&mut [0; 8]).unwrap();
        assert_eq!(send.await.unwrap(), 4);
        assert!(calls < 400, "{calls} calls");
    });
}
