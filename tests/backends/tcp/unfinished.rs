//! The runtime ends with ten thousand operations in flight, of all kinds.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ringloop::fs::File;
use ringloop::net::Readiness;
use ringloop::{Builder, spawn};

use super::*;
use crate::support::{build, on_each_backend};

const GRACE: Duration = Duration::from_millis(300);

/// What the end adds for the kernel, and what a busy machine does.
const MORE: Duration = Duration::from_secs(3);

/// Bytes of this process that are in memory.
fn resident() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// A FIFO that nobody has open: opening it to read waits for a writer.
fn fifo() -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("ringloop-fifo-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// Leaves ten thousand operations and two thousand timers to the runtime; returns what others hold.
async fn begin(fifo: &std::path::Path) -> Vec<Box<dyn std::any::Any>> {
    let mut kept: Vec<Box<dyn std::any::Any>> = Vec::new();
    let much = bytes::Bytes::from(vec![1; 4 << 20]);
    // Connects that nobody answers; some are dropped.
    let (full, queued) = connect::full().await;
    let unanswered = full.local_addr().unwrap();
    kept.push(Box::new((full, queued)));
    for i in 0..400 {
        if i % 4 == 0 {
            drop(poll_once(&mut Box::pin(TcpStream::connect(unanswered))).await);
        } else {
            spawn(async move { TcpStream::connect(unanswered).await.map(drop) });
        }
    }
    // Receives by multishot, sends that nobody takes.
    for i in 0..400 {
        let (stream, peer) = with_std().await;
        kept.push(Box::new(peer));
        stream.set_send_buffer_size(16 << 10).unwrap();
        let (mut read, mut write) = stream.into_split();
        spawn(async move { read.read(&mut [0]).await });
        if i % 2 == 0 {
            write.write_bytes(much.clone()).await.unwrap();
        }
        kept.push(Box::new(write));
    }
    yield_now().await;
    // The ring is used up: receives into the heap.
    let (mut hoard, mut peer) = with_std().await;
    peer.write_all(&[7; 1024]).unwrap();
    let mut held = 0;
    while held < 512 {
        let lease = hoard.read_chunk().await.unwrap().unwrap();
        held += lease.len();
        kept.push(Box::new(lease));
    }
    kept.push(Box::new((hoard, peer)));
    for _ in 0..400 {
        let (mut stream, peer) = with_std().await;
        kept.push(Box::new(peer));
        spawn(async move { stream.read(&mut [0]).await });
    }
    // Accepts, some of listeners that outlive the runtime.
    for i in 0..200 {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        if i % 2 == 0 {
            spawn(async move { listener.accept().await.map(drop) });
        } else {
            assert!(poll_once(&mut Box::pin(listener.accept())).await.is_pending());
            kept.push(Box::new(listener));
        }
    }
    // Polls: eight thousand on a hundred descriptors.
    for _ in 0..100 {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let ready = std::rc::Rc::new(Readiness::new(&ours).unwrap());
        for _ in 0..80 {
            let ready = ready.clone();
            spawn(async move { ready.readable().await });
        }
        kept.push(Box::new((ours, theirs)));
    }
    // Opens that wait, reads that do not, look-ups on threads that block.
    let file = std::rc::Rc::new(File::open("/proc/version").await.unwrap());
    for i in 0..20 {
        let (fifo, file) = (fifo.to_owned(), file.clone());
        spawn(async move { File::open(fifo).await.map(drop) });
        spawn(async move { file.read_at(&mut [0; 4096], i).await });
        spawn(async move { TcpStream::connect("localhost:1").await.map(drop) });
    }
    for i in 0..2000 {
        spawn(ringloop::time::sleep(Duration::from_millis(3_600_000 + i)));
    }
    // All are polled, and most of them reach the kernel; then closes that do not.
    let mut closing = Vec::new();
    for _ in 0..100 {
        closing.push(with_std().await);
    }
    turns(3).await;
    drop(closing);
    kept
}

/// One life: how long its end took.
fn live(builder: &Builder, fifo: &std::path::Path) -> Duration {
    let mut runtime = build(builder);
    let kept = runtime.block_on(begin(fifo));
    let metrics = runtime.metrics();
    assert!(metrics.in_flight >= 9_500, "only {} are in flight", metrics.in_flight);
    assert!(metrics.timers >= 2000);
    assert_eq!(metrics.strays, 0);
    let started = Instant::now();
    drop(runtime);
    let took = started.elapsed();
    drop(kept);
    took
}

/// Lets the threads go that wait for a writer of the FIFO, until no descriptor is left of theirs.
fn release(fifo: &std::path::Path, before: usize) {
    loop {
        // Without a reader it fails, and then nobody waits.
        let open = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(fifo);
        drop(open);
        if descriptors() == before {
            return;
        }
        std::thread::yield_now();
    }
}

// Seen to fail when nothing is cancelled at the end (connects and sends stay behind), and when what a
// worker opens after that stays open.
#[test]
fn ten_thousand_operations_in_flight_end_with_their_runtime() {
    alone("unfinished::ten_thousand_operations_in_flight_end_with_their_runtime", || {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(hard >= 6000, "this machine gives no more than {hard} descriptors");
        setrlimit(Resource::RLIMIT_NOFILE, soft.max(6000), hard).unwrap();
        let fifo = fifo();
        on_each_backend(|builder| {
            let builder = builder.grace(GRACE).buffers(2, 256);
            let before = descriptors();
            let mut memory = Vec::new();
            for _ in 0..3 {
                let took = live(builder, &fifo);
                println!("the end took {took:?}");
                assert!(took < GRACE + MORE, "the end took {took:?}");
                release(&fifo, before);
                memory.push(resident());
            }
            let grown = memory[2] - memory[1];
            println!("it grew by {grown} bytes, from {memory:?}");
            assert!(grown < 8 << 20, "it grew by {grown} bytes");
        });
        std::fs::remove_file(&fifo).unwrap();
    });
}
