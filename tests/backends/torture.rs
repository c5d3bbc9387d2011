//! Each entry into the kernel fails once, each in a run of its own, with each errno that does not last.
//!
//! A failed entry has taken nothing in: what was queued stays queued and stays owned (the danger of
//! tokio #8255: freed with the error, used by the next entry that works).
//!
//! Seen to fail when `passing` in `driver/uring/mod.rs` or the epoll driver's `wait` lets one of the
//! errnos through, and when `Quiet::answer` is called although entries are still queued.

use std::time::Duration;

use ringloop::testing::{fail_waits, waits};
use ringloop::time::{sleep, timeout};
use ringloop::{BackendChoice, Builder};

use super::tcp::{LOCAL, check, pattern, read_exact};
use crate::support::{Watchdog, backends, build};
use ringloop::fs::File;
use ringloop::net::{TcpListener, TcpStream};

/// A life in short: a runtime is made, connects, accepts, gives up reads, echoes small and large, reads
/// a file, sleeps, closes, and ends with something in flight.
fn life(backend: BackendChoice) {
    let mut runtime = build(Builder::new().backend(backend).grace(Duration::from_secs(5)));
    runtime.block_on(async {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = ringloop::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            while let Some(chunk) = stream.read_chunk().await.unwrap() {
                stream.write_chunk(chunk).await.unwrap();
            }
            stream.shutdown(std::net::Shutdown::Write).await.unwrap();
            listener
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        // Given up while nothing comes; nothing of it may go astray.
        let nothing = timeout(Duration::from_micros(50), client.read(&mut [0; 8])).await;
        assert!(nothing.is_err(), "{nothing:?}");
        let mut position = 0;
        let mut back = vec![0; 100_000];
        for len in [1, 100, 5000, 100_000] {
            client.write_all(pattern(position, len)).await.unwrap();
            read_exact(&mut client, &mut back[..len]).await.unwrap();
            position = check(&back[..len], position);
        }
        client.flush().await.unwrap();
        client.shutdown(std::net::Shutdown::Write).await.unwrap();
        assert_eq!(client.read(&mut back).await.unwrap(), 0);
        let listener = server.await.unwrap();
        let file = File::open("/proc/self/exe").await.unwrap();
        assert_eq!(file.read_at(&mut back[..4], 0).await.unwrap(), 4);
        assert_eq!(&back[..4], b"\x7fELF");
        // This one is in no cache.
        let file = File::open("/proc/version").await.unwrap();
        assert_eq!(file.read_at(&mut back[..5], 0).await.unwrap(), 5);
        assert_eq!(&back[..5], b"Linux");
        sleep(Duration::from_micros(100)).await;
        assert_eq!(ringloop::metrics().strays, 0);
        // In flight at the end: an accept, a receive, bytes that were written and not sent.
        let mut last = TcpStream::connect(address).await.unwrap();
        ringloop::spawn(async move { listener.accept().await.map(drop) });
        last.write_all(b"at the end").await.unwrap();
        ringloop::spawn(async move { last.read(&mut [0; 8]).await });
    });
}

#[test]
fn no_entry_into_the_kernel_may_fail_to_anybodys_harm() {
    for backend in backends() {
        let watchdog = Watchdog::start(format!("a life on {backend}"));
        fail_waits(0, 0, 0);
        life(backend);
        // The runs differ by a few waits, as the kernel is fast or slow.
        let count = waits() + 5;
        assert!(count > 20, "{count} waits are no life");
        drop(watchdog);
        for errno in [libc::EINTR, libc::EAGAIN, libc::EBUSY, libc::ENOMEM] {
            let _watchdog = Watchdog::start(format!("failing with {errno} on {backend}"));
            for first in 0..count {
                for times in [1, 3] {
                    fail_waits(first, times, errno);
                    life(backend);
                    waits();
                }
            }
        }
    }
}
