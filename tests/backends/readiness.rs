//! Waiting for descriptors of somebody else.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use ringloop::net::Readiness;
use ringloop::{metrics, spawn};

use crate::support::{poll_once, run_on_each};

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
